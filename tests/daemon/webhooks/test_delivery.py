"""A webhook's way along the log, in virtual time: order, retries, dead letters, restarts, retention."""

import itertools
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from daemon.store.webhooks import Hook, dead_letters
from daemon.webhooks.delivery import Delivery
from daemon.webhooks.sender import Attempt

from .memory import START_MS, Memory

GOOD = Attempt(status=204)
BAD = Attempt(status=500, reason="status 500", error="500")
DAY_S = 86_400


class Receiver:
    """Answers as `answer` says; notes what it took, and every attempt with its time in seconds."""

    def __init__(self, answer: Callable[[dict[str, Any]], Attempt] = lambda _event: GOOD) -> None:
        self.answer = answer
        self.taken: list[int] = []
        self.by_session: dict[str | None, list[int]] = defaultdict(list)
        self.attempts: list[tuple[float, int]] = []
        self.ids: dict[int, set[str]] = defaultdict(set)

    async def post(self, message_id: str, body: bytes) -> Attempt:
        await trio.lowlevel.checkpoint()
        event = json.loads(body)
        self.attempts.append((trio.current_time(), event["seq"]))
        self.ids[event["seq"]].add(message_id)
        attempt = self.answer(event)
        if attempt.delivered:
            self.taken.append(event["seq"])
            self.by_session[event["sessionId"]].append(event["seq"])
        return attempt


@asynccontextmanager
async def running(delivery: Delivery) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delivery.run)
        await wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture
def memory() -> Memory:
    return Memory()


async def test_what_follows_is_delivered_in_order(memory: Memory, mock_clock: MockClock) -> None:
    receiver = Receiver()
    hook = memory.hook()
    begun = memory.state(hook).cursor
    async with running(memory.delivery(hook, receiver.post)):
        seqs = [memory.add(session) for session in ("a", "b", None, "a", None, "b") * 50]
        await wait_all_tasks_blocked()
    assert sorted(receiver.taken) == seqs
    assert begun == seqs[0] - 1
    assert all(taken == sorted(taken) for taken in receiver.by_session.values())
    state = memory.state(hook)
    assert (state.cursor, state.lanes, state.delivered_at) == (seqs[-1], (), START_MS)


async def test_only_what_is_wanted(memory: Memory) -> None:
    receiver = Receiver()
    hook = memory.hook(session_id="a", events=frozenset({"session.connecting"}))
    async with running(memory.delivery(hook, receiver.post)):
        memory.add("b")
        wanted = memory.add("a")
        memory.add(None)
        await wait_all_tasks_blocked()
    assert receiver.taken == [wanted]
    assert memory.state(hook).cursor == memory.log.latest


async def test_a_failing_session_holds_up_no_other(memory: Memory, autojump_clock: MockClock) -> None:
    fail = {"a"}
    receiver = Receiver(lambda event: BAD if event["sessionId"] in fail else GOOD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        first = [memory.add("a") for _ in range(200)]
        others = [memory.add("b") for _ in range(200)]
        await trio.sleep(3600)
        assert receiver.by_session["b"] == others
        assert {seq for _, seq in receiver.attempts if seq in first} == {first[0]}
        (lane,) = memory.state(hook).lanes
        assert (lane.session, lane.cursor, lane.failing_since, lane.error) == (
            "a",
            first[0] - 1,
            START_MS,
            "500",
        )
        fail.clear()
        await trio.sleep(3600)
    assert receiver.by_session["a"] == first
    assert memory.state(hook).lanes == ()
    assert all(len(ids) == 1 for ids in receiver.ids.values())


async def test_pauses_grow_over_days_until_it_is_given_up(memory: Memory, autojump_clock: MockClock) -> None:
    receiver = Receiver(lambda _event: BAD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        seq = memory.add("a")
        await trio.sleep(4 * DAY_S)
    times = [at for at, _ in receiver.attempts]
    pauses = [round(b - a) for a, b in itertools.pairwise(times)]
    assert pauses[:11] == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert set(pauses[11:]) == {3600}
    assert 3 * DAY_S <= times[-1] < 3 * DAY_S + 3600
    (letter,) = dead_letters(memory.db, ["h"], 10)
    assert (letter.seq, letter.upto, letter.type, letter.attempts) == (
        seq,
        seq,
        "session.connecting",
        len(times),
    )
    assert letter.error == "500"
    assert memory.state(hook).cursor == seq


async def test_what_waited_behind_a_dead_letter_gets_its_attempt(
    memory: Memory, autojump_clock: MockClock
) -> None:
    """Also what became old meanwhile; and each is tried for three days of its own."""
    poison: list[int] = []
    receiver = Receiver(lambda event: BAD if event["seq"] in poison else GOOD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        poison.append(memory.add("a"))
        behind = [memory.add("a") for _ in range(5)]
        poison.append(behind[2])
        await trio.sleep(2 * DAY_S)
        behind.append(memory.add("a"))
        await trio.sleep(4.2 * DAY_S)
        assert receiver.taken == [seq for seq in behind if seq not in poison]
    assert [letter.seq for letter in dead_letters(memory.db, ["h"], 10)] == poison[::-1]


async def test_a_receiver_may_ask_for_a_pause(memory: Memory, autojump_clock: MockClock) -> None:
    answers = [Attempt(status=429, retry_after_s=600), GOOD]
    receiver = Receiver(lambda _event: answers.pop(0))
    async with running(memory.delivery(memory.hook(), receiver.post)):
        memory.add("a")
        await trio.sleep(1000)
    assert [round(at) for at, _ in receiver.attempts] == [0, 600]


async def test_gone_is_the_end_until_it_is_enabled(memory: Memory) -> None:
    receiver = Receiver(lambda _event: Attempt(status=410, reason="status 410", error="410 Gone"))
    hook = memory.hook()
    delivery = memory.delivery(hook, receiver.post)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delivery.run)  # which ends
        await wait_all_tasks_blocked()
        memory.add("a")
        memory.add("b")
    assert len(receiver.attempts) in (1, 2)
    state = memory.state(hook)
    assert state.disabled == "The receiver answered 410 Gone"
    async with running(memory.delivery(hook, receiver.post)):
        memory.add("a")
        await wait_all_tasks_blocked()
    assert len(receiver.attempts) in (1, 2)


async def test_a_restart_keeps_the_pause(memory: Memory, autojump_clock: MockClock) -> None:
    receiver = Receiver(lambda _event: BAD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        seq = memory.add("a")
        await trio.sleep(100)  # attempts at 0, 5, 15, 35, 75; the next is due at 155
    memory.restart()
    receiver.answer = lambda _event: GOOD
    async with running(memory.delivery(hook, receiver.post)):
        later = memory.add("a")
        await trio.sleep(100)
    assert [round(at) for at, _ in receiver.attempts] == [0, 5, 15, 35, 75, 155, 155]
    assert receiver.taken == [seq, later]


async def test_retention_is_told_as_a_dead_letter(memory: Memory, autojump_clock: MockClock) -> None:
    """Of a lane that is behind, and of a webhook that was away."""
    fail = True
    receiver = Receiver(lambda _event: BAD if fail else GOOD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        lost = [memory.add("a") for _ in range(20)]
        await trio.sleep(1)
        memory.cut()
        fail = False
        await trio.sleep(100)
        kept = memory.add("a")
        await trio.sleep(1)
    assert receiver.taken == [kept]
    (letter,) = dead_letters(memory.db, ["h"], 10)
    assert (letter.seq, letter.upto, letter.session_id, letter.type) == (lost[0], lost[-1], "a", None)
    away = [memory.add("a") for _ in range(5)]
    memory.cut()
    kept = memory.add("b")
    memory.restart()
    async with running(memory.delivery(hook, receiver.post)):
        pass
    letter = dead_letters(memory.db, ["h"], 10)[0]
    assert (letter.seq, letter.upto, letter.type) == (away[0], away[-1], None)
    assert receiver.taken[-1] == kept


async def test_a_deleted_session_leaves_no_lane(memory: Memory, autojump_clock: MockClock) -> None:
    """What is gone from the log is not waited for."""
    fail = True
    receiver = Receiver(lambda _event: BAD if fail else GOOD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        memory.add("a")
        await trio.sleep(1)
        memory.write(lambda db: db.execute("DELETE FROM events WHERE session_id = 'a'"))
        await trio.sleep(10)
        assert memory.state(hook).lanes == ()


async def test_a_deleted_webhook_is_not_written_again(memory: Memory) -> None:
    receiver = Receiver(lambda _event: BAD)
    hook = memory.hook()
    async with running(memory.delivery(hook, receiver.post)):
        memory.add("a")
        await wait_all_tasks_blocked()
        memory.write(lambda db: db.execute("DELETE FROM webhooks"))
        memory.add("a")
    assert memory.db.execute("SELECT count(*) FROM webhook_lanes").get == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(["a", "b", None])),
        st.tuples(st.just("sleep"), st.sampled_from([0, 1, 7, 100])),
        st.tuples(st.just("kill"), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 0.9]))
def test_at_least_once_and_in_order_whatever_happens(
    script: list[tuple[str, Any]], seed: int, failing: float
) -> None:
    """A receiver that fails at random and a daemon that ends at random, with or without a last word."""

    async def scene() -> None:
        dice = random.Random(seed)  # noqa: S311  for tests
        memory = Memory()
        receiver = Receiver(lambda _event: BAD if dice.random() < failing else GOOD)
        hook = memory.hook()
        added: dict[str | None, list[int]] = defaultdict(list)

        async def live(script: list[tuple[str, Any]]) -> None:
            memory.restart()
            delivery = memory.delivery(hook, receiver.post)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(delivery.run)
                while script:
                    what, value = script.pop(0)
                    if what == "add":
                        added[value].append(memory.add(value))
                    elif what == "sleep":
                        await trio.sleep(value)
                    else:
                        if value:  # SIGKILL: nothing more is written
                            _mute(delivery)
                        break
                else:
                    receiver.answer = lambda _event: GOOD
                    await trio.sleep(2 * 3600)
                nursery.cancel_scope.cancel()

        while script:
            await live(script)
        await live(script)
        for session, seqs in added.items():
            assert list(dict.fromkeys(receiver.by_session[session])) == seqs
        assert memory.state(hook).lanes == ()
        assert all(len(ids) == 1 for ids in receiver.ids.values())

    trio.run(scene, clock=MockClock(autojump_threshold=0))


def _mute(delivery: Delivery) -> None:
    class Nothing:
        log = delivery._store.log

        def record(self, _job: object) -> None:
            pass

    delivery._store = Nothing()  # type: ignore[assignment]


def test_a_hook_says_no_secret_of_itself() -> None:
    hook = Hook(
        id="h",
        source="api",
        session_id=None,
        url="https://x",
        secret="whsec_c2VjcmV0",  # noqa: S106
        headers={"Authorization": "Bearer s3cret"},
        created_at=1,
    )
    assert "c2VjcmV0" not in repr(hook)
    assert "s3cret" not in repr(hook)

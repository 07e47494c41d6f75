"""The event log: order, pages, retention, and subscriptions that miss nothing and repeat nothing."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from daemon.store import events, open_store
from daemon.store.log import Committed, EventLog, Ring
from daemon.store.records import event
from protocol.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.store import Store, Subscription
    from daemon.store.events import Page
    from daemon.store.records import Event

TYPES = ("session.status", "session.qr", "session.connected")
SESSIONS = ("a", "b", "c")
LAST = "session.deleted"


def append(kind: str, session: str | None, at_ms: int = 1, **data: Any) -> Any:
    return partial(events.append_event, type=kind, session_id=session, at_ms=at_ms, data=data)  # type: ignore[arg-type]  # any of the types


async def add(store: Store, *, count: int = 1, at_ms: int = 1) -> None:
    for each in [store.record(append("session.qr", "a", at_ms)) for _ in range(count)]:
        await each.wait()


async def seqs(store: Store, after: int = 0, **where: Any) -> list[int]:
    return [each.seq for each in (await store.log.list(after, 1000, **where)).events]


async def test_events_are_what_was_appended(store: Store) -> None:
    with store.log.subscribe() as live:
        seq = await store.write(append("session.qr", "a", 1_795_255_200_000, qrText="…", expiresAt="then"))
        (got,) = await anext(live)
    assert seq == 1 == store.log.latest
    assert json.loads(got.json) == {
        "seq": 1,
        "type": "session.qr",
        "sessionId": "a",
        "timestamp": "2026-11-21T10:00:00.000Z",
        "data": {"qrText": "…", "expiresAt": "then"},
    }
    (listed,) = (await store.log.list()).events
    assert listed.json == got.json


async def test_pages(store: Store) -> None:
    for number in range(30):
        await store.write(append(TYPES[number % 3], SESSIONS[number % 2]))
    first = await store.log.list(limit=10)
    assert [each.seq for each in first.events] == list(range(1, 11))
    assert (first.upto, first.oldest, first.latest) == (10, 1, 30)
    assert await seqs(store, first.upto) == list(range(11, 31))
    assert await seqs(store, 25, types=["session.qr"]) == [26, 29]
    assert await seqs(store, 25, sessions=["b"]) == [26, 28, 30]
    assert await seqs(store, 20, types=["session.qr"], sessions=["a", "b"]) == [23, 26, 29]
    assert await seqs(store, 0, sessions=[]) == []
    assert await seqs(store, 1000) == []


async def test_an_empty_log(store: Store) -> None:
    page = await store.log.list()
    assert (page.events, page.oldest, page.latest, page.upto) == ((), 0, 0, 0)


async def test_a_seq_is_never_used_again(store: Store) -> None:
    await add(store, count=3)
    with pytest.raises(KeyError):
        await store.write(lambda db: {}[append("session.qr", "a")(db)])
    assert await store.write(lambda db: events.expire(db, 10**15)) == 3
    await add(store)
    assert await seqs(store) == [4]


async def test_retention(store: Store) -> None:
    for at_ms in (10, 20, 15, 30, 40):
        await add(store, at_ms=at_ms)
    assert await store.write(lambda db: events.expire(db, 20)) == 1  # the 15 lies behind a 20
    assert await store.write(lambda db: events.expire(db, 31, limit=2)) == 2
    assert await store.write(lambda db: events.expire(db, 31)) == 1
    assert await store.write(lambda db: events.expire(db, 31)) == 0
    assert (store.log.oldest, store.log.latest) == (5, 5)
    assert await seqs(store) == [5]  # 0 is the log's start, wherever that is
    assert await seqs(store, 4) == [5]
    with pytest.raises(RpcError) as caught:
        await store.log.list(3)
    assert (caught.value.code, caught.value.details["oldest"]) == ("CURSOR_EXPIRED", 5)
    with pytest.raises(RpcError, match="CURSOR_EXPIRED"):
        store.log.subscribe(after=3)
    assert await store.write(lambda db: events.expire(db, 10**15)) == 1
    page = await store.log.list(5)
    assert (page.events, page.oldest, page.latest) == ((), 0, 5)


async def test_retention_is_remembered(path: Path) -> None:
    async with open_store(path) as store:
        await add(store, count=3)
        await store.write(lambda db: events.expire(db, 10))
    async with open_store(path) as store:
        assert (store.log.oldest, store.log.latest) == (4, 3)
        with pytest.raises(RpcError, match="CURSOR_EXPIRED"):
            await store.log.list(1)
        await add(store)
        assert await seqs(store) == [4]


async def test_a_batch_that_appends_and_expires(store: Store) -> None:
    with store.log.subscribe() as live:
        first = store.record(append("session.qr", "a", 1))
        store.record(lambda db: events.expire(db, 10))
        store.record(append("session.qr", "b", 20))
        await first.wait()
        await add(store)
        taken: list[int] = []
        while live.cursor < store.log.latest:
            taken += [each.seq for each in await anext(live)]
    assert taken[-2:] == [2, 3]


async def test_what_is_appended_and_expires_in_one_batch_is_told_to_nobody(
    store: Store, nursery: trio.Nursery
) -> None:
    """A clock that jumps ahead does it; whoever waits, with a filter or without, waits on."""
    taken: list[int] = []

    async def follow(live: Subscription) -> None:
        async for each in live:
            taken.extend(one.seq for one in each)

    def append_and_expire(db: Any) -> None:
        append("session.qr", "a", 1)(db)
        events.expire(db, 10)

    with store.log.subscribe() as every, store.log.subscribe(sessions=["a"]) as some:
        nursery.start_soon(follow, every)
        nursery.start_soon(follow, some)
        await wait_all_tasks_blocked()
        await store.write(append_and_expire)
        await add(store, at_ms=20)
        await wait_all_tasks_blocked()
        assert (every.cursor, some.cursor, taken) == (2, 2, [2, 2])
        nursery.cancel_scope.cancel()


async def test_a_cursor_ahead_of_the_log_is_refused(store: Store) -> None:
    await add(store)
    with pytest.raises(RpcError) as caught:
        store.log.subscribe(after=2)
    assert caught.value.code == "INVALID_PARAMS"
    store.log.subscribe(after=1).close()


async def test_a_subscriber_that_retention_overtakes_is_told(path: Path) -> None:
    async with open_store(path, ring_events=2) as store:
        await add(store)
        with store.log.subscribe(after=1) as slow:
            await add(store, count=10)
            await store.write(lambda db: events.expire(db, 10))
            await add(store, count=10)
            with pytest.raises(RpcError, match="CURSOR_EXPIRED"):
                await anext(slow)


async def test_a_closed_subscription_ends(store: Store) -> None:
    taken: list[int] = []

    async def follow(subscription: Subscription) -> None:
        async for batch in subscription:
            taken.extend(each.seq for each in batch)

    with store.log.subscribe() as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, subscription)
            await wait_all_tasks_blocked()
            await add(store, count=3)
            await wait_all_tasks_blocked()
            subscription.close()
    assert taken == [1, 2, 3]


async def test_nobody_is_woken_for_what_is_not_wanted(store: Store) -> None:
    woken = 0

    async def follow(subscription: Subscription) -> None:
        nonlocal woken
        async for _ in subscription:
            woken += 1

    with store.log.subscribe(sessions=["b"]) as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, subscription)
            await wait_all_tasks_blocked()
            await add(store, count=3)
            assert subscription.cursor == 3
            await store.write(append("session.qr", "b"))
            await wait_all_tasks_blocked()
            subscription.close()
    assert woken == 1


async def test_a_cancelled_wait_loses_nothing(store: Store) -> None:
    with store.log.subscribe() as subscription:
        for number in range(1, 20):
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(subscription)
            await add(store)
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(subscription)
            assert [each.seq for each in await anext(subscription)] == [number]


async def test_all_subscribers_share_one_encoding(store: Store) -> None:
    first, second = store.log.subscribe(), store.log.subscribe()
    await add(store)
    assert (await anext(first))[0].json is (await anext(second))[0].json
    first.close()
    second.close()


def test_the_ring_is_bounded_in_bytes_too() -> None:
    ring = Ring(0, max_events=100, max_bytes=1000)
    for seq in range(1, 11):
        ring.extend((event(seq, 1, "session.qr", "a", json.dumps("x" * 300), None),))
    assert 0 < sum(len(each.record.data) for each in ring.after(ring.start, 100) or ()) <= 1000
    assert ring.after(ring.start - 1, 100) is None
    ring.extend((event(11, 1, "session.qr", "a", json.dumps("x" * 3000), None),))
    assert (ring.start, ring.after(11, 100)) == (11, [])


subscribers = st.tuples(
    st.integers(0, 12),  # how many bursts it comes after
    st.one_of(st.none(), st.floats(0, 1)),  # where it begins: from now on, or at this part of the log
    st.one_of(st.none(), st.sets(st.sampled_from(TYPES))),
    st.one_of(st.none(), st.sets(st.sampled_from(SESSIONS), min_size=1)),
    st.lists(st.integers(-1, 8), min_size=1, max_size=5),  # how slow it is; -1: is cancelled, comes back
    st.lists(st.booleans()),  # whether it takes what is pushed to it, in turn; empty: nothing is pushed
)
bursts = st.lists(
    st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(SESSIONS)), max_size=30),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bursts, st.lists(subscribers, min_size=1, max_size=6), st.integers(2, 40))
async def test_subscriptions_miss_nothing_and_repeat_nothing(
    bursts: Sequence[Sequence[tuple[str, str]]], subscribers: Sequence[tuple[Any, ...]], ring_events: int
) -> None:
    """Whoever comes while events pour in sees what follows its cursor: all of it, once, in order."""
    starts = [trio.Event() for _ in range(13)]

    async def follow(
        late: int,
        place: float | None,
        types: set[str] | None,
        sessions: set[str] | None,
        pace: list[int],
        takes: list[bool],
    ) -> None:
        await starts[late].wait()
        after = None if place is None else int(store.log.latest * place)
        if types is not None:
            types = types | {LAST}
        begin = store.log.latest if after is None else after
        got: list[int] = []
        awaited = set(sessions or SESSIONS)
        willing = cycle(takes)

        def take(events: Sequence[Event]) -> None:
            for each in events:
                got.append(each.seq)
                if each.record.type == LAST:
                    awaited.discard(each.record.session_id or "")
            if not awaited:
                over.cancel()

        def push(events: Sequence[Event]) -> bool:
            taken = next(willing)
            if taken:
                take(events)
            return taken

        with store.log.subscribe(after, types, sessions) as subscription, trio.CancelScope() as over:
            subscription.push = push if takes else None
            for step in cycle(pace):
                if step < 0:
                    with trio.CancelScope() as scope:
                        scope.cancel()
                        await anext(subscription)
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                take(await anext(subscription))
        expected = await store.log.list(begin, 10_000, types, sessions)
        assert got == [each.seq for each in expected.events]

    with tempfile.TemporaryDirectory() as directory:
        async with open_store(Path(directory, "store.db"), ring_events=ring_events) as store:
            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    for each in subscribers:
                        nursery.start_soon(follow, *each)
                    await wait_all_tasks_blocked()
                    for number, burst in enumerate(bursts):
                        starts[number].set()
                        pending = [store.record(append(*each)) for each in burst]
                        if pending and number % 2:
                            await pending[-1].wait()
                        else:
                            await trio.lowlevel.checkpoint()
                    for late in starts:
                        late.set()
                    await wait_all_tasks_blocked()
                    for session in SESSIONS:
                        store.record(append(LAST, session))


def test_what_is_not_wanted_does_not_hide_what_is() -> None:
    """Two commits before the subscriber's task runs: the first is for it, the second is not."""
    log = EventLog(nobody_reads)
    with log.subscribe(sessions=["a"]) as subscription:
        log.park(subscription, waits=True)
        for seq, session in ((1, "a"), (2, "b")):
            log.publish(Committed((event(seq, 1, "session.qr", session, "{}", None),), 1, seq))
        assert [each.seq for each in subscription.take() or ()] == [1]


async def nobody_reads(query: object) -> Page:
    raise AssertionError(query)


async def test_a_page_may_be_ahead_of_what_is_published() -> None:
    """A commit is in the table before it is published: a subscription waits for that, and does not spin."""

    async def ahead(_query: object) -> events.Page:
        return events.Page(events=(), upto=5, oldest=1, latest=5)

    log = EventLog(ahead)
    log.latest = 3
    log._ring.reset(3)
    told: list[int] = []

    async def listen() -> None:
        with log.subscribe(after=0) as subscription:
            async for batch in subscription:
                told.extend(each.seq for each in batch)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await wait_all_tasks_blocked()
            sixth = event(6, 1, "daemon.started", None, "{}", None)
            log.publish(Committed((event(5, 1, "daemon.started", None, "{}", None), sixth), 1, 6))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert told == [6]


async def test_who_keeps_up_is_told_with_the_commit() -> None:
    """Of 1,000 who wait for the same event, the first hundreds have it at once, the others in their turn."""
    log = EventLog(nobody_reads)
    told: list[int] = []

    def push(events: Sequence[Event]) -> bool:
        told.extend(each.seq for each in events)
        return True

    async def listen() -> None:
        with log.subscribe() as subscription:
            subscription.push = push
            async for batch in subscription:
                told.extend(each.seq for each in batch)

    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(listen)
        await wait_all_tasks_blocked()
        log.publish(Committed((event(1, 1, "daemon.started", None, "{}", None),), 1, 1))
        at_once = len(told)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert told == [1] * 1000
    assert 200 < at_once < 1000


async def test_what_is_large_is_told_in_everybodys_turn(nursery: trio.Nursery) -> None:
    """It would be held, put together, and copied to hundreds of sockets, before anybody else had a turn."""
    log = EventLog(nobody_reads)
    told: list[tuple[str, int]] = []

    def push(events: Sequence[Event]) -> bool:
        told.extend(("pushed", each.seq) for each in events)
        return True

    async def listen() -> None:
        with log.subscribe() as subscription:
            subscription.push = push
            async for batch in subscription:
                told.extend(("in turn", each.seq) for each in batch)

    nursery.start_soon(listen)
    large = f'"{"x" * 300_000}"'
    for seq, data in ((1, "{}"), (2, large), (3, "{}")):
        await wait_all_tasks_blocked()
        log.publish(Committed((event(seq, 1, "daemon.started", None, data, None),), 1, seq))
    await wait_all_tasks_blocked()
    assert told == [("pushed", 1), ("in turn", 2), ("pushed", 3)]
    nursery.cancel_scope.cancel()


async def test_a_subscription_that_never_came_to_be_used_is_not_kept(store: Store) -> None:
    """As of a client that is gone before its answer: nobody would close it."""
    subscription = store.log.subscribe()
    assert (store.log.readers, subscription.cursor) == (1, 0)
    del subscription
    assert store.log.readers == 0

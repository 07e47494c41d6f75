"""The supervisor of one session in virtual time, with lives that do as they are told."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol.errors import RpcError
from supervisors import machine
from supervisors.journal import ConnectionFacts, Outgoing
from supervisors.login import Login
from supervisors.machine import Died, Publish, Rules, State
from supervisors.session import Session
from supervisors.settings import ProfileSettings, RestartSettings
from supervisors.whatsapp.news import AccountNews, Acked, MessageChange, PageMessage

LINKED = ConnectionFacts(phone_number="+491701234567", wid="491701234567@c.us")


class Script:
    """A life that waits to be ended, or for the test to say how it dies."""

    pid = 4711
    page = None

    def __init__(self, session: Session) -> None:
        self.session = session
        self.died: Died | None = None
        self.reconnects = 0
        self.asked: list[str] = []
        self.looks = machine.Broke(machine.PAGE_HUNG)
        self.error: Exception | None = None
        self._over = trio.Event()

    async def run(self) -> Died:
        self.session.give(machine.Admitted())
        await self._over.wait()
        if self.error is not None:
            raise self.error
        assert self.died is not None
        return self.died

    def end(self, cause: str, detail: str | None = None) -> None:
        self.die(cause)

    def end_loop(self) -> None:
        self.asked.append("end_loop")

    def replace_page(self) -> None:
        self.asked.append("replace_page")

    def take_over(self) -> None:
        self.asked.append("take_over")

    def symptom(self) -> machine.Broke:
        return self.looks

    def die(self, cause: str) -> None:
        self.died = self.died or Died(cause)
        self._over.set()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._over.set()

    def reconnect(self) -> None:
        self.reconnects += 1
        self.session.give(machine.Lost("NETWORK"))  # in vain

    def send_outgoing(self) -> None:
        pass


class Memory:
    """A journal that keeps events, and says that they are durable when the test lets it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.held: list[Callable[[], None]] | None = None

    def alerted(self, kind: str, detail: str) -> None:
        pass

    async def is_sending(self) -> bool:
        raise NotImplementedError

    def transition(
        self,
        state: State,
        facts: ConnectionFacts,
        restarts_ms: Sequence[int],
        events: Sequence[Publish],
        incidents: Sequence[machine.Incident],
        recorded: Callable[[], None],
    ) -> None:
        self.events += [event.type for event in events]
        if self.held is None:
            recorded()
        else:
            self.held.append(recorded)

    # Messages are the business of a life; those of these tests have none.

    def received(self, message: PageMessage, *, recovered: bool) -> None:
        raise NotImplementedError

    def acked(self, ack: Acked) -> None:
        raise NotImplementedError

    async def keep_file(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    def changed(self, change: MessageChange) -> None:
        raise NotImplementedError

    def noticed(self, news: AccountNews) -> None:
        raise NotImplementedError

    def resolved(self, message_id: str, key: str, chat_id: str) -> None:
        raise NotImplementedError

    def settled(self, message_id: str, ack: int) -> None:
        raise NotImplementedError

    def failed(self, message_id: str, code: str, message: str) -> None:
        raise NotImplementedError

    def keys_missing(self, message_id: str) -> None:
        raise NotImplementedError

    async def next_due(self) -> float | None:
        raise NotImplementedError

    async def take(self, limit: int) -> Sequence[Outgoing]:
        raise NotImplementedError

    async def unsettled(self) -> Sequence[Outgoing]:
        raise NotImplementedError

    def put_back(self, message_id: str) -> None:
        raise NotImplementedError

    def caught_up(self, until_s: int) -> None:
        raise NotImplementedError

    async def caught_up_s(self) -> int | None:
        raise NotImplementedError


class Stage:
    def __init__(self, rules: Rules, fleet: "Sequence[Session]" = ()) -> None:
        self.journal = Memory()
        self.lives: list[Script] = []
        self.session = Session(
            "shop",
            journal=self.journal,
            begin=self._begin,
            rules=rules,
            login=Login("shop", Path("/nowhere"), ProfileSettings(), print, print),
            fleet=fleet,
        )

    def _begin(self, session: Session) -> Script:
        self.lives.append(Script(session))
        return self.lives[-1]

    async def connect(self) -> None:
        await wait_all_tasks_blocked()
        self.session.connect(LINKED)


@pytest.fixture
async def stage(nursery: trio.Nursery) -> AsyncIterator[Stage]:
    stage = Stage(Rules(restart=RestartSettings()))
    await nursery.start(stage.session.run)
    yield stage
    nursery.cancel_scope.cancel()


async def test_deaths_are_answered_on_time(stage: Stage, autojump_clock: MockClock) -> None:
    """Settle, cooldown, give-up and revival, at their seconds."""
    stage.session.give(machine.Start())
    began: list[float] = []
    for _ in range(4):
        await stage.connect()
        died_at = trio.current_time()
        stage.lives[-1].die("BROWSER_CRASHED")
        await wait_all_tasks_blocked()
        if stage.session.state.reason == "RESTART_LIMIT_EXCEEDED":
            break
        await stage.session.reached(lambda state: state.status == "connecting")
        began.append(trio.current_time() - died_at)
    assert began == pytest.approx([2.0, 30.0, 30.0])
    given_up = trio.current_time()
    await stage.session.reached(lambda state: state.status == "connecting")
    assert trio.current_time() - given_up == pytest.approx(900.0)
    await wait_all_tasks_blocked()
    assert len(stage.lives) == 5


async def test_stop_is_answered_whatever_is_under_way(stage: Stage, autojump_clock: MockClock) -> None:
    for prepare in ("launch", "back-off", "connected"):
        stage.session.give(machine.Start())
        await wait_all_tasks_blocked()
        if prepare != "launch":
            await stage.connect()
        if prepare == "back-off":
            stage.lives[-1].die("PAGE_CRASHED")
            await wait_all_tasks_blocked()
        before = trio.current_time()
        stage.session.give(machine.Stop())
        await stage.session.reached(lambda state: state.status == "inactive")
        assert trio.current_time() == before
        assert stage.session.life is None
    assert len(stage.lives) == 3


@pytest.mark.parametrize("held", [False, True])
async def test_who_waits_for_an_end_is_answered_though_somebody_starts_again_at_once(
    stage: Stage, autojump_clock: MockClock, held: bool
) -> None:
    """As a program does that tries to start until it is let."""

    async def stop() -> None:
        stage.session.give(machine.Stop())
        await stage.session.stopped()

    async def hold() -> None:
        stage.session.give(machine.Hold("AUTH_CLEARED"))
        stage.session.give(machine.Stop())
        assert not await stage.session.held()

    async def insist() -> None:
        while True:
            with contextlib.suppress(RpcError):
                return stage.session.give(machine.Start())
            await trio.lowlevel.checkpoint()

    for _ in range(20):  # which of the two sees the end first is left to chance
        stage.session.give(machine.Start())
        await stage.connect()
        with trio.fail_after(1):
            async with trio.open_nursery() as inner:
                inner.start_soon(hold if held else stop)
                inner.start_soon(insist)
        await stage.connect()
        await stop()


async def test_a_hundred_starts_begin_one_life(stage: Stage, autojump_clock: MockClock) -> None:
    refusals = 0
    for _ in range(100):
        try:
            stage.session.give(machine.Start())
        except RpcError as error:
            refusals += error.code == "SESSION_BUSY"
    await wait_all_tasks_blocked()
    assert (len(stage.lives), refusals) == (1, 99)


async def test_nothing_is_told_before_it_is_durable(stage: Stage, autojump_clock: MockClock) -> None:
    stage.journal.held = []
    stage.session.give(machine.Start())
    await stage.connect()
    assert stage.session.state.status == "connected"
    told: list[str] = [stage.session.told.status]
    for recorded in stage.journal.held:
        recorded()
        told.append(stage.session.told.status)
    assert told == ["inactive", "connecting", "connected"]
    with trio.fail_after(1):
        await stage.session.recorded()


async def test_a_lost_network_is_retried_by_the_same_life(stage: Stage, autojump_clock: MockClock) -> None:
    stage.session.give(machine.Start())
    await stage.connect()
    stage.session.give(machine.Lost("NETWORK"))
    began = trio.current_time()
    with trio.move_on_after(95):
        await trio.sleep_forever()
    assert stage.lives[-1].reconnects == 3
    stage.session.connect(LINKED)
    assert stage.journal.events[-1] == "session.recovered"
    assert trio.current_time() == pytest.approx(began + 95)
    assert len(stage.lives) == 1


@pytest.mark.parametrize("older", [True, False])
async def test_of_two_sessions_with_one_number_the_later_link_goes(
    nursery: trio.Nursery, autojump_clock: MockClock, older: bool
) -> None:
    """Whichever connects first: it is the time of the link that counts."""
    fleet: list[Session] = []
    here, there = Stage(Rules(), fleet), Stage(Rules(), fleet)
    fleet += [here.session, there.session]
    here.session.facts = ConnectionFacts(linked_at_ms=1 if older else 3)
    there.session.facts = ConnectionFacts(linked_at_ms=2)
    for stage in (there, here):
        await nursery.start(stage.session.run)
        stage.session.give(machine.Start())
        await stage.connect()
        await wait_all_tasks_blocked()
    loser, winner = (there, here) if older else (here, there)
    assert (loser.session.state.status, loser.session.state.reason) == ("inactive", "PHONE_NUMBER_IN_USE")
    assert loser.session.state.desired == "stopped"
    assert winner.session.state.status == "connected"
    nursery.cancel_scope.cancel()


async def test_an_error_of_our_own_ends_the_supervisor_only(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What `run` raises goes to its keeper, which tells the policy and runs it again."""
    stage = Stage(Rules(restart=RestartSettings(settle=0, cooldown=0)))

    async def break_it() -> None:
        async with trio.open_nursery() as inner:
            await inner.start(stage.session.run)
            stage.session.give(machine.Start())
            await wait_all_tasks_blocked()
            stage.lives[-1].fail(ValueError("a defect"))

    with pytest.raises(ExceptionGroup):
        await break_it()
    stage.session.fail()
    assert (stage.session.state.status, stage.session.state.reason) == ("disconnected", "INTERNAL_ERROR")
    await nursery.start(stage.session.run)
    await stage.session.reached(lambda state: state.status == "connecting")
    await wait_all_tasks_blocked()
    assert len(stage.lives) == 2
    stage.session.leave()


async def test_the_wall_clock_may_jump(
    stage: Stage, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's display follows the wall clock, its decisions do not."""
    stage.session.give(machine.Start())
    await stage.connect()
    stage.lives[-1].die("BROWSER_CRASHED")
    await wait_all_tasks_blocked()
    monkeypatch.setattr("supervisors.session.time.time", lambda: 10_000_000_000.0)
    before = trio.current_time()
    await stage.session.reached(lambda state: state.status == "connecting")
    assert trio.current_time() - before == pytest.approx(2.0)
    assert stage.session.restarts_ms() == (10_000_000_000_000,)


async def test_a_recovery_heeds_its_deadlines_and_no_wall_clock(
    stage: Stage, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is replaced in vain costs its browser, whatever NTP does meanwhile."""
    stage.session.give(machine.Start())
    await stage.connect()
    stage.lives[-1].looks = machine.Broke("LIBRARY_NOT_READY", "no modules")
    began = trio.current_time()
    stage.session.give(machine.Broke("PAGE_CLOSED", None, machine.Level.PAGE))
    monkeypatch.setattr("supervisors.session.time.time", lambda: 0.0)
    with trio.fail_after(1000):
        await stage.session.until(lambda: len(stage.lives) == 2)
    assert stage.lives[0].asked == ["replace_page"]
    assert trio.current_time() - began == pytest.approx(90 + 2)
    await stage.connect()
    assert len(stage.session.state.ledger.restarts) == 1
    assert stage.journal.events[-1] == "session.recovered"

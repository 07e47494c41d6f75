"""Recovery level by level, step by step in virtual time, and by properties against a model of a life."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RpcError
from supervisors.machine import (
    LOGGED_OUT,
    UPDATE_AGAIN_S,
    WAITING_FOR_MEMORY,
    Admitted,
    Broke,
    Connected,
    Died,
    End,
    EndLoop,
    Event,
    Hold,
    Launch,
    Level,
    LoggedOut,
    Lost,
    Mended,
    Note,
    Noticed,
    Over,
    Phase,
    Publish,
    QrShown,
    Queued,
    Reconnect,
    Release,
    Reload,
    ReplacePage,
    RestartNow,
    Restore,
    Rules,
    Shutdown,
    Start,
    State,
    Stop,
    TakeOver,
    Tick,
    Tried,
    UpdateWanted,
    step,
)
from supervisors.policy import Ledger, ReconnectSettings
from supervisors.settings import RestartSettings
from tests.supervisors.test_machine import LINKED, QR, Run, connected

HUNG = Broke("PAGE_HUNG", "no answer", Level.LOOP)
CRASHED = Broke("PAGE_CRASHED", "killed, code 9")
CLOSED = Broke("PAGE_CLOSED", "closed", Level.PAGE)
DEATH = ["connected>disconnected", "disconnected", "restarting", "disconnected>connecting", "connecting"]
BACK = ["connecting>connected", "connected", "recovered"]


def test_a_loop_is_ended_in_place_and_nobody_is_told_of_a_death() -> None:
    run = connected().give(HUNG)
    assert (run.told, run.done) == ([], [EndLoop()])
    assert run.incidents == [Note("PAGE_HUNG", "no answer", "LOOP_ENDED")]
    assert len(run.state.ledger.restarts) == 1
    run.give(Mended())
    assert (run.told, run.done, run.incidents) == ([], [], [Over(only="PAGE_HUNG")])
    assert (run.state.status, run.state.deadline) == ("connected", None)


def test_a_start_into_an_outage_is_no_death() -> None:
    """Half a page, another page, none at all: the deadline finds the network to blame."""
    run = Run().give(Start(), Admitted())
    run.now += 90
    run.give(Tick(Lost("NETWORK", "status 503")))
    assert run.state.ledger.restarts == ()
    assert (run.state.status, run.state.reason, run.done) == ("disconnected", "NETWORK", [])
    assert run.incidents == [Note("NETWORK", "status 503", "RECONNECT")]
    assert run.state.deadline == run.now + 30


def test_an_interval_counts_from_the_attempt_however_late_its_failure_is_seen() -> None:
    run = connected().give(Lost("NETWORK"))
    assert run.until_deadline().done == [Reconnect()]
    tried_at = run.now
    run.now += 20
    assert run.give(Lost("NETWORK", "half a page")).state.deadline == tried_at + 30
    assert run.until_deadline().done == [Reconnect()]
    run.now += 45
    assert run.give(Lost("NETWORK", "half a page")).state.deadline == run.now


def test_a_loop_that_cannot_be_ended_leads_to_a_new_page_and_then_a_new_browser() -> None:
    run = connected().give(HUNG)
    run.now += 10
    run.give(msgspec.structs.replace(HUNG, level=Level.PAGE))
    assert (run.told, run.done, run.incidents) == (DEATH, [ReplacePage()], [Tried("NEW_PAGE")])
    assert run.state.ledger.restarts == (run.now,)
    run.until_deadline()
    assert (run.told, run.done) == ([], [End("PAGE_HUNG")])
    run.give(Died("PAGE_HUNG"))
    assert (run.told, run.state.phase, run.state.status) == ([], Phase.WAITING, "connecting")
    launched = run.now + 2
    assert run.until_deadline().done == [Launch()]
    assert run.state.ledger.restarts == (launched,)
    assert run.give(Admitted(), LINKED).told == BACK
    assert run.incidents == [Over()]


def test_a_crashed_page_is_loaded_again_at_once_in_its_browser() -> None:
    run = connected().give(CRASHED)
    assert (run.told, run.done) == (DEATH, [Reconnect()])
    assert run.incidents == [Note("PAGE_CRASHED", "killed, code 9", "RELOADED")]
    run.now += 1
    assert run.give(LINKED).told == BACK
    assert run.state.repair is None


def test_each_level_has_its_time() -> None:
    run = connected().give(CRASHED)
    began = run.now
    assert run.until_deadline().done == [ReplacePage()]
    assert run.now == began + 90
    assert run.until_deadline().done == [End("PAGE_HUNG")]
    assert run.now == began + 180


def test_the_cooldown_holds_for_pages_too() -> None:
    run = connected().give(CRASHED, LINKED)
    run.now += 5
    run.give(CRASHED)
    assert (run.told, run.done) == (DEATH[:3], [])
    assert run.published[-1].data["delay"] == 25
    assert run.until_deadline().done == [Reconnect()]
    assert run.told == DEATH[3:]
    assert run.give(LINKED).told == BACK


def test_a_page_that_loops_again_too_soon_is_replaced_when_the_cooldown_is_over() -> None:
    run = connected().give(HUNG, Mended())
    run.now += 20
    run.give(HUNG)
    assert (run.told, run.done) == (DEATH[:3], [])
    assert run.incidents == [Note("PAGE_HUNG", "no answer", "NEW_PAGE")]
    assert run.until_deadline().done == [ReplacePage()]


def test_the_limit_holds_for_all_levels_together() -> None:
    run = connected()
    for broke in (HUNG, CRASHED, CLOSED):
        run.give(broke)
        if run.state.repair is not None and not run.state.repair.begun:
            run.until_deadline()
        run.give(Mended(), LINKED)
    run.now += 31
    run.give(CRASHED)
    assert (run.told, run.done) == ([], [End("PAGE_CRASHED", "killed, code 9")])
    run.give(Died("PAGE_CRASHED", "killed, code 9"))
    assert run.told == ["connected>disconnected", "disconnected", "restart_limit"]
    assert run.incidents == [Note("PAGE_CRASHED", "killed, code 9", "GIVEN_UP")]
    assert run.state.deadline == run.now + 900


def test_a_browser_that_dies_of_its_closed_page_costs_one_entry_and_one_chain() -> None:
    run = connected().give(CLOSED)
    assert (run.told, run.done) == (DEATH, [ReplacePage()])
    run.give(Died("BROWSER_EXITED", "exit code 0"))
    assert (run.told, run.incidents) == ([], [Note("BROWSER_EXITED", "exit code 0", "NEW_BROWSER")])
    assert run.until_deadline().done == [Launch()]
    assert len(run.state.ledger.restarts) == 1
    assert run.give(Admitted(), LINKED).told == BACK


def test_a_silent_browser_is_not_asked_for_less() -> None:
    run = connected().give(Broke("BROWSER_HUNG", "silent", Level.BROWSER))
    assert run.done == [End("BROWSER_HUNG", "silent")]
    assert run.give(Died("BROWSER_HUNG", "silent")).told == DEATH[:3]
    assert run.until_deadline().done == [Launch()]


def test_what_a_dead_page_said_last_does_not_count() -> None:
    run = connected().give(CRASHED, LINKED)
    run.now += 1
    run.give(CRASHED)
    for stale in (LINKED, QR, Lost("NETWORK"), LoggedOut()):
        assert run.give(stale).actions == ()


def test_the_network_takes_a_recovery_over_from_the_levels() -> None:
    """What cannot be loaded for want of a network is not tried at dearer levels."""
    run = connected().give(CRASHED, Lost("NETWORK", "net::ERR_NAME_NOT_RESOLVED"))
    assert run.state.repair is None
    assert run.until_deadline().done == [Reconnect()]
    assert len(run.state.ledger.restarts) == 1


def test_commands_cut_a_planned_recovery_short() -> None:
    planned = connected().give(CLOSED, LINKED).give(CLOSED)
    assert planned.done == []
    for command, done in (
        (Start(), ReplacePage()),
        (Stop(), End()),
        (RestartNow(), End()),
        (Reload(), Reconnect()),
        (Hold("AUTH_CLEARED"), End()),
        (Shutdown(), End()),
    ):
        run = Run(planned.state).give(command)
        assert run.done == [done]
        assert run.state.repair is None


def test_stop_while_a_new_browser_is_awaited() -> None:
    for command, status in ((Stop(), "inactive"), (Shutdown(), "disconnected"), (Hold("X"), "disconnected")):
        run = connected().give(CLOSED, Died("BROWSER_EXITED"))
        assert (run.state.phase, run.state.status) == (Phase.WAITING, "connecting")
        run.give(command)
        assert (run.done, run.state.status) == ([], status)


def test_a_gpu_process_that_died_is_an_incident_and_no_more() -> None:
    run = connected()
    before = run.state
    run.give(Noticed("GPU_CRASHED", "exit_code=9"))
    assert run.actions == (Note("GPU_CRASHED", "exit_code=9", "NONE", over=True),)
    assert run.state == before


def test_a_page_that_wants_an_update_is_loaded_again_once() -> None:
    run = connected().give(UpdateWanted())
    assert (run.told, run.done) == (DEATH, [Reconnect()])
    run.give(LINKED)
    for _ in range(10):
        run.now += 60
        assert run.give(UpdateWanted()).actions == ()
    run.now += UPDATE_AGAIN_S
    assert run.give(UpdateWanted()).done == [Reconnect()]


def test_an_update_costs_no_working_page() -> None:
    """With the budget spent, or the cooldown running, it has to wait."""
    run = connected().give(CRASHED, LINKED).give(UpdateWanted())
    assert (run.actions, run.state.status) == ((), "connected")
    run.now += 31
    assert run.give(UpdateWanted()).done == [Reconnect()]


@pytest.mark.parametrize("reason", ["BANNED", "TOS_BLOCK", "DEPRECATED_VERSION", "PROXYBLOCK"])
def test_a_barred_account_is_told_of_once_and_tried_slowly(reason: str) -> None:
    run = connected().give(Lost(reason, "said the page"))
    assert run.told == ["connected>disconnected", "disconnected", "alert"]
    assert run.published[-1].data == {"kind": reason, "detail": "said the page"}
    assert run.incidents == [Note(reason, "said the page", "WAIT")]
    for _ in range(20):
        began = run.now
        assert run.until_deadline().done == [Reconnect()]
        assert run.now == began + 900
        assert run.give(Lost(reason, "said the page")).told == []
    assert run.state.ledger.restarts == ()
    assert run.give(LINKED).told == ["disconnected>connected", "connected", "recovered"]


def test_an_outage_that_turns_out_to_be_a_ban_is_not_hammered() -> None:
    run = connected().give(Lost("NETWORK"), Lost("BANNED"))
    assert run.state.deadline == run.now + 900


def test_a_ban_that_takes_the_connection_with_it_stays_a_ban() -> None:
    run = connected().give(Lost("BANNED", "account_temporarily_banned"), Lost("NETWORK", "socket OPENING"))
    assert (run.state.reason, run.state.deadline) == ("BANNED", run.now + 900)
    run.until_deadline().give(Lost("NETWORK", "socket TIMEOUT"))
    assert (run.state.reason, run.state.deadline) == ("BANNED", run.now + 900)
    assert run.give(Lost("PROXYBLOCK")).state.reason == "PROXYBLOCK"


def test_a_conflict_is_taken_back_on_schedule() -> None:
    run = connected().give(Lost("CONFLICT"))
    assert run.incidents == [Note("CONFLICT", None, "TAKEOVER")]
    began = run.now
    assert run.until_deadline().done == [TakeOver()]
    assert run.now == began + 30
    assert run.until_deadline().done == [Reconnect()]
    assert run.until_deadline().done == [TakeOver()]


def test_a_conflict_is_yielded_until_somebody_starts_the_session() -> None:
    run = Run(rules=Rules(conflict="yield")).give(Start(), Admitted(), LINKED, Lost("CONFLICT"))
    assert run.told[-1] == "alert"
    assert run.incidents[-1] == Note("CONFLICT", None, "YIELDED")
    assert run.state.deadline is None
    assert run.give(Start()).done == [TakeOver()]
    assert run.told == ["disconnected>connecting", "connecting"]


def test_an_unlinked_account_is_an_incident_until_it_is_linked_again() -> None:
    run = connected().give(LoggedOut())
    assert run.incidents == [Note(LOGGED_OUT, None, "NEW_QR")]
    assert run.give(QR).incidents == [Over(but=LOGGED_OUT)]
    assert run.give(LINKED).incidents == [Over()]


# -- any order of events


_BELOW = (HUNG, CRASHED, CLOSED, Broke("BROWSER_HUNG", None, Level.BROWSER))
_OF_A_LIFE = (
    Queued,
    Admitted,
    QrShown,
    Connected,
    Lost,
    LoggedOut,
    Broke,
    Mended,
    Noticed,
    UpdateWanted,
    Died,
)

_events = st.lists(
    st.sampled_from(
        [
            Start(),
            Stop(),
            RestartNow(),
            Reload(),
            Hold("AUTH_CLEARED"),
            Release(),
            Queued(WAITING_FOR_MEMORY),
            Admitted(),
            QR,
            LINKED,
            LINKED,
            Lost("NETWORK"),
            Lost("BANNED"),
            Lost("CONFLICT"),
            LoggedOut(),
            *_BELOW,
            Mended(),
            UpdateWanted(),
            Noticed("GPU_CRASHED"),
            Died("BROWSER_CRASHED"),
            Tick(),
            Tick(),
            *(Tick(broke) for broke in _BELOW),
            Tick(Lost("NETWORK")),
        ]
    ),
    max_size=80,
)
_gaps = st.lists(st.sampled_from([0.0, 0.5, 3.0, 31.0, 95.0, 1000.0]), min_size=80, max_size=80)


class Model:
    """What must hold of a life and its recoveries, kept beside the machine."""

    def __init__(self, restart: RestartSettings) -> None:
        self.restart = restart
        self.alive = False
        self.ending = False
        self.due = False  # a new browser that the policy has granted is about to start
        self.launched: list[float] = []  # when those of this budget did
        self.open: list[str] = []

    def before(self, event: Event) -> bool:
        """Whether the event can happen; notes that a browser is gone."""
        if isinstance(event, _OF_A_LIFE) and not self.alive:
            return False
        if isinstance(event, Died):
            self.alive = self.ending = False
        return True

    def after(self, run: Run, event: Event, before: State) -> None:
        """Hold what was done against the rules."""
        if isinstance(event, Start | RestartNow | Release):
            self.launched = []
        if isinstance(event, Admitted) and self.due:
            self.due = False
            self.launched.append(run.now)
            for first in self.launched:
                inside = [at for at in self.launched if first <= at < first + self.restart.window]
                assert len(inside) <= self.restart.max_restarts, "whatever the ledger says"
            for earlier, later in itertools.pairwise(self.launched):
                assert later - earlier >= self.restart.cooldown
        for action in run.actions:
            match action:
                case Launch():
                    assert not self.alive, "two Chromes"
                    self.alive = True
                    self.due = isinstance(event, Tick) and before.phase is Phase.WAITING
                    if isinstance(event, Tick) and before.phase is Phase.DOWN:
                        self.launched = []  # the revival
                case End():
                    assert self.alive
                    self.ending = True
                case Reconnect() | EndLoop() | ReplacePage() | TakeOver():
                    assert self.alive
                case Note(kind=kind, over=over) if not over:
                    self.open.append(kind)
                case Over(only=only, but=but):
                    self.open = [k for k in self.open if (only and k != only) or (but and k == but)]
                case Publish(type="session.restarting", data=data):
                    assert 1 <= data["attempt"] <= self.restart.max_restarts  # type: ignore[operator]  # ints
        restarts = run.state.ledger.restarts
        assert list(restarts) == sorted(restarts)
        for first in restarts:
            inside = [at for at in restarts if first <= at < first + self.restart.window]
            assert len(inside) <= self.restart.max_restarts
        for earlier, later in itertools.pairwise(restarts):
            assert later - earlier >= self.restart.cooldown
        state = run.state
        if state.status == "connected" and state.phase is Phase.UP and not self.ending:
            assert not self.open or state.repair is not None
        if state.repair is not None:
            assert state.phase is Phase.UP
        if isinstance(event, Tick) and state.deadline is not None:
            again, _ = step(state, event, run.now, run.rules)
            again, _ = step(again, event, run.now, run.rules)
            assert again.deadline is None or again.deadline > run.now, "it would go round and round"
        has_next = (
            state.deadline is not None
            or state.status == "connected"  # probed by its life
            or self.ending  # bounded by its life
            or state.phase is Phase.HELD
            or (state.phase is Phase.STARTING and self.alive)  # waits for its turn
        )
        assert state.desired == "stopped" or has_next, "nothing will ever happen to it"


@settings(max_examples=600)
@given(_events, _gaps)
def test_whatever_breaks_the_rules_hold(events: list[Event], gaps: list[float]) -> None:
    """Never two Chromes, never more restarts than allowed, never a wanted session without a next deadline."""
    rules = Rules()
    run, model = Run(rules=rules), Model(rules.restart)
    for event, gap in zip(events, gaps, strict=False):
        run.now += gap
        if not model.before(event):
            continue
        before = run.state
        try:
            run.give(event)
        except RpcError:
            assert run.state == before
            continue
        model.after(run, event, before)
        if run.state.phase is Phase.ENDING:
            run.now += 1
            assert model.before(Died("ENDED"))
            run.give(Died("ENDED"))
            model.after(run, Died("ENDED"), before)


_seconds = st.one_of(st.sampled_from([0.0, 30.0, 90.0, 119.0]), st.floats(min_value=0, max_value=300))


@given(st.lists(st.tuples(_seconds, _seconds), max_size=12))
def test_restarts_count_from_when_they_are_done(lives: list[tuple[float, float]]) -> None:
    """However long each waited for its turn, or for memory, and however short it lived."""
    run, restart = connected(), RestartSettings()
    done: list[float] = []
    for lived, waited in lives:
        run.now += lived
        run.give(Died("BROWSER_CRASHED"))
        if run.state.phase is Phase.DOWN:
            assert len([at for at in done if at + restart.window > run.now]) == restart.max_restarts
            done = []
        run.until_deadline()
        assert run.done == [Launch()]
        if waited:
            run.give(Queued(WAITING_FOR_MEMORY))
            run.now += waited
        run.give(Admitted())
        if run.state.ledger.restarts:  # else it is the revival
            assert not done or run.now >= done[-1] + restart.cooldown
            assert len([at for at in done if at + restart.window > run.now]) < restart.max_restarts
            done.append(run.now)
        run.give(LINKED)


@given(
    length=st.one_of(st.floats(min_value=0, max_value=1000), st.floats(min_value=0, max_value=10**5)),
    seen_after=st.lists(st.floats(min_value=0, max_value=60), min_size=1, max_size=5),
    reason=st.sampled_from(["NETWORK", "CONFLICT"]),
    revive_after=st.sampled_from([900.0, 0.0]),
)
def test_after_an_outage_of_any_length_it_is_connected_within_an_interval(
    length: float, seen_after: list[float], reason: str, revive_after: float
) -> None:
    """However late failures are seen: that of an attempt may be so only after the return."""
    rules = Rules(restart=RestartSettings(revive_after=revive_after))
    run = Run(rules=rules).give(Start(), Admitted(), LINKED, Lost(reason))
    began, ledger = run.now, run.state.ledger
    delays = itertools.cycle(seen_after)
    while True:
        assert run.until_deadline().done in ([Reconnect()], [TakeOver()])
        if run.now >= began + length:  # it is back
            break
        run.now += next(delays)
        run.give(Lost(reason))
    attempts = run.state.reconnects - 1
    interval = 30 if attempts < 10 else revive_after or 30
    assert run.now <= began + length + max(interval, *seen_after)
    assert run.give(LINKED).told == ["disconnected>connected", "connected", "recovered"]
    assert (run.state.ledger, run.state.reconnects) == (ledger, 0)
    assert run.give(Lost(reason)).state.deadline == run.now + 30  # the next outage is a new one


def test_a_start_that_waits_for_its_turn_is_no_restart() -> None:
    """Nor is that of a new daemon, whose ledger is that of the one before."""
    run = Run().give(Start(), Queued())
    run.now += 60
    assert run.give(Admitted()).state.ledger.restarts == ()
    ledger = Ledger(restarts=(990.0,))
    run = Run(State(status="connected", desired="running", ledger=ledger)).give(Restore(), Queued())
    run.now += 60
    assert run.give(Admitted()).state.ledger == ledger


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*_BELOW, Died("BROWSER_CRASHED")]), min_size=1, max_size=12))
def test_whatever_breaks_however_often_it_comes_back(deaths: list[Event]) -> None:
    """With a world that works again it is connected by its own deadlines alone."""
    run = Run(rules=Rules(reconnect=ReconnectSettings())).give(Start(), Admitted(), LINKED)
    for death in deaths:
        run.give(death)
        for _ in range(4):
            ended = any(isinstance(action, End) for action in run.actions)
            if ended:
                run.give(Died("BROWSER_HUNG"))
            if run.state.status == "connected" and run.state.repair is None:
                break
            if run.state.repair is not None and run.state.repair.level is Level.LOOP:
                run.give(Mended())
                break
            if any(isinstance(action, Launch | Reconnect | ReplacePage) for action in run.actions):
                run.now += 1
                run.give(Admitted(), LINKED)
                break
            run.until_deadline()
        assert (run.state.status, run.state.repair) == ("connected", None)
        run.now += 1

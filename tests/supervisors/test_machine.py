"""A session's life, step by step in virtual time, and by properties over any order of events."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RpcError
from supervisors import machine
from supervisors.machine import (
    Admitted,
    Broke,
    Connected,
    Died,
    End,
    Event,
    Hold,
    Launch,
    Level,
    LoggedOut,
    Lost,
    NumberTaken,
    PairingCodeShown,
    Phase,
    Publish,
    QrShown,
    Queued,
    Reconnect,
    Release,
    Reload,
    RestartNow,
    Restore,
    Rules,
    Shutdown,
    Start,
    State,
    Stop,
    Tick,
)

QR = QrShown("1@code", "2026-11-21T10:01:00.000Z")
LINKED = Connected("+491701234567")
CRASH = Died("BROWSER_CRASHED", "signal SIGKILL")


class Run:
    """A machine, its clock, and what it did last."""

    def __init__(self, state: State | None = None, rules: Rules | None = None) -> None:
        self.state = state or State()
        self.rules = rules or Rules()
        self.now = 1000.0
        self.actions: tuple[machine.Action, ...] = ()

    def give(self, *events: Event) -> "Run":
        done: list[machine.Action] = []
        for event in events:
            self.state, actions = machine.step(self.state, event, self.now, self.rules)
            done.extend(actions)
        self.actions = tuple(done)
        return self

    def until_deadline(self) -> "Run":
        assert self.state.deadline is not None
        self.now = self.state.deadline
        return self.give(Tick())

    @property
    def told(self) -> list[str]:
        return [_short(event) for event in self.published]

    @property
    def published(self) -> list[Publish]:
        return [action for action in self.actions if isinstance(action, Publish)]

    @property
    def incidents(self) -> list[machine.Incident]:
        return [action for action in self.actions if isinstance(action, machine.Incident)]

    @property
    def done(self) -> list[machine.Action]:
        return [action for action in self.actions if not isinstance(action, Publish | machine.Incident)]


def _short(event: Publish) -> str:
    if event.type == "session.status":
        return f"{event.data['from']}>{event.data['to']}"
    return event.type.removeprefix("session.")


def connected() -> Run:
    return Run().give(Start(), Admitted(), QR, LINKED)


def test_from_created_to_connected() -> None:
    run = Run().give(Start())
    assert run.told == ["inactive>connecting", "connecting"]
    assert run.done == [Launch()]
    assert run.give(Admitted(), QR).told == ["connecting>qr_generated", "qr"]
    assert run.give(QR).told == ["qr"]
    assert run.give(LINKED).told == ["qr_generated>connected", "connected"]
    assert run.state.desired == "running"
    assert run.state.deadline is None


def test_a_death_is_told_in_the_documented_order() -> None:
    run = connected()
    run.now += 100
    told = list(run.give(CRASH).told)
    assert run.state.reason == "BROWSER_CRASHED"
    assert run.published[2] == Publish(
        "session.restarting", {"reason": "BROWSER_CRASHED", "attempt": 1, "delay": 2.0}
    )
    told += run.until_deadline().told
    assert run.done == [Launch()]
    run.now += 1
    told += run.give(Admitted(), LINKED).told
    assert told == [
        "connected>disconnected",
        "disconnected",
        "restarting",
        "disconnected>connecting",
        "connecting",
        "connecting>connected",
        "connected",
        "recovered",
    ]
    assert run.actions[-1] == Publish("session.recovered", {"downtime": 3.0})


def test_the_fourth_death_gives_up_and_the_revival_begins_anew() -> None:
    run = connected()
    for _ in range(3):
        run.give(CRASH).until_deadline()
        run.give(Admitted(), LINKED)
    run.give(CRASH)
    assert run.told == ["connected>disconnected", "disconnected", "restart_limit"]
    assert (run.state.status, run.state.reason, run.state.phase) == (
        "disconnected",
        "RESTART_LIMIT_EXCEEDED",
        Phase.DOWN,
    )
    gave_up = run.now
    assert run.until_deadline().done == [Launch()]
    assert run.now == gave_up + 900
    assert run.state.ledger.restarts == ()


def test_a_manual_start_begins_a_new_budget_at_once() -> None:
    run = connected()
    for _ in range(3):
        run.give(CRASH).until_deadline()
    run.give(CRASH, Start())
    assert run.done == [Launch()]
    assert run.state.ledger.restarts == ()
    assert run.state.status == "connecting"


def test_a_start_during_the_back_off_tries_at_once() -> None:
    run = connected().give(CRASH).give(Start())
    assert run.done == [Launch()]
    assert run.state.deadline is None


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((Start(),), "SESSION_BUSY"),
        ((Start(), Admitted()), "SESSION_BUSY"),
        ((Start(), Admitted(), QR), "SESSION_ALREADY_STARTED"),
        ((Start(), Admitted(), LINKED), "SESSION_ALREADY_STARTED"),
        ((Start(), Admitted(), LINKED, RestartNow()), "SESSION_BUSY"),
        ((Start(), Admitted(), LINKED, Stop()), "SESSION_BUSY"),
    ],
)
def test_a_start_that_may_not_be_is_refused_and_changes_nothing(events: Sequence[Event], code: str) -> None:
    run = Run().give(*events)
    before = run.state
    with pytest.raises(RpcError) as refusal:
        run.give(Start())
    assert refusal.value.code == code
    assert run.state == before


def test_stop_cuts_short_whatever_is_under_way() -> None:
    for events in ((Start(),), (Start(), Admitted(), LINKED), (Start(), Admitted(), LINKED, RestartNow())):
        run = Run().give(*events).give(Stop())
        assert run.state.status != "inactive"
        run.give(Died(machine.ENDED))
        assert (run.state.status, run.state.reason, run.state.desired) == ("inactive", "STOPPED", "stopped")
        assert run.state.deadline is None


def test_stop_during_the_back_off_is_done_at_once() -> None:
    run = connected().give(CRASH).give(Stop())
    assert run.told == ["disconnected>inactive"]
    assert run.done == []


def test_restart_is_connecting_at_once_and_spends_nothing() -> None:
    run = connected().give(RestartNow())
    assert run.told == ["connected>disconnected", "disconnected", "disconnected>connecting", "connecting"]
    assert run.done == [End()]
    run.give(Died(machine.ENDED))
    assert (run.told, run.done) == ([], [Launch()])
    assert run.state.ledger.restarts == ()


def test_restart_of_an_inactive_session_is_a_start() -> None:
    assert Run().give(RestartNow()).done == [Launch()]


def test_a_lost_network_spends_no_restart_and_is_retried_for_ever() -> None:
    run = connected()
    run.give(Lost("NETWORK"))
    assert run.told == ["connected>disconnected", "disconnected"]
    began = run.now
    for _ in range(10):
        assert run.until_deadline().done == [Reconnect()]
        run.give(Lost("NETWORK"))  # it has failed at once
    assert run.now == began + 300
    run.until_deadline()
    assert run.now == began + 1200
    assert run.give(LINKED).told == ["disconnected>connected", "connected", "recovered"]
    assert run.state.ledger.restarts == ()


def test_more_news_of_an_outage_does_not_push_its_next_attempt_away() -> None:
    run = connected().give(Lost("NETWORK"))
    due = run.state.deadline
    run.now += 20
    run.give(Lost("NETWORK"))
    assert run.state.deadline == due


def test_an_unlinked_session_goes_to_a_new_qr() -> None:
    run = connected().give(LoggedOut())
    assert (run.state.status, run.state.reason) == ("disconnected", "LOGGED_OUT")
    assert run.give(QR).told == ["disconnected>qr_generated", "qr"]
    assert run.state.reason == "LOGGED_OUT"
    assert run.give(LINKED).told == ["qr_generated>connected", "connected"]


def test_a_page_that_never_gets_anywhere_is_hung() -> None:
    run = Run().give(Start())
    assert run.state.deadline is None  # waits for its turn to launch; that is no hang
    run.give(Admitted())
    run.give(Tick(Broke("PAGE_HUNG", "no page", Level.BROWSER)))
    assert run.done == []
    run.now += 90
    assert run.give(Tick(Broke("PAGE_HUNG", "no page", Level.BROWSER))).done == [End("PAGE_HUNG", "no page")]
    assert run.give(Died("PAGE_HUNG")).told == ["connecting>disconnected", "disconnected", "restarting"]


def test_a_missing_browser_is_not_tried_three_times() -> None:
    run = Run().give(Start(), Admitted(), Died("BROWSER_UNAVAILABLE", "no browser"))
    assert (run.state.status, run.state.reason) == ("disconnected", "BROWSER_UNAVAILABLE")
    assert "restarting" not in run.told
    assert run.state.deadline == run.now + 900


def test_after_a_restart_of_the_daemon_what_was_wanted_runs_again() -> None:
    run = Run(State(status="connected", desired="running")).give(Restore())
    assert run.told == ["connected>disconnected", "disconnected", "disconnected>connecting", "connecting"]
    assert run.done == [Launch()]
    run = Run(State(status="connected", desired="stopped")).give(Restore())
    assert (run.told, run.done) == (["connected>inactive"], [])


def test_shutdown_keeps_what_is_wanted() -> None:
    run = connected().give(Shutdown())
    assert run.done == [End()]
    run.give(Died(machine.ENDED))
    assert (run.state.status, run.state.reason, run.state.desired) == (
        "disconnected",
        "DAEMON_STOPPED",
        "running",
    )
    assert run.state.deadline is None


def test_reload_keeps_the_browser_and_the_ledger() -> None:
    run = connected().give(CRASH).until_deadline().give(Admitted(), LINKED)
    ledger = run.state.ledger
    run.give(Reload())
    assert run.told == ["connected>disconnected", "disconnected", "disconnected>connecting", "connecting"]
    assert run.done == [Reconnect()]
    assert run.state.deadline == run.now + 90
    assert run.state.ledger == ledger
    with pytest.raises(RpcError, match="SESSION_BUSY"):
        run.give(Reload())
    assert run.give(LINKED).told == ["connecting>connected", "connected"]
    run.now += 100
    run.give(Reload())
    assert run.until_deadline().done == [Reconnect()]


@pytest.mark.parametrize("events", [(), (Start(), Admitted(), LINKED, CRASH)])
def test_reload_needs_a_browser(events: Sequence[Event]) -> None:
    with pytest.raises(RpcError, match="SESSION_NOT_STARTED"):
        Run().give(*events).give(Reload())


def test_a_held_session_has_no_browser_until_it_is_released() -> None:
    run = connected().give(Hold("AUTH_CLEARED"))
    assert run.told == ["connected>disconnected", "disconnected"]
    assert run.done == [End()]
    run.give(Died(machine.ENDED))
    assert (run.told, run.done, run.state.phase) == ([], [], Phase.HELD)
    for command in (Start(), RestartNow(), Reload(), Hold("AUTH_CLEARED")):
        with pytest.raises(RpcError, match="SESSION_BUSY"):
            run.give(command)
    assert run.state.deadline is None
    assert run.give(Release()).done == [Launch()]
    assert run.told == ["disconnected>connecting", "connecting"]


def test_a_held_session_that_was_stopped_stays_so() -> None:
    run = Run().give(Hold("AUTH_CLEARED"))
    assert (run.told, run.done, run.state.status) == ([], [], "inactive")
    run.give(Release())
    assert (run.told, run.done, run.state.phase) == ([], [], Phase.DOWN)


def test_a_session_in_its_back_off_is_held_at_once() -> None:
    run = connected().give(CRASH, Hold("AUTH_CLEARED"))
    assert (run.state.phase, run.state.reason, run.done) == (Phase.HELD, "AUTH_CLEARED", [])
    assert run.give(Release()).done == [Launch()]
    assert run.state.ledger.restarts == ()


@pytest.mark.parametrize("died", [False, True])
def test_stop_and_shutdown_outlast_a_hold(died: bool) -> None:
    """Whether the browser is still being ended or gone."""
    for command, status in ((Stop(), "inactive"), (Shutdown(), "disconnected")):
        run = connected().give(Hold("AUTH_CLEARED"))
        if died:
            run.give(Died(machine.ENDED), command, Release())
        else:
            run.give(command, Died(machine.ENDED))
        assert (run.state.phase, run.state.status, run.state.then) == (Phase.DOWN, status, None)
        assert run.done == []
        assert run.give(Release()).done == []  # of a hold that never came about


def test_a_launch_that_waits_says_so() -> None:
    run = Run().give(Start(), Queued())
    assert (run.state.status, run.state.reason, run.state.deadline) == (
        "connecting",
        "WAITING_FOR_LAUNCH",
        None,
    )
    run.now += 3600
    run.give(Admitted())
    assert (run.state.reason, run.state.deadline) == (None, run.now + 90)


def test_the_later_link_to_a_number_is_stopped_and_says_why() -> None:
    run = Run().give(Start(), Admitted(), QR).give(NumberTaken("The number is linked to the session a"))
    assert run.done == [End()]
    run.give(Died(machine.ENDED))
    assert run.told == ["qr_generated>inactive"]
    assert (run.state.reason, run.state.desired) == ("PHONE_NUMBER_IN_USE", "stopped")
    assert run.state.detail == "The number is linked to the session a"
    run.give(Start(), Admitted(), LINKED, Stop(), Died(machine.ENDED))
    assert run.state.reason == "STOPPED"
    assert run.state.detail is None


def test_codes_that_stop_coming_are_a_hang() -> None:
    run = Run().give(Start(), Admitted(), QR)
    for _ in range(1000):  # hours
        run.now += 60
        assert run.give(QR).told == ["qr"]
        assert run.give(Tick()).done == []
    assert run.until_deadline().done == [Reconnect()]
    assert run.told == [
        "qr_generated>disconnected",
        "disconnected",
        "restarting",
        "disconnected>connecting",
        "connecting",
    ]


def test_a_pairing_code_has_its_own_patience() -> None:
    run = Run().give(Start(), Admitted(), QR)
    code = PairingCodeShown("ABCD1234", "2026-11-21T10:03:15.000Z")
    assert run.give(code).told == ["pairing_code"]
    assert run.state.status == "qr_generated"
    assert run.give(QR).state.deadline == run.now + 195 + 90
    assert connected().give(code).told == []


LEGAL = {
    ("inactive", "connecting"),
    ("connecting", "qr_generated"),
    ("connecting", "connected"),
    ("qr_generated", "connected"),
    ("connecting", "disconnected"),
    ("qr_generated", "disconnected"),
    ("connected", "disconnected"),
    ("disconnected", "connecting"),
    ("disconnected", "qr_generated"),
    ("disconnected", "connected"),
} | {(status, "inactive") for status in ("connecting", "qr_generated", "connected", "disconnected")}

_OF_A_BROWSER = (
    Died | Queued | Admitted | QrShown | PairingCodeShown | NumberTaken | Connected | Lost | LoggedOut
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
            Shutdown(),
            Queued(),
            Admitted(),
            QR,
            PairingCodeShown("ABCD1234", "2026-11-21T10:03:15.000Z"),
            NumberTaken("another"),
            LINKED,
            Lost("NETWORK"),
            LoggedOut(),
            CRASH,
            Died("BROWSER_UNAVAILABLE"),
            Tick(),
        ]
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(_events, st.lists(st.floats(min_value=0, max_value=500), min_size=60, max_size=60))
def test_any_order_of_events_keeps_the_rules(events: list[Event], gaps: list[float]) -> None:
    """Transitions are legal; at most one browser lives; a browser's news come only while there is one."""
    run = Run()
    alive = False
    for event, gap in zip(events, gaps, strict=False):
        run.now += gap
        if isinstance(event, _OF_A_BROWSER) and not alive:
            continue
        if isinstance(event, Died):
            alive = False
        before = run.state
        try:
            run.give(event)
        except RpcError:  # which commands, and why, is told above
            assert run.state == before
            continue
        for action in run.actions:
            match action:
                case Launch():
                    assert not alive
                    alive = True
                case End() | Reconnect():
                    assert alive
                case Publish(type="session.status", data=data):
                    assert (data["from"], data["to"]) in LEGAL
        assert alive == (run.state.phase in (Phase.STARTING, Phase.UP, Phase.ENDING))
        if isinstance(event, Stop) and not alive and run.state.phase is not Phase.HELD:
            assert run.state.status == "inactive"
        if run.state.phase is Phase.HELD:
            assert run.state.status in ("inactive", "disconnected")
            assert run.state.deadline is None

"""The restart policy and the reconnect schedule, in numbers and by properties."""

from hypothesis import given
from hypothesis import strategies as st

from supervisors import policy
from supervisors.policy import GiveUp, Ledger, ReconnectSettings, Restart
from supervisors.settings import RestartSettings

DEFAULTS = RestartSettings()


@given(
    restarts=st.lists(st.integers(min_value=0, max_value=10**13), max_size=4),
    wall_ms=st.integers(min_value=0, max_value=10**13),
    now=st.floats(min_value=0, max_value=10**6),
)
def test_a_restored_ledger_holds_nobody_back_for_longer_than_its_numbers(
    restarts: list[int], wall_ms: int, now: float
) -> None:
    """Whatever the wall clock did meanwhile."""
    settings = RestartSettings()
    ledger = policy.restored(restarts, wall_ms, now)
    assert policy.next_allowed(ledger, settings, now) <= now + settings.window
    assert all(at <= now for at in ledger.restarts)
    verdict = policy.after_death(ledger, settings, now)
    if isinstance(verdict, policy.Restart):
        assert verdict.at <= now + settings.cooldown
    assert policy.after_death(ledger, settings, now + settings.window) == policy.Restart(
        at=now + settings.window + settings.settle,
        attempt=1,
        ledger=policy.Ledger(restarts=(*ledger.restarts[-1:], now + settings.window + settings.settle)),
    )


def test_a_restored_ledger_is_what_it_was() -> None:
    assert policy.restored([5_000, 61_000], 100_000, 1000.0).restarts == (905.0, 961.0)


def test_the_first_restart_waits_only_for_things_to_settle() -> None:
    verdict = policy.after_death(Ledger(), DEFAULTS, now=1000.0)
    assert verdict == Restart(at=1002.0, attempt=1, ledger=Ledger(restarts=(1002.0,)))


def test_the_cooldown_counts_from_the_last_restart() -> None:
    verdict = policy.after_death(Ledger(restarts=(1002.0,)), DEFAULTS, now=1005.0)
    assert isinstance(verdict, Restart)
    assert (verdict.at, verdict.attempt) == (1032.0, 2)


def test_the_fourth_death_within_the_window_gives_up_until_the_revival() -> None:
    ledger, now = Ledger(), 1000.0
    for attempt in (1, 2, 3):
        verdict = policy.after_death(ledger, DEFAULTS, now)
        assert isinstance(verdict, Restart)
        assert verdict.attempt == attempt
        ledger, now = verdict.ledger, verdict.at + 1
    assert ledger.restarts == (1002.0, 1032.0, 1062.0)
    assert policy.after_death(ledger, DEFAULTS, now) == GiveUp(revive_at=now + 900.0)


def test_a_restart_that_left_the_window_counts_no_more() -> None:
    ledger = Ledger(restarts=(1002.0, 1032.0, 1062.0))
    verdict = policy.after_death(ledger, DEFAULTS, now=1122.5)
    assert isinstance(verdict, Restart)
    assert verdict.ledger.restarts == (1032.0, 1062.0, 1124.5)


def test_revive_after_zero_means_never() -> None:
    settings = RestartSettings(max_restarts=0, revive_after=0)
    assert policy.after_death(Ledger(), settings, now=5.0) == GiveUp(revive_at=None)


# Whole milliseconds: shorter ones drown in what a float can tell of a time.
_durations = st.integers(min_value=0, max_value=10_000_000).map(lambda ms: ms / 1000)
_settings = st.builds(
    RestartSettings,
    max_restarts=st.integers(min_value=0, max_value=6),
    window=_durations,
    cooldown=_durations,
    settle=_durations,
    revive_after=_durations,
)


@given(_settings, st.lists(_durations, max_size=40))
def test_whatever_dies_when_the_policy_holds(settings: RestartSettings, lives: list[float]) -> None:
    """No window ever holds more deaths answered than allowed; settle and cooldown are kept."""
    ledger, now = Ledger(), 0.0
    granted: list[float] = []
    for life in lives:
        now += life
        allowed = policy.next_allowed(ledger, settings, now)
        verdict = policy.after_death(ledger, settings, now)
        recent = [at for at in granted if at + settings.window > now]
        if isinstance(verdict, GiveUp):
            assert len(recent) >= settings.max_restarts
            assert settings.max_restarts == 0 or allowed > now or settings.window == 0
            assert verdict.revive_at == (now + settings.revive_after if settings.revive_after else None)
            ledger, granted = Ledger(), []
            continue
        assert len(recent) < settings.max_restarts
        assert verdict.attempt == len(recent) + 1
        assert verdict.at >= now + settings.settle
        if granted:
            assert verdict.at >= granted[-1] + settings.cooldown
        assert verdict.at in (now + settings.settle, (granted or [0.0])[-1] + settings.cooldown)
        granted.append(verdict.at)
        ledger, now = verdict.ledger, verdict.at


def test_reconnecting_goes_on_for_ever_but_slower() -> None:
    settings = ReconnectSettings(interval=30.0, max_attempts=10)
    waits = [policy.next_reconnect(tried, settings, DEFAULTS, now=0.0) for tried in range(12)]
    assert waits == [30.0] * 10 + [900.0] * 2


def test_who_wants_no_revival_still_has_outages_end_by_themselves() -> None:
    never = RestartSettings(revive_after=0)
    assert policy.next_reconnect(10_000, ReconnectSettings(interval=30.0), never, now=0.0) == 30.0


def test_reconnecting_can_be_switched_off() -> None:
    assert policy.next_reconnect(0, ReconnectSettings(enabled=False), DEFAULTS, now=0.0) is None

"""When a session that broke is tried again: the restart ledger and the reconnect schedule.

Pure: every function is given the time. Times are seconds on one monotonic clock, so that neither NTP nor a
suspended machine can spend a restart or hold one back.
"""

import math
from collections.abc import Sequence

import msgspec

from supervisors.settings import RestartSettings


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The restarts of one budget, oldest first, as the times at which they were (or will be) done.

    A manual start, a manual restart and a revival each begin a new, empty one.
    """

    restarts: tuple[float, ...] = ()

    def within(self, window: float, now: float) -> tuple[float, ...]:
        """Return the restarts that lie less than `window` seconds before `now`, planned ones included."""
        return tuple(at for at in self.restarts if at + window > now)


def restored(restarts_ms: Sequence[int], wall_ms: int, now: float) -> Ledger:
    """Return the ledger for restarts that were noted as epoch milliseconds, seen from `now` and `wall_ms`.

    A wall clock that was set back since then would put them into the future: none is taken to be later than
    now, so that no session is held back for longer than the window or the cooldown.
    """
    return Ledger(restarts=tuple(sorted(now - max(0, wall_ms - at_ms) / 1000 for at_ms in restarts_ms)))


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict: start again at `at`; this is restart number `attempt` of the window (1 is the first)."""

    at: float
    attempt: int
    ledger: Ledger


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict: too many restarts; `revive_at` begins a new budget, None means never."""

    revive_at: float | None


def after_death(ledger: Ledger, settings: RestartSettings, now: float) -> Restart | GiveUp:
    """Decide what follows a death at `now`.

    A restart is granted while fewer than `max_restarts` lie in the window; it is done when both the settle
    time since the death and the cooldown since the last restart are over.
    """
    recent = ledger.within(settings.window, now)
    if len(recent) >= settings.max_restarts:
        return GiveUp(revive_at=revival(settings, now))
    at = now + settings.settle
    if ledger.restarts:
        at = max(at, ledger.restarts[-1] + settings.cooldown)
    # The last one is kept even when it has left the window: the cooldown counts from it.
    kept = recent or ledger.restarts[-1:]
    return Restart(at=at, attempt=len(recent) + 1, ledger=Ledger(restarts=(*kept, at)))


def moved(ledger: Ledger, at: float) -> Ledger:
    """Return the ledger whose last restart is done at `at`, for it did not work at a cheaper level before.

    One recovery is one entry, at the time of the last thing done for it.
    """
    return Ledger(restarts=(*ledger.restarts[:-1], max(at, *ledger.restarts[-1:])))


def revival(settings: RestartSettings, now: float) -> float | None:
    """Return when a session that was given up at `now` gets a new budget; None means never."""
    return now + settings.revive_after if settings.revive_after > 0 else None


def next_allowed(ledger: Ledger, settings: RestartSettings, now: float) -> float:
    """Return the earliest time at which a restart could be done; infinity where none ever is."""
    if settings.max_restarts == 0:
        return math.inf
    earliest = now
    if ledger.restarts:
        earliest = max(earliest, ledger.restarts[-1] + settings.cooldown)
    recent = ledger.within(settings.window, now)
    if len(recent) >= settings.max_restarts:
        earliest = max(earliest, recent[-settings.max_restarts] + settings.window)
    return earliest


class ReconnectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A session's own `autoReconnect`, `reconnectInterval` (here in seconds) and `maxReconnectAttempts`."""

    enabled: bool = True
    interval: float = 30.0
    max_attempts: int = 10


def next_reconnect(
    attempts: int, settings: ReconnectSettings, restart: RestartSettings, now: float
) -> float | None:
    """Return when to ask the page to connect again after `attempts` tries; None means never.

    The first `max_attempts` tries come an interval apart, then one every `revive_after`: an outage of any
    length ends by itself and spends no restart. Where there is no revival they stay an interval apart.
    """
    if not settings.enabled:
        return None
    slowly = revival(restart, now)
    return now + settings.interval if attempts < settings.max_attempts or slowly is None else slowly

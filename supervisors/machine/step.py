"""The decisions: `step(state, event, now, rules)` -> new state, actions."""

from typing import assert_never

from supervisors.machine.commands import Commands
from supervisors.machine.news import News
from supervisors.machine.words import (
    Action,
    Admitted,
    Broke,
    Connected,
    Died,
    Event,
    Hold,
    LoggedOut,
    Lost,
    Mended,
    Noticed,
    NumberTaken,
    PairingCodeShown,
    QrShown,
    Queued,
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
    UpdateWanted,
)


def step(state: State, event: Event, now: float, rules: Rules) -> tuple[State, tuple[Action, ...]]:
    """Apply one event at time `now` (monotonic seconds).

    Raises:
        RpcError: SESSION_BUSY, SESSION_ALREADY_STARTED or SESSION_NOT_STARTED, for a command that may not be
            given now.
    """
    move = _Move(state, now, rules)
    match event:
        case Start():
            move.start()
        case Stop():
            move.stop()
        case RestartNow():
            move.restart()
        case Reload():
            move.reload()
        case Hold():
            move.hold(event)
        case Release():
            move.release()
        case Restore():
            move.restore()
        case Shutdown():
            move.shutdown()
        case Queued():
            move.queued(event)
        case Admitted():
            move.admitted()
        case QrShown():
            move.qr_shown(event)
        case PairingCodeShown():
            move.pairing_code_shown(event)
        case NumberTaken():
            move.number_taken(event)
        case Connected():
            move.connected(event)
        case Lost():
            move.lost(event)
        case LoggedOut():
            move.logged_out()
        case Died():
            move.died(event)
        case Broke():
            move.broke(event)
        case Mended():
            move.mended()
        case Noticed():
            move.noticed(event)
        case UpdateWanted():
            move.update_wanted()
        case Tick():
            move.tick(event)
        case _:
            assert_never(event)
    return move.state, tuple(move.actions)


class _Move(Commands, News):
    """One step: every event's move."""

"""One session's life as a pure state machine: `step(state, event, now, rules)` -> new state, actions.

It owns every decision about a session's life and performs none: no clock, no IO. A command that may not be
given now raises the `RpcError` that the client gets, and changes nothing.

    phase      browser          waits for                  statuses seen
    DOWN       none             start, revival             inactive, disconnected
    WAITING    none             the restart's time         disconnected
    STARTING   being launched   a QR or a connection       connecting
    UP         alive            news from the page         connecting, qr_generated, connected, disconnected
    ENDING     being ended      its death                  as before, or connecting when a start follows
    HELD       none             its release                inactive, disconnected

`inactive` is a wish, `disconnected` a fault: only stop leads to the former.
"""

from supervisors.machine.step import step
from supervisors.machine.words import (
    DAEMON_STOPPED,
    ENDED,
    HOPELESS,
    LOGGED_OUT,
    PAGE_HUNG,
    PAIRING_LIFE_S,
    PHONE_NUMBER_IN_USE,
    QR_LIFE_S,
    RESTART_LIMIT,
    STOPPED,
    WAITING_FOR_LAUNCH,
    WAITING_FOR_MEMORY,
    Action,
    Admitted,
    Connected,
    Died,
    End,
    Event,
    Hold,
    Launch,
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
    Status,
    Stop,
    Then,
    Tick,
)

__all__ = [
    "DAEMON_STOPPED",
    "ENDED",
    "HOPELESS",
    "LOGGED_OUT",
    "PAGE_HUNG",
    "PAIRING_LIFE_S",
    "PHONE_NUMBER_IN_USE",
    "QR_LIFE_S",
    "RESTART_LIMIT",
    "STOPPED",
    "WAITING_FOR_LAUNCH",
    "WAITING_FOR_MEMORY",
    "Action",
    "Admitted",
    "Connected",
    "Died",
    "End",
    "Event",
    "Hold",
    "Launch",
    "LoggedOut",
    "Lost",
    "NumberTaken",
    "PairingCodeShown",
    "Phase",
    "Publish",
    "QrShown",
    "Queued",
    "Reconnect",
    "Release",
    "Reload",
    "RestartNow",
    "Restore",
    "Rules",
    "Shutdown",
    "Start",
    "State",
    "Status",
    "Stop",
    "Then",
    "Tick",
    "step",
]

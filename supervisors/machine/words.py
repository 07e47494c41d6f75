"""What the machine is told, what it knows, and what it wants done: frozen data, no decisions."""

import enum
from collections.abc import Mapping
from typing import Literal

import attrs

from supervisors import policy
from supervisors.settings import RestartSettings

Status = Literal["inactive", "connecting", "qr_generated", "connected", "disconnected"]

RESTART_LIMIT = "RESTART_LIMIT_EXCEEDED"
LOGGED_OUT = "LOGGED_OUT"
STOPPED = "STOPPED"
DAEMON_STOPPED = "DAEMON_STOPPED"
PHONE_NUMBER_IN_USE = "PHONE_NUMBER_IN_USE"
WAITING_FOR_LAUNCH = "WAITING_FOR_LAUNCH"
WAITING_FOR_MEMORY = "WAITING_FOR_MEMORY"
PAGE_HUNG = "PAGE_HUNG"
CONFLICT = "CONFLICT"
PAGE_RELOADED = "PAGE_RELOADED"  # by itself: it owes a QR or a connection, as at its start
ENDED = "ENDED"
# Starting again does not help against these: no restart is spent, only the revival tries again.
HOPELESS = frozenset({"BROWSER_UNAVAILABLE", "PROFILE_IN_USE"})
# WhatsApp has something against the account, the version or the address: a person is told, and only the
# revival tries again.
BARRED = frozenset({"BANNED", "TOS_BLOCK", "DEPRECATED_VERSION", "PROXYBLOCK"})
UPDATE_WANTED = "UPDATE_WANTED"
# A page that asks for an update right after it was loaded again for one goes on as it is for this long.
UPDATE_AGAIN_S = 3600.0

# The longest lives of codes (WhatsApp's own); a page that shows no new one long after that is hung.
QR_LIFE_S = 60.0
PAIRING_LIFE_S = 195.0


class Phase(enum.Enum):
    """Where the browser is in its life; see the module's table."""

    DOWN = enum.auto()
    WAITING = enum.auto()
    STARTING = enum.auto()
    UP = enum.auto()
    ENDING = enum.auto()
    HELD = enum.auto()


class Then(enum.Enum):
    """What follows when an ending browser is gone, or a held session is released."""

    STOP = enum.auto()
    START = enum.auto()
    SHUTDOWN = enum.auto()
    HOLD = enum.auto()


class Level(enum.IntEnum):
    """How much of a life is made anew to have a working page, cheapest first."""

    LOOP = 1
    RELOAD = 2
    PAGE = 3
    BROWSER = 4


# What was done about an incident, as clients see it.
LEVEL_ACTIONS: Mapping[Level, str] = {
    Level.LOOP: "LOOP_ENDED",
    Level.RELOAD: "RELOADED",
    Level.PAGE: "NEW_PAGE",
    Level.BROWSER: "NEW_BROWSER",
}


@attrs.frozen(kw_only=True)
class Repair:
    """A recovery at a level below the browser: planned, or (`begun`) under way until its deadline."""

    cause: str
    level: Level
    begun: bool


@attrs.frozen(kw_only=True)
class Rules:
    """The settings that decisions depend on; `connect_timeout` in seconds."""

    restart: RestartSettings = attrs.Factory(RestartSettings)
    connect_timeout: float = 90.0
    reconnect: policy.ReconnectSettings = attrs.Factory(policy.ReconnectSettings)
    conflict: Literal["takeover", "yield"] = "takeover"


@attrs.frozen(kw_only=True)
class State:
    """Everything that is known of a session's life. Times are monotonic seconds."""

    status: Status = "inactive"
    reason: str | None = None
    detail: str | None = None  # what the browser or the page said of the reason
    action: str | None = None  # what somebody should do about it
    desired: Literal["running", "stopped"] = "stopped"
    phase: Phase = Phase.DOWN
    then: Then | None = None  # only while ENDING or HELD
    rest_reason: str = STOPPED  # the reason of the `inactive` that a stop under way leads to
    deadline: float | None = None  # when Tick is due
    ledger: policy.Ledger = attrs.Factory(policy.Ledger)
    down_since: float | None = None  # the beginning of an outage that is to be reported as recovered
    reconnects: int = 0
    tried_at: float | None = None  # when the latest of them was
    repair: Repair | None = None  # only while UP
    updated_at: float | None = None  # when the page was last loaded again because it asked for an update


# Commands, given by people and programs.
@attrs.frozen
class Start:
    """Run the session; begins a new restart budget."""


@attrs.frozen
class Stop:
    """End the browser and stay down; accepted always."""


@attrs.frozen
class RestartNow:
    """End the browser and start it again; begins a new restart budget."""


@attrs.frozen
class Reload:
    """Have the living page load again, in the same browser."""


@attrs.frozen
class Hold:
    """End the browser and keep it down while its files are worked on; `Release` must follow.

    `reason` is why a running session is disconnected meanwhile.
    """

    reason: str


@attrs.frozen
class Release:
    """The files are free again: go on as is wanted, and as commands said meanwhile."""


@attrs.frozen
class Restore:
    """The daemon has started: make what the stored row wants true."""


@attrs.frozen
class Shutdown:
    """The daemon is stopping: end the browser, but keep what is wanted."""


# What happened.
@attrs.frozen
class Queued:
    """The launch must wait: for its turn, or for memory."""

    reason: str = WAITING_FOR_LAUNCH


@attrs.frozen
class Admitted:
    """The launch got its turn: from here on the page owes a QR or a connection."""


@attrs.frozen
class QrShown:
    """The page shows a code to scan; `expires_at` in RFC 3339."""

    text: str
    expires_at: str


@attrs.frozen
class PairingCodeShown:
    """The page gave a code to type on the phone; `expires_at` in RFC 3339."""

    code: str
    expires_at: str


@attrs.frozen
class NumberTaken:
    """The number is linked to another session that runs, and has been for longer."""

    detail: str


@attrs.frozen
class Connected:
    """The page is logged in and in sync; `phone_number` as `+` and digits."""

    phone_number: str | None


@attrs.frozen
class Lost:
    """The page lives but has no connection to WhatsApp."""

    reason: str
    detail: str | None = None


@attrs.frozen
class LoggedOut:
    """The account no longer knows this device; the page goes on to a new QR."""


@attrs.frozen
class Died:
    """The browser is gone, and all of its processes; `cause` is one of the protocol's reasons, or `ENDED`.

    `action` is a sentence that says what somebody should do about it.
    """

    cause: str
    detail: str | None = None
    action: str | None = None


@attrs.frozen
class Broke:
    """The page does not work any more, though the browser lives; `level` is the cheapest that may help.

    Told again while a recovery is under way it says that this level has failed.
    """

    cause: str
    detail: str | None = None
    level: Level = Level.RELOAD


@attrs.frozen
class Mended:
    """The page answers again after its loop was ended."""


@attrs.frozen
class Noticed:
    """Something went wrong and was put right by the browser itself."""

    kind: str
    detail: str | None = None


@attrs.frozen
class UpdateWanted:
    """The page works, and asks to be loaded again for a new version of itself."""


@attrs.frozen
class Tick:
    """The deadline has come; `symptom` is how the page looks, for a deadline that it has missed."""

    symptom: Broke | Lost = Broke(PAGE_HUNG)


Event = (
    Start
    | Stop
    | RestartNow
    | Reload
    | Hold
    | Release
    | Restore
    | Shutdown
    | Queued
    | Admitted
    | QrShown
    | PairingCodeShown
    | NumberTaken
    | Connected
    | Lost
    | LoggedOut
    | Died
    | Broke
    | Mended
    | Noticed
    | UpdateWanted
    | Tick
)


# What is to be done.
@attrs.frozen
class Launch:
    """Begin a new life: browser, page, bridge."""


@attrs.frozen
class End:
    """End the current life; its `Died` reports `cause`."""

    cause: str = ENDED
    detail: str | None = None


@attrs.frozen
class Reconnect:
    """Have the living page load again and connect."""


@attrs.frozen
class EndLoop:
    """End what the page's script is doing now; `Mended` or `Broke` follows."""


@attrs.frozen
class ReplacePage:
    """Open another page in the same browser and close the one there is."""


@attrs.frozen
class TakeOver:
    """Have the page take the connection from whoever else uses this login."""


@attrs.frozen
class Publish:
    """Append one event to the log."""

    type: str
    data: Mapping[str, object]


@attrs.frozen
class Note:
    """Record an incident: what happened and what is done about it; `over`: it is mended already."""

    kind: str
    detail: str | None
    action: str
    over: bool = False


@attrs.frozen
class Tried:
    """Record that something else is done now about the latest incident that is not over."""

    action: str


@attrs.frozen
class Over:
    """Record that incidents are over: those of the kind `only`, or all but those of the kind `but`."""

    only: str | None = None
    but: str | None = None


Incident = Note | Tried | Over
Action = Launch | End | Reconnect | EndLoop | ReplacePage | TakeOver | Publish | Incident

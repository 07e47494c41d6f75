"""What the machine is told, what it knows, and what it wants done: frozen data, no decisions."""

import enum
from collections.abc import Mapping
from typing import Literal

import msgspec

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
# WhatsApp has something against the account, the version or the address, or there is nothing to load: a
# person is told, and only the revival tries again.
BARRED = frozenset({"BANNED", "TOS_BLOCK", "DEPRECATED_VERSION", "PROXYBLOCK", "PAGE_NOT_STORED"})
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


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """A recovery at a level below the browser: planned, or (`begun`) under way until its deadline."""

    cause: str
    level: Level
    begun: bool


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that decisions depend on; `connect_timeout` in seconds."""

    restart: RestartSettings = msgspec.field(default_factory=RestartSettings)
    connect_timeout: float = 90.0
    reconnect: policy.ReconnectSettings = msgspec.field(default_factory=policy.ReconnectSettings)
    conflict: Literal["takeover", "yield"] = "takeover"


class State(msgspec.Struct, frozen=True, kw_only=True):
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
    ledger: policy.Ledger = msgspec.field(default_factory=policy.Ledger)
    restarts: bool = False  # only while STARTING: whether the launch is the last entry of the ledger
    down_since: float | None = None  # the beginning of an outage that is to be reported as recovered
    reconnects: int = 0
    tried_at: float | None = None  # when the latest of them was
    repair: Repair | None = None  # only while UP
    updated_at: float | None = None  # when the page was last loaded again because it asked for an update


# Commands, given by people and programs.
class Start(msgspec.Struct, frozen=True):
    """Run the session; begins a new restart budget."""


class Stop(msgspec.Struct, frozen=True):
    """End the browser and stay down; accepted always."""


class RestartNow(msgspec.Struct, frozen=True):
    """End the browser and start it again; begins a new restart budget."""


class Reload(msgspec.Struct, frozen=True):
    """Have the living page load again, in the same browser."""


class Hold(msgspec.Struct, frozen=True):
    """End the browser and keep it down while its files are worked on; `Release` must follow.

    `reason` is why a running session is disconnected meanwhile.
    """

    reason: str


class Release(msgspec.Struct, frozen=True):
    """The files are free again: go on as is wanted, and as commands said meanwhile."""


class Restore(msgspec.Struct, frozen=True):
    """The daemon has started: make what the stored row wants true."""


class Shutdown(msgspec.Struct, frozen=True):
    """The daemon is stopping: end the browser, but keep what is wanted."""


# What happened.
class Queued(msgspec.Struct, frozen=True):
    """The launch must wait: for its turn, or for memory."""

    reason: str = WAITING_FOR_LAUNCH


class Admitted(msgspec.Struct, frozen=True):
    """The launch got its turn: from here on the page owes a QR or a connection."""


class QrShown(msgspec.Struct, frozen=True):
    """The page shows a code to scan; `expires_at` in RFC 3339."""

    text: str
    expires_at: str


class PairingCodeShown(msgspec.Struct, frozen=True):
    """The page gave a code to type on the phone; `expires_at` in RFC 3339."""

    code: str
    expires_at: str


class NumberTaken(msgspec.Struct, frozen=True):
    """The number is linked to another session that runs, and has been for longer."""

    detail: str


class Connected(msgspec.Struct, frozen=True):
    """The page is logged in and in sync; `phone_number` as `+` and digits."""

    phone_number: str | None


class Lost(msgspec.Struct, frozen=True):
    """The page lives but has no connection to WhatsApp."""

    reason: str
    detail: str | None = None


class LoggedOut(msgspec.Struct, frozen=True):
    """The account no longer knows this device; the page goes on to a new QR."""


class Died(msgspec.Struct, frozen=True):
    """The browser is gone, and all of its processes; `cause` is one of the protocol's reasons, or `ENDED`.

    `action` is a sentence that says what somebody should do about it.
    """

    cause: str
    detail: str | None = None
    action: str | None = None


class Broke(msgspec.Struct, frozen=True):
    """The page does not work any more, though the browser lives; `level` is the cheapest that may help.

    Told again while a recovery is under way it says that this level has failed.
    """

    cause: str
    detail: str | None = None
    level: Level = Level.RELOAD


class Mended(msgspec.Struct, frozen=True):
    """The page answers again after its loop was ended."""


class Noticed(msgspec.Struct, frozen=True):
    """Something went wrong and was put right by the browser itself."""

    kind: str
    detail: str | None = None


class UpdateWanted(msgspec.Struct, frozen=True):
    """The page works, and asks to be loaded again for a new version of itself."""


class Tick(msgspec.Struct, frozen=True):
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
class Launch(msgspec.Struct, frozen=True):
    """Begin a new life: browser, page, bridge."""


class End(msgspec.Struct, frozen=True):
    """End the current life; its `Died` reports `cause`."""

    cause: str = ENDED
    detail: str | None = None


class Reconnect(msgspec.Struct, frozen=True):
    """Have the living page load again and connect."""


class EndLoop(msgspec.Struct, frozen=True):
    """End what the page's script is doing now; `Mended` or `Broke` follows."""


class ReplacePage(msgspec.Struct, frozen=True):
    """Open another page in the same browser and close the one there is."""


class TakeOver(msgspec.Struct, frozen=True):
    """Have the page take the connection from whoever else uses this login."""


class Publish(msgspec.Struct, frozen=True):
    """Append one event to the log."""

    type: str
    data: Mapping[str, object]


class Note(msgspec.Struct, frozen=True):
    """Record an incident: what happened and what is done about it; `over`: it is mended already."""

    kind: str
    detail: str | None
    action: str
    over: bool = False


class Tried(msgspec.Struct, frozen=True):
    """Record that something else is done now about the latest incident that is not over."""

    action: str


class Over(msgspec.Struct, frozen=True):
    """Record that incidents are over: those of the kind `only`, or all but those of the kind `but`."""

    only: str | None = None
    but: str | None = None


Incident = Note | Tried | Over
Action = Launch | End | Reconnect | EndLoop | ReplacePage | TakeOver | Publish | Incident

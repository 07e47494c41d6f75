"""The daemon itself and its event log: what `daemon.*` and `events.*` methods take and answer."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import (
    Cursor,
    EventType,
    FieldError,
    Limit,
    Params,
    Record,
    Role,
    SessionRef,
    SessionStatus,
    Time,
)

EventTypes = Annotated[tuple[EventType, ...], Meta(min_length=1)]
SessionRefs = Annotated[tuple[SessionRef, ...], Meta(min_length=1, max_length=10_000)]


class EventRecord(Record, frozen=True, kw_only=True):
    """A row of the event log; `data` is JSON as it was written, its shape fixed by `type`."""

    seq: int
    type: EventType
    session_id: str | None = None
    timestamp: Time
    data: msgspec.Raw


class EventsSubscribeParams(Params, frozen=True, kw_only=True):
    """What events.subscribe is given; no `sessions` or no `types`: all of them.

    With `after` what followed that event is told first; without it, only what happens from now on.
    """

    sessions: SessionRefs | None = None
    types: EventTypes | None = None
    after: Cursor | None = None


class EventsSubscribeResult(Record, frozen=True, kw_only=True):
    """A subscription, and the place in the log where it begins."""

    subscription: int
    cursor: int


class EventsUnsubscribeParams(Params, frozen=True, kw_only=True):
    """What events.unsubscribe is given."""

    subscription: int


class EventsUnsubscribeResult(Record, frozen=True, kw_only=True):
    """What events.unsubscribe answers; False if this connection had no such subscription."""

    unsubscribed: bool


class EventNotification(Record, frozen=True, kw_only=True):
    """The params of the notification `event`."""

    subscription: int
    event: EventRecord


class EventsListParams(Params, frozen=True, kw_only=True):
    """What events.list is given; what it answers begins with the event that follows `after`."""

    after: Cursor = 0
    limit: Limit = 100
    types: EventTypes | None = None
    sessions: SessionRefs | None = None


class EventsListResult(Record, frozen=True, kw_only=True):
    """A page of the log, oldest first; `oldest` and `latest` are the seqs it holds, 0 while it is empty."""

    events: tuple[EventRecord, ...]
    oldest: int
    latest: int


class HealthConfig(Record, frozen=True, kw_only=True):
    """The limits that the daemon runs with; the zeros say that nothing ends by itself."""

    timeout_minutes: Literal[0] = 0
    cleanup_interval: Literal[0] = 0
    max_sessions: int
    event_retain_days: int


class HealthStore(Record, frozen=True, kw_only=True):
    """The store and its growth; `oldest` is the seq of the oldest event, 0 while there is none.

    `oldest_message` is the time of the oldest message, `free_bytes` the room on the store's disk; `checking`
    says that its pages are being read after an end that was not orderly, and writes wait meanwhile.
    """

    path: str
    bytes: int
    messages: int
    events: int
    oldest: int
    oldest_message: Time | None = None
    free_bytes: int | None = None
    checking: bool = False


class HealthBrowser(Record, frozen=True, kw_only=True):
    """The browser that sessions are given; no path: none was found."""

    path: str | None = None
    version: str | None = None
    sandbox: bool


class HealthPage(Record, frozen=True, kw_only=True):
    """The page library; no version: none is installed. `kept_at`: the page's own version, if it is kept."""

    library: str
    version: str | None = None
    kept_at: str | None = None


class HealthEncryption(Record, frozen=True, kw_only=True):
    """Encryption at rest. Keys are named by their ids, which tell nothing of them.

    `keys` are those of the key file, the one that encrypts first; `keys_in_use` those that what is stored
    still needs: another may be taken out of the file. `pending` messages and files are still to be encrypted,
    decrypted, or encrypted anew. `clear_text_left`: what was encrypted later may still be in clear in unused
    parts of the store's file, which is about to be written anew.
    """

    keys: tuple[str, ...] = ()
    keys_in_use: tuple[str, ...] = ()
    pending: int = 0
    clear_text_left: bool = False


class Problem(Record, frozen=True, kw_only=True):
    """Something that needs an administrator."""

    code: str
    message: str
    action: str | None = None
    session_id: str | None = None


class Health(Record, frozen=True, kw_only=True):
    """How the daemon is; `uptime` is in seconds."""

    status: Literal["ok", "degraded"]
    version: str
    uptime: float
    config: HealthConfig
    sessions: dict[SessionStatus, int]
    store: HealthStore
    browser: HealthBrowser
    page: HealthPage
    last_backup: Time | None = None
    encryption: HealthEncryption = HealthEncryption()
    problems: tuple[Problem, ...] = ()


class BackupResult(Record, frozen=True, kw_only=True):
    """A copy of the store that can take its place."""

    path: str
    bytes: int


class ForceCleanupParams(Params, frozen=True, kw_only=True):
    """What daemon.forceCleanup is given: nothing is done without `confirm`."""

    confirm: bool = False

    def __post_init__(self) -> None:
        if not self.confirm:
            raise FieldError("confirm", "Expected true: every session, its login and its messages are wiped")


class ForceCleanupResult(Record, frozen=True, kw_only=True):
    """What was wiped, and where it was backed up: the store, and each session with its login."""

    backup: str
    sessions: tuple[SessionRef, ...]
    backups: tuple[str, ...]
    messages: int


class WhoamiResult(Record, frozen=True, kw_only=True):
    """Who the daemon takes the caller for."""

    uid: int
    gid: int
    role: Role | Literal["none"]


class MetricsResult(Record, frozen=True, kw_only=True):
    """The daemon in figures, as OpenMetrics text."""

    text: str


class ReloadResult(Record, frozen=True, kw_only=True):
    """What was read again: the file, None where there is none, and the tables that apply without a restart.

    Of the keys that have changed since the daemon started, or last took them over: those that apply now, and
    those that keep their old values until it is started again.
    """

    file: str | None
    reloaded: tuple[str, ...]
    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class ShutdownResult(Record, frozen=True, kw_only=True):
    """The daemon is about to end."""

    stopping: Literal[True] = True

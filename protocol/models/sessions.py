"""Sessions: their record, their settings, and what the `session.*` methods take and answer."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.address import parse_recipient
from protocol.proxy import shown

from .base import (
    Description,
    Desired,
    FieldError,
    Limit,
    Name,
    NewSessionId,
    Offset,
    Params,
    QrFormat,
    Record,
    SessionRef,
    SessionStatus,
    Tag,
    Time,
    TimeoutS,
    check,
)
from .webhooks import WebhookEvents, WebhookSecret, WebhookUrl

Interval = Annotated[int, Meta(ge=1000, le=86_400_000, description="Milliseconds")]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Proxy = Annotated[
    str,
    Meta(
        pattern=r"^(https?|socks[45])://\S+$(?!\n)",
        max_length=2048,
        description="http, https, socks4 or socks5; http and https with user:password@ before the host",
    ),
]
DeviceName = Annotated[str, Meta(min_length=1, max_length=50)]
Tags = Annotated[tuple[Tag, ...], Meta(max_length=64)]
AccountId = Annotated[int, Meta(ge=0, le=4_294_967_294)]
AccountIds = Annotated[tuple[AccountId, ...], Meta(max_length=1000)]


class SessionSettings(Record, frozen=True, kw_only=True):
    """A session's settings as clients see them: whole, defaults filled in, without the webhook's secret.

    Of the proxy's password there is `***`; a proxy that is given back like this keeps it.

    `reconnect_interval` is in milliseconds. `allowed_uids` and `allowed_gids` that are both None leave the
    session to everybody who may speak to the daemon. When more than `alert_sent_per_hour` messages of ours
    were sent within an hour there is a `session.alert`, and again after it was less; 0: never.
    """

    auto_reconnect: bool = True
    reconnect_interval: Interval = 30_000
    max_reconnect_attempts: Count = 10
    webhook_url: WebhookUrl | None = None
    webhook_events: WebhookEvents = ()
    message_history: bool = True
    proxy: Proxy | None = None
    device_name: DeviceName | None = None
    tags: Tags = ()
    allowed_uids: AccountIds | None = None
    allowed_gids: AccountIds | None = None
    enable_encryption: bool = False
    alert_sent_per_hour: Count = 1000
    auto_download_media: bool = False
    mark_read: bool = False


class StoredSettings(Record, frozen=True, kw_only=True):
    """A session's settings as the daemon keeps them: what clients see, and the secrets that they do not.

    `proxy` is the proxy with its password.
    """

    visible: SessionSettings = SessionSettings()
    webhook_secret: WebhookSecret | None = None
    proxy: Proxy | None = None


class SettingsPatch(Params, frozen=True, kw_only=True):
    """A change of settings: what is not given stays, null goes back to the default."""

    auto_reconnect: bool | UnsetType | None = UNSET
    reconnect_interval: Interval | UnsetType | None = UNSET
    max_reconnect_attempts: Count | UnsetType | None = UNSET
    webhook_url: WebhookUrl | UnsetType | None = UNSET
    webhook_events: WebhookEvents | UnsetType | None = UNSET
    webhook_secret: WebhookSecret | UnsetType | None = UNSET
    message_history: bool | UnsetType | None = UNSET
    proxy: Proxy | UnsetType | None = UNSET
    device_name: DeviceName | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    allowed_uids: AccountIds | UnsetType | None = UNSET
    allowed_gids: AccountIds | UnsetType | None = UNSET
    enable_encryption: bool | UnsetType | None = UNSET
    alert_sent_per_hour: Count | UnsetType | None = UNSET
    auto_download_media: bool | UnsetType | None = UNSET
    mark_read: bool | UnsetType | None = UNSET


def merge(settings: StoredSettings, patch: SettingsPatch) -> StoredSettings:
    """Return the settings with the patch put over them."""
    defaults = SessionSettings()
    changes: dict[str, Any] = {}
    for field in SessionSettings.__struct_fields__:
        value = getattr(patch, field)
        if value is not UNSET:
            changes[field] = getattr(defaults, field) if value is None else value
    secret = settings.webhook_secret if patch.webhook_secret is UNSET else patch.webhook_secret
    proxy = settings.proxy
    if patch.proxy is not UNSET and patch.proxy != settings.visible.proxy:
        proxy = patch.proxy
        changes["proxy"] = None if proxy is None else shown(proxy)
    return StoredSettings(
        visible=msgspec.structs.replace(settings.visible, **changes), webhook_secret=secret, proxy=proxy
    )


class ConnectionInfo(Record, frozen=True, kw_only=True):
    """What is known of the link to WhatsApp while it is up; `wid` is the account's own id."""

    connected_at: Time
    client_version: str | None = None
    device_model: str | None = None
    platform: str | None = None
    wid: str | None = None


class MessageStats(Record, frozen=True, kw_only=True):
    """How many messages there were since the session was created."""

    sent: int = 0
    received: int = 0
    failed: int = 0


class Restarts(Record, frozen=True, kw_only=True):
    """The restart ledger: `count` restarts within the last `window` seconds, of at most `limit`.

    `cooldown` is in seconds. `next_allowed_at` is None while a restart may happen at once.
    """

    count: int = 0
    first_attempt: Time | None = None
    last_attempt: Time | None = None
    limit: int
    window: float
    cooldown: float
    next_allowed_at: Time | None = None


FIGURES_FOR_S: Final = 10.0
"""A browser's figures are told for so long: between two that differ lies no less."""


class ProcessFigures(Record, frozen=True, kw_only=True):
    """The browser of a session: its main process, and sums over its process tree, or over its control group.

    Up to ten seconds old.
    `memory_bytes` is what the kernel accounts to the group, file caches included; null where it does not.
    """

    pid: int
    started_at: Time
    processes: int
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None


class DiskFigures(Record, frozen=True, kw_only=True):
    """What a session takes of the disk: its profile (without caches), the caches, and files of messages."""

    profile_bytes: int
    cache_bytes: int
    media_bytes: int


class Session(Record, frozen=True, kw_only=True):
    """A session as clients see it; `disk` is in what session.get answers, up to a minute old."""

    id: str
    name: str
    description: str | None = None
    status: SessionStatus
    reason: str | None = None
    desired: Desired
    phone_number: str | None = None
    created_at: Time
    updated_at: Time
    last_activity: Time | None = None
    connection_info: ConnectionInfo | None = None
    message_stats: MessageStats = MessageStats()
    message_queue: int = 0
    restarts: Restarts
    process: ProcessFigures | None = None
    disk: DiskFigures | None = None
    settings: SessionSettings = SessionSettings()


class SessionCreateParams(Params, frozen=True, kw_only=True):
    """What session.create is given."""

    name: Name
    id: NewSessionId | None = None
    description: Description | None = None
    settings: SettingsPatch | None = None
    start: bool = False


class SessionListParams(Params, frozen=True, kw_only=True):
    """What session.list is given."""

    status: SessionStatus | None = None
    tag: Tag | None = None
    limit: Limit = 50
    offset: Offset = 0


class SessionListResult(Record, frozen=True, kw_only=True):
    """A page of sessions; `total` counts all that match."""

    sessions: tuple[Session, ...]
    total: int


class SessionParams(Params, frozen=True, kw_only=True):
    """What methods are given that need the session alone."""

    session_id: SessionRef


class SessionStatusResult(Record, frozen=True, kw_only=True):
    """How a session is, in short."""

    status: SessionStatus
    reason: str | None = None
    phone_number: str | None = None
    last_activity: Time | None = None
    qr_available: bool


class SessionUpdateParams(Params, frozen=True, kw_only=True):
    """What session.update is given: what is left out stays; a description of null is taken away."""

    session_id: SessionRef
    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    settings: SettingsPatch | UnsetType = UNSET


class LifecycleParams(Params, frozen=True, kw_only=True):
    """What start, stop, restart and reload are given; `timeout` bounds the wait, not the act."""

    session_id: SessionRef
    wait: bool = False
    timeout: TimeoutS = 90


class StatusResult(Record, frozen=True, kw_only=True):
    """The status that a session has now."""

    status: SessionStatus


class SessionQrParams(Params, frozen=True, kw_only=True):
    """What session.qr is given."""

    session_id: SessionRef
    format: QrFormat = "png"


class SessionQrResult(Record, frozen=True, kw_only=True):
    """A code to scan: `qr_text` is what it says, `qr_code` the picture in the format that was asked for."""

    qr_code: str
    qr_text: str
    format: QrFormat
    generated_at: Time
    expires_at: Time


class SessionPairParams(Params, frozen=True, kw_only=True):
    """What session.pair is given; `number` is the phone's, as `+` and digits."""

    session_id: SessionRef
    phone_number: Annotated[
        str, Meta(min_length=1, max_length=64, description="The phone's number with its country code")
    ]

    def __post_init__(self) -> None:
        if "@" in self.phone_number:
            raise FieldError("phoneNumber", "Expected a phone number with its country code, got a chat id")
        check("phoneNumber", parse_recipient, self.phone_number)

    @property
    def number(self) -> str:
        return "+" + parse_recipient(self.phone_number).removesuffix("@c.us")


class SessionPairResult(Record, frozen=True, kw_only=True):
    """A code to type on the phone: WhatsApp, Linked devices, Link a device, Link with phone number."""

    pairing_code: str
    expires_at: Time


class SessionScreenshotResult(Record, frozen=True, kw_only=True):
    """What a session's page looks like: `image` is a `data:image/png;base64,…`."""

    image: str


class TerminateResult(Record, frozen=True, kw_only=True):
    """What was ended: the sessions, and the processes of browsers that no session owned."""

    terminated: tuple[str, ...]
    orphans_killed: tuple[int, ...]


class SessionIncidentsParams(Params, frozen=True, kw_only=True):
    """What session.incidents is given."""

    session_id: SessionRef
    limit: Limit = 50


class Incident(Record, frozen=True, kw_only=True):
    """Something that went wrong: what, what the browser or the page said of it, what is done about it.

    `recovered_at` is when the session worked again, None as long as it does not. docs/incidents.md lists the
    words.
    """

    at: Time
    kind: str
    detail: str | None = None
    action: str
    recovered_at: Time | None = None


class SessionIncidentsResult(Record, frozen=True, kw_only=True):
    """A session's latest incidents, newest first."""

    incidents: tuple[Incident, ...]


class SessionWaitParams(Params, frozen=True, kw_only=True):
    """What session.wait is given; `statuses` is what to wait for, one or more."""

    session_id: SessionRef
    status: SessionStatus | Annotated[tuple[SessionStatus, ...], Meta(min_length=1)]
    timeout: TimeoutS = 30

    @property
    def statuses(self) -> tuple[SessionStatus, ...]:
        return (self.status,) if isinstance(self.status, str) else self.status


class SessionDeleteParams(Params, frozen=True, kw_only=True):
    """What session.delete is given."""

    session_id: SessionRef
    backup: bool = True


class SessionDeleteResult(Record, frozen=True, kw_only=True):
    """What session.delete answers; `backup` is the path of the backup, where one was made."""

    deleted: Literal[True] = True
    backup: str | None = None

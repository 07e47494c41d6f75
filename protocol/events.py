"""The events of the log: their types, and the shape of the `data` of each.

Must not know: when they are written, or who is told.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import UNSET, UnsetType, field

from .models import (
    EVENT_TYPES,
    EventNotification,
    EventRecord,
    EventType,
    Message,
    Record,
    SessionStatus,
    Time,
)

__all__ = [
    "EVENT_DATA",
    "EVENT_TYPES",
    "NOTIFICATION",
    "EventNotification",
    "EventRecord",
    "EventType",
    "MessageData",
    "NoData",
    "SessionAlertData",
    "SessionConnectedData",
    "SessionData",
    "SessionDisconnectedData",
    "SessionPairingCodeData",
    "SessionQrData",
    "SessionRecoveredData",
    "SessionRestartLimitData",
    "SessionRestartingData",
    "SessionStatusData",
]

NOTIFICATION = "event"
"""The method of the notification that carries an EventNotification."""


class NoData(Record, frozen=True, kw_only=True):
    """The type says it all."""


class SessionData(Record, frozen=True, kw_only=True):
    """Which session was created, updated or deleted: its name at that time."""

    name: str


class SessionStatusData(Record, frozen=True, kw_only=True):
    """A transition."""

    from_: SessionStatus = field(name="from")
    to: SessionStatus
    reason: str | None = None


class SessionQrData(Record, frozen=True, kw_only=True):
    """A code to scan."""

    qr_text: str
    expires_at: Time


class SessionPairingCodeData(Record, frozen=True, kw_only=True):
    """A code to type on the phone."""

    pairing_code: str
    expires_at: Time


class SessionConnectedData(Record, frozen=True, kw_only=True):
    """Whose account is linked."""

    phone_number: str | None = None


class SessionDisconnectedData(Record, frozen=True, kw_only=True):
    """Why the connection ended; `cause` is the death behind a RESTART_LIMIT_EXCEEDED."""

    reason: str
    cause: str | UnsetType = UNSET


class SessionRestartingData(Record, frozen=True, kw_only=True):
    """A restart is about to come: why, the how-manieth, in how many seconds."""

    reason: str
    attempt: int
    delay: float


class SessionRestartLimitData(Record, frozen=True, kw_only=True):
    """The restart policy gave up: the last death, the restarts that were spent, seconds until a new budget.

    `revive_in` is None where there will be none until somebody starts the session.
    """

    reason: str
    attempts: int
    revive_in: float | None = None


class SessionRecoveredData(Record, frozen=True, kw_only=True):
    """The session works again after so many seconds."""

    downtime: float


class SessionAlertData(Record, frozen=True, kw_only=True):
    """Something that a person should look at: `unusual_volume`, `memory`, `BANNED`, …"""

    kind: str
    detail: str | None = None


class MessageData(Record, frozen=True, kw_only=True):
    """A message as it was then; `recovered` where it was caught up after a gap."""

    message: Message
    recovered: Literal[True] | UnsetType = UNSET


class MessageReactionData(Record, frozen=True, kw_only=True):
    """Somebody put an emoji at a message; an empty one: took it away."""

    message: Message
    sender: str | None = field(default=None, name="from")
    emoji: str


class MessagePollVoteData(Record, frozen=True, kw_only=True):
    """Somebody voted in a poll: all that they chose, nothing where they took the vote back."""

    message: Message
    sender: str | None = field(default=None, name="from")
    options: tuple[str, ...]


class ChatPresenceData(Record, frozen=True, kw_only=True):
    """What somebody is doing: `available`, `unavailable`, `composing`, `recording`, `paused`."""

    chat_id: str
    sender: str | None = field(default=None, name="from")
    state: str


class CallReceivedData(Record, frozen=True, kw_only=True):
    """Somebody calls the account."""

    call_id: str
    sender: str | None = field(default=None, name="from")
    video: bool
    group: bool


class GroupUpdatedData(Record, frozen=True, kw_only=True):
    """A group's members changed: `add`, `remove`, `promote`, `demote`, `join`, `leave`, …"""

    group_id: str
    action: str
    participants: tuple[str, ...]
    by: str | None = None


EVENT_DATA: Mapping[EventType, type[Record]] = MappingProxyType(
    {
        "session.created": SessionData,
        "session.updated": SessionData,
        "session.deleted": SessionData,
        "session.status": SessionStatusData,
        "session.connecting": NoData,
        "session.qr": SessionQrData,
        "session.pairing_code": SessionPairingCodeData,
        "session.connected": SessionConnectedData,
        "session.disconnected": SessionDisconnectedData,
        "session.restarting": SessionRestartingData,
        "session.restart_limit": SessionRestartLimitData,
        "session.recovered": SessionRecoveredData,
        "session.alert": SessionAlertData,
        "message.received": MessageData,
        "message.queued": MessageData,
        "message.sent": MessageData,
        "message.delivered": MessageData,
        "message.read": MessageData,
        "message.played": MessageData,
        "message.failed": MessageData,
        "message.retrying": MessageData,
        "message.cancelled": MessageData,
        "message.edited": MessageData,
        "message.deleted": MessageData,
        "message.reaction": MessageReactionData,
        "message.poll_vote": MessagePollVoteData,
        "chat.presence": ChatPresenceData,
        "call.received": CallReceivedData,
        "group.updated": GroupUpdatedData,
        "daemon.started": NoData,
        "daemon.stopping": NoData,
    }
)
"""The `data` of every type that is written."""

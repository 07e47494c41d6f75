"""What the shapes of the channel have in common: their base classes, bounds and words.

Owns: the words for status, reason, direction and event type. Must not know: any method.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

SessionStatus = Literal["inactive", "connecting", "qr_generated", "connected", "disconnected"]
Desired = Literal["running", "stopped"]
Direction = Literal["in", "out"]
Origin = Literal["api", "phone", "contact"]
MessageStatus = Literal[
    "queued", "sending", "sent", "delivered", "read", "played", "failed", "cancelled", "received"
]
QrFormat = Literal["png", "svg", "text", "terminal"]
Role = Literal["reader", "operator", "admin"]
EventType = Literal[
    "session.created",
    "session.updated",
    "session.deleted",
    "session.status",
    "session.connecting",
    "session.qr",
    "session.pairing_code",
    "session.connected",
    "session.disconnected",
    "session.restarting",
    "session.restart_limit",
    "session.recovered",
    "session.alert",
    "message.received",
    "message.queued",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.played",
    "message.failed",
    "message.cancelled",
    "message.retrying",
    "message.edited",
    "message.deleted",
    "message.reaction",
    "message.poll_vote",
    "chat.presence",
    "call.received",
    "group.updated",
    "daemon.started",
    "daemon.stopping",
]

SESSION_STATUSES: tuple[SessionStatus, ...] = get_args(SessionStatus)
MESSAGE_STATUSES: tuple[MessageStatus, ...] = get_args(MessageStatus)
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

Time = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds", examples=["2026-11-21T10:00:00.000Z"])]
SessionRef = Annotated[str, Meta(min_length=1, max_length=128, description="A session's id")]
MessageRef = Annotated[str, Meta(min_length=1, max_length=256, description="A message's id or key")]
NewSessionId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=2000)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
MOST_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader takes exactly (RFC 8259, 6)."""

Offset = Annotated[int, Meta(ge=0, le=MOST_NUMBER)]
Cursor = Annotated[
    int,
    Meta(ge=0, le=MOST_NUMBER, description="A place in the event log: the seq of an event; 0: its start"),
]
TimeoutS = Annotated[float, Meta(ge=0, le=86400, description="Seconds")]


class Params(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of what a method is given."""


class Record(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of what a method answers."""


class NoParams(Params, frozen=True, kw_only=True):
    """Nothing is given."""


class FieldError(ValueError):
    """A value that its type alone could not refuse; `field` is its name on the channel, as `to`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


_T = TypeVar("_T")


def check(field: str, parse: Callable[[str], _T], value: str) -> _T:
    """Return `parse(value)`; its ValueError becomes a FieldError of `field`."""
    try:
        return parse(value)
    except ValueError as error:
        raise FieldError(field, str(error)) from None

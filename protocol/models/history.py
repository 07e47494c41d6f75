"""Messages of the past: what an export's lines hold, and what message.import takes and answers."""

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, field

from protocol.times import parse

from .base import (
    Direction,
    FieldError,
    MessageRef,
    MessageStatus,
    NewSessionId,
    Origin,
    Params,
    Record,
    SessionRef,
    Time,
    check,
)
from .messages import Media, MessageError

EXPORT_FORMAT: Final = "wasup-export"
EXPORT_VERSION: Final = 1
IMPORT_BATCH: Final = 1000
"""The most messages that message.import takes at once."""

_ChatName = Annotated[str, Meta(min_length=1, max_length=256)]
_OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class PastMessage(Params, frozen=True, kw_only=True):
    """A message as message.list shows it, read back.

    `session_id` is where it was, `media_file` where an export has its file; neither decides anything.
    """

    id: MessageRef
    key: MessageRef | None = None
    origin: Origin
    session_id: SessionRef | None = None
    chat_id: _ChatName
    direction: Direction
    from_: _ChatName | None = field(default=None, name="from")
    to: _ChatName | None = None
    type: Annotated[str, Meta(min_length=1, max_length=64)]
    text: Annotated[str, Meta(max_length=2**20)] | None = None
    media: Media | None = None
    media_file: Annotated[str, Meta(max_length=1024)] | None = None
    quoted_message_id: MessageRef | None = None
    mentions: Annotated[tuple[_ChatName, ...], Meta(max_length=1024)] = ()
    details: dict[str, Any] = field(default_factory=dict)
    status: MessageStatus
    error: MessageError | None = None
    attempts: Annotated[int, Meta(ge=0, le=2**31)] = 0
    timestamp: Time | None = None
    edited_at: Time | None = None
    deleted_at: Time | None = None
    created_at: Time
    updated_at: Time

    def __post_init__(self) -> None:
        if (self.direction == "in") != (self.origin == "contact"):
            raise FieldError("origin", f"Not the origin of a message that went {self.direction}")
        if (self.direction == "in") != (self.status == "received"):
            raise FieldError("status", f"Not the status of a message that went {self.direction}")
        if self.origin != "api" and self.key is None:
            raise FieldError("key", "Expected the key, which tells apart what was not sent here")
        if self.origin == "api" and not _OWN_ID.fullmatch(self.id):
            raise FieldError("id", "Not an id of a message that was sent here")
        for name, value in (
            ("timestamp", self.timestamp),
            ("editedAt", self.edited_at),
            ("deletedAt", self.deleted_at),
            ("createdAt", self.created_at),
            ("updatedAt", self.updated_at),
        ):
            if value is not None:
                check(name, parse, value)


class ExportedSession(Params, frozen=True, kw_only=True):
    """Whose messages an export has."""

    id: NewSessionId
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    phone_number: Annotated[str, Meta(max_length=64)] | None = None


class ExportHeader(Params, frozen=True, kw_only=True):
    """The first line of an export; `messages` is how many lines follow.

    `sealed`: each is a string of base64, which only a daemon with the key can read.
    """

    format: Literal["wasup-export"]
    version: int
    session: ExportedSession
    exported_at: Time
    messages: Annotated[int, Meta(ge=0)]
    sealed: bool = False


class MessageImportParams(Params, frozen=True, kw_only=True):
    """What message.import is given, the oldest message first; `sealed` are an encrypted archive's lines."""

    session_id: SessionRef
    messages: Annotated[tuple[PastMessage, ...], Meta(max_length=IMPORT_BATCH)] = ()
    sealed: Annotated[tuple[str, ...], Meta(max_length=IMPORT_BATCH)] = ()


class MessageImportResult(Record, frozen=True, kw_only=True):
    """How many messages are new here, and how many were known already."""

    imported: int
    duplicates: int

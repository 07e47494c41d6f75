"""From rows to what clients see, and back to JSON in columns.

A message's event holds no content: the message as it was is put together from its row, which does not change
but for an edit, and from the event's own snapshot of what does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from protocol.events import EventRecord
from protocol.models import (
    ConnectionInfo,
    DiskFigures,
    Media,
    Message,
    MessageError,
    MessageStats,
    MessageStatus,
    ProcessFigures,
    Restarts,
    Session,
    StoredSettings,
)
from protocol.times import rfc3339

from .sealing import OPENED, opened, opened_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.models import Desired, Direction, EventType, Origin, SessionStatus

__all__ = [
    "MESSAGE_COLUMNS",
    "SESSION_COLUMNS",
    "Event",
    "MessageRow",
    "SessionRow",
    "Snapshot",
    "event",
    "message_record",
    "message_row",
    "session_record",
    "session_row",
    "to_json",
]

_encode: Final = msgspec.json.Encoder().encode
_media: Final = msgspec.json.Decoder(Media)
_error: Final = msgspec.json.Decoder(MessageError)
_settings: Final = msgspec.json.Decoder(StoredSettings)
_connection: Final = msgspec.json.Decoder(ConnectionInfo)
_times: Final = msgspec.json.Decoder(tuple[int, ...])
_names: Final = msgspec.json.Decoder(tuple[str, ...])
_object: Final = msgspec.json.Decoder(dict[str, Any])


def to_json(value: object) -> str | None:
    """Return JSON for a column, None for None."""
    return None if value is None else _encode(value).decode()


@attrs.frozen(slots=True)
class SessionRow:
    """A session as it is stored. Times in ms.

    `linked_at` is when the phone was linked, `restarts` the ledger's times, `queued` how many messages have
    not left.
    """

    id: str
    name: str
    description: str | None
    desired: Desired
    status: SessionStatus
    reason: str | None
    phone_number: str | None
    created_at: int
    updated_at: int
    last_activity: int | None
    linked_at: int | None
    connection_info: ConnectionInfo | None
    settings: StoredSettings
    owner_uid: int | None
    restarts: tuple[int, ...]
    sent: int
    received: int
    failed: int
    queued: int


SESSION_COLUMNS: Final = """s.id, s.name, s.description, s.desired, s.status, s.reason, s.phone_number,
    s.created_at, s.updated_at, s.last_activity, s.linked_at, s.connection_info, s.settings, s.owner_uid,
    s.restarts, s.sent, s.received, s.failed,
    coalesce((SELECT length FROM queue_lengths q WHERE q.session_id = s.id), 0)"""


def session_row(values: Sequence[Any]) -> SessionRow:
    """Return the row for the values of SESSION_COLUMNS."""
    row = list(values)
    row[11] = None if row[11] is None else _connection.decode(row[11])
    row[12] = _settings.decode(row[12])
    row[14] = _times.decode(row[14])
    return SessionRow(*row)


def session_record(
    row: SessionRow,
    restarts: Restarts,
    process: ProcessFigures | None = None,
    disk: DiskFigures | None = None,
) -> Session:
    """Return the session as clients see it; the ledger's view and the browser's figures are the caller's."""
    return Session(
        id=row.id,
        name=row.name,
        description=row.description,
        status=row.status,
        reason=row.reason,
        desired=row.desired,
        phone_number=row.phone_number,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        last_activity=_time(row.last_activity),
        connection_info=row.connection_info,
        message_stats=MessageStats(sent=row.sent, received=row.received, failed=row.failed),
        message_queue=row.queued,
        restarts=restarts,
        process=process,
        disk=disk,
        settings=row.settings.visible,
    )


class MessageRow(msgspec.Struct, frozen=True):
    """A message as it is stored. `ref` is the row, `chat` the chat whatever it is called; times in ms."""

    ref: int
    session_id: str
    id: str
    key: str | None
    chat: int
    chat_id: str
    direction: Direction
    origin: Origin
    sender: str | None
    recipient: str | None
    type: str
    text: str | None
    media: Media | None
    quoted_id: str | None
    mentions: tuple[str, ...]
    options: dict[str, Any]
    status: MessageStatus
    error: MessageError | None
    attempts: int
    retry_at: int
    at: int
    timestamp: int | None
    edited_at: int | None
    deleted_at: int | None
    created_at: int
    updated_at: int
    readable: bool = True
    """Whether what it says could be decrypted; where not, it says nothing."""


UNREADABLE: Final = {"unreadable": True}
"""The details of a message that could not be decrypted."""

MESSAGE_COLUMNS: Final = f"""m.ref, m.session_id, m.id, m.key, m.chat, m.chat_id, m.direction, m.origin,
    m.sender, m.recipient, m.type, m.text, m.media, m.quoted_id, m.mentions, m.options, m.status, m.error,
    m.attempts, m.retry_at, m.at, m.timestamp, m.edited_at, m.deleted_at,
    m.created_at, m.updated_at, {OPENED}"""


def message_row(values: Sequence[Any]) -> MessageRow:
    """Return the row for the values of MESSAGE_COLUMNS."""
    row = list(values)
    content = row.pop()
    readable = True
    if content is not None:
        said = opened(content)
        if said is not None:
            row[11], row[12], row[14], row[15] = said.text, said.media, said.mentions, said.options
        readable = said is not None
    row[12] = None if row[12] is None else _media.decode(row[12])
    row[14] = () if row[14] is None else _names.decode(row[14])
    row[15] = {} if row[15] is None else _object.decode(row[15])
    if not readable:
        row[15] = UNREADABLE
    row[17] = None if row[17] is None else _error.decode(row[17])
    row.append(readable)
    return MessageRow(*row)


def message_record(row: MessageRow) -> Message:
    """Return the message as clients see it."""
    return _message(row, Snapshot.of(row))


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is true of a message at the time of an event and may change: no content. Times in ms.

    `more` holds fields that the event's data has beside `message`.
    """

    status: MessageStatus
    updated_at: int
    attempts: int = 0
    key: str | None = None
    timestamp: int | None = None
    error: MessageError | None = None
    more: dict[str, Any] = {}

    @classmethod
    def of(cls, row: MessageRow, more: dict[str, Any] | None = None) -> Snapshot:
        """Return the snapshot of a message as its row is now."""
        return cls(
            status=row.status,
            updated_at=row.updated_at,
            attempts=row.attempts,
            key=row.key,
            timestamp=row.timestamp,
            error=row.error,
            more=more or {},
        )


_snapshot: Final = msgspec.json.Decoder(Snapshot)


def _message(row: MessageRow, then: Snapshot) -> Message:
    return Message(
        id=row.id,
        key=then.key,
        origin=row.origin,
        session_id=row.session_id,
        chat_id=row.chat_id,
        direction=row.direction,
        from_=row.sender,
        to=row.recipient,
        type=row.type,
        text=row.text,
        media=row.media,
        quoted_message_id=row.quoted_id,
        mentions=row.mentions,
        details=row.options,
        status=then.status,
        error=then.error,
        attempts=then.attempts,
        timestamp=_time(then.timestamp),
        edited_at=_time(row.edited_at),
        deleted_at=_time(row.deleted_at),
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(then.updated_at),
    )


class Event:
    """An event of the log. `json` is its record as it goes to clients, encoded once for all of them."""

    __slots__ = ("_json", "record")

    def __init__(self, record: EventRecord) -> None:
        self.record: Final = record
        self._json: bytes | None = None

    @property
    def seq(self) -> int:
        """Its place in the log."""
        return self.record.seq

    @property
    def json(self) -> bytes:
        """The record as JSON."""
        if self._json is None:
            self._json = _encode(self.record)
        return self._json

    def __repr__(self) -> str:
        return f"<Event {self.record.seq} {self.record.type}>"


def event(
    seq: int,
    at_ms: int,
    kind: EventType,
    session_id: str | None,
    data: str,
    message: MessageRow | None,
    content: bytes | None = None,
) -> Event:
    """Return an event for its row, and its message's where it is of one; `content`: see `OPENED_EVENT`."""
    if message is None:
        raw = data.encode()
    else:
        then = _snapshot.decode(data)
        more = then.more if content is None else opened_event(content)
        raw = _encode({"message": _message(message, then), **more})
    return Event(
        EventRecord(
            seq=seq, type=kind, session_id=session_id, timestamp=rfc3339(at_ms), data=msgspec.Raw(raw)
        )
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)

"""The table of messages: those that came, those the phone sent, acknowledgements, lists.

What the daemon sends itself is `outbox`'s. Every function takes a connection and runs in a thread; each that
changes a message appends its event and keeps the session's counters. Times are in ms.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from protocol.errors import RpcError
from protocol.models import MESSAGE_STATUSES, Media

from .chats import chat_of, find_chat
from .events import append_message_event
from .records import MESSAGE_COLUMNS, MessageRow, message_row, to_json
from .sealing import Cells, cells, put, wants
from .volume import note_sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

    from protocol.models import Direction, EventType, MessageStatus, Origin

__all__ = [
    "Content",
    "Observed",
    "ack",
    "count",
    "counts",
    "deleted",
    "edited",
    "find",
    "forget",
    "get",
    "insert",
    "list_",
    "newest",
    "noted",
    "own_from_phone",
    "received",
    "require",
]

_ACKS: Final[tuple[MessageStatus, ...]] = ("sent", "delivered", "read", "played")
_EVENT: Final[Mapping[str, EventType]] = {
    "sent": "message.sent",
    "delivered": "message.delivered",
    "read": "message.read",
    "played": "message.played",
}


@attrs.frozen(slots=True, kw_only=True)
class Content:
    """What a message says."""

    type: str = "text"
    text: str | None = None
    media: Media | None = None
    quoted_id: str | None = None
    mentions: tuple[str, ...] = ()
    options: Mapping[str, Any] = attrs.Factory(dict)

    def digest(self) -> bytes:
        """Return what tells this content from every other."""
        fields = (self.type, self.text, self.media, self.quoted_id, self.mentions, self.options)
        return hashlib.sha256(msgspec.json.encode(fields, order="deterministic") + b"\n").digest()


@attrs.frozen(slots=True, kw_only=True)
class Observed:
    """A message that the page has told of. `timestamp` is WhatsApp's time."""

    id: str
    key: str
    chat_id: str
    sender: str | None
    recipient: str | None
    timestamp: int
    content: Content


def received(
    db: apsw.Connection, session_id: str, message: Observed, at_ms: int, *, recovered: bool = False
) -> MessageRow | None:
    """Store a message that came; None if its key is known already.

    `recovered` says that it was caught up after a gap, and goes into the event.
    """
    row = _observe(db, session_id, message, at_ms, "in", "contact", "received")
    if row is not None:
        bump(db, session_id, at_ms, received=1)
        more = {"recovered": True} if recovered else None
        append_message_event(db, type="message.received", message=row, at_ms=at_ms, more=more)
    return row


def own_from_phone(
    db: apsw.Connection,
    session_id: str,
    message: Observed,
    at_ms: int,
    *,
    status: MessageStatus = "sent",
    recovered: bool = False,
) -> MessageRow | None:
    """Store a message that the account has sent from another device; None if it is known, or is our own."""
    row = _observe(db, session_id, message, at_ms, "out", "phone", status)
    if row is not None:
        bump(db, session_id, at_ms)
        more = {"recovered": True} if recovered else None
        append_message_event(db, type="message.sent", message=row, at_ms=at_ms, more=more)
    return row


def _observe(
    db: apsw.Connection,
    session_id: str,
    message: Observed,
    at_ms: int,
    direction: Direction,
    origin: Origin,
    status: MessageStatus,
) -> MessageRow | None:
    return insert(
        db,
        session_id,
        message.content,
        id=message.id,
        key=message.key,
        chat=chat_of(db, session_id, message.chat_id),
        chat_id=message.chat_id,
        direction=direction,
        origin=origin,
        sender=message.sender,
        recipient=message.recipient,
        status=status,
        # WhatsApp's times are whole seconds: within one, what is seen later comes later.
        at=min(at_ms, message.timestamp + 999),
        timestamp=message.timestamp,
        created_at=at_ms,
        updated_at=at_ms,
    )


def insert(
    db: apsw.Connection, session_id: str, content: Content, *, digest: bytes | None = None, **columns: Any
) -> MessageRow | None:
    """Insert a row (its name, its media and the rest from `content`); None if it is there already.

    `digest` is the content's, where an idempotency key will have to be compared.
    """
    said = Cells(
        text=content.text,
        media=to_json(content.media),
        mentions=to_json(content.mentions or None),
        options=to_json(content.options or None),
        content_hash=digest,
    )
    sealing = wants(db, session_id)
    values = {
        "session_id": session_id,
        "type": content.type,
        "quoted_id": content.quoted_id,
        **({} if sealing else msgspec.structs.asdict(said)),
        **columns,
    }
    ref = db.execute(
        f"""INSERT INTO messages ({", ".join(values)}) VALUES ({", ".join("?" * len(values))})
            ON CONFLICT DO NOTHING RETURNING ref""",  # noqa: S608  the names are this module's
        tuple(values.values()),
    ).get
    if ref is None:
        return None
    if sealing:  # with its number, which is known only now
        put(db, session_id, ref, said)
    return by_ref(db, ref)


def by_ref(db: apsw.Connection, ref: int) -> MessageRow:
    """Return the message of a row that is known to exist."""
    found = db.execute(f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.ref = ?", (ref,)).fetchone()  # noqa: S608
    if found is None:
        raise LookupError(f"no message {ref}")
    return message_row(found)


def find(db: apsw.Connection, session_id: str, message_id: str) -> MessageRow | None:
    """Return the message with this id or key, None if there is none.

    Senders choose their ids, so several that came may share one: our own comes first, then the newest.
    """
    row = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.session_id = ? AND m.key = ?",  # noqa: S608
        (session_id, message_id),
    ).fetchone()
    row = (
        row
        or db.execute(
            f"""SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.session_id = ? AND m.id = ?
            ORDER BY +m.direction DESC, m.ref DESC LIMIT 1""",  # noqa: S608
            (session_id, message_id),
        ).fetchone()
    )
    return None if row is None else message_row(row)


def get(db: apsw.Connection, session_id: str, message_id: str) -> MessageRow:
    """Return the message with this id or key. Raises SESSION_NOT_FOUND, MESSAGE_NOT_FOUND."""
    row = find(db, session_id, message_id)
    if row is None:
        require(db, session_id)
        raise RpcError("MESSAGE_NOT_FOUND", messageId=message_id)
    return row


def require(db: apsw.Connection, session_id: str) -> None:
    """Raise SESSION_NOT_FOUND if there is no such session."""
    if db.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).get is None:
        raise RpcError("SESSION_NOT_FOUND", sessionId=session_id)


def list_(
    db: apsw.Connection,
    session_id: str,
    *,
    chat_id: str | None = None,
    direction: Direction | None = None,
    status: MessageStatus | None = None,
    since: int | None = None,
    until: int | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> tuple[list[MessageRow], str | None]:
    """Return a page of messages, newest first, and the cursor of the page after it (None: there is none).

    `since` is included, `until` is not. `chat_id` may be any of the chat's ids. Raises SESSION_NOT_FOUND, and
    INVALID_PARAMS for a cursor that is none.
    """
    require(db, session_id)
    where, bindings = ["m.session_id = ?"], [session_id]  # type: list[str], list[Any]
    if chat_id is not None:
        where.append("m.chat = ?")
        bindings.append(find_chat(db, session_id, chat_id))
    for condition, value in (
        ("m.direction = ?", direction),
        ("m.status = ?", status),
        ("m.at >= ?", since),
        ("m.at < ?", until),
    ):
        if value is not None:
            where.append(condition)
            bindings.append(value)
    if cursor is not None:
        where.append("(m.at, m.ref) < (?, ?)")
        bindings.extend(_place(cursor))
    rows = db.execute(
        f"""SELECT {MESSAGE_COLUMNS} FROM messages m WHERE {" AND ".join(where)}
            ORDER BY m.at DESC, m.ref DESC LIMIT ?""",  # noqa: S608  no value is put into the text
        (*bindings, limit + 1),
    ).fetchall()
    found = [message_row(row) for row in rows[:limit]]
    return found, f"{found[-1].at}.{found[-1].ref}" if len(rows) > limit else None


def _place(cursor: str) -> tuple[int, int]:
    try:
        at, ref = map(int, cursor.split("."))
    except ValueError:
        raise RpcError("INVALID_PARAMS", "cursor is not the `next` of an earlier answer") from None
    return at, ref


def ack(
    db: apsw.Connection, session_id: str, message_id: str, status: MessageStatus, at_ms: int
) -> MessageRow | None:
    """Note what WhatsApp says of a message of ours: `sent`, `delivered`, `read` or `played`.

    It only moves forward; a step that is passed over is told as well. A message that had failed, or waits
    to be sent again, has been sent after all. None if there is nothing new, or no such message.
    """
    row = find(db, session_id, message_id)
    if row is None or row.direction != "out":
        return None
    reached = _ACKS.index(row.status) if row.status in _ACKS else -1
    for step in _ACKS[reached + 1 : _ACKS.index(status) + 1]:
        row = _ack_one(db, row, step, at_ms)
    return row if reached < _ACKS.index(status) else None


def _ack_one(db: apsw.Connection, row: MessageRow, status: MessageStatus, at_ms: int) -> MessageRow:
    db.execute(
        """UPDATE messages SET status = ?, error = NULL, updated_at = ?, timestamp = coalesce(timestamp, ?)
           WHERE ref = ?""",
        (status, at_ms, at_ms, row.ref),
    )
    if status == "sent" and row.origin == "api":
        bump(db, row.session_id, at_ms, sent=1, failed=-1 if row.status == "failed" else 0)
    else:
        bump(db, row.session_id, at_ms)
    row = by_ref(db, row.ref)
    append_message_event(db, type=_EVENT[status], message=row, at_ms=at_ms)
    if status == "sent" and row.origin == "api":
        note_sent(db, row.session_id, at_ms)
    return row


def bump(
    db: apsw.Connection, session_id: str, at_ms: int, *, sent: int = 0, received: int = 0, failed: int = 0
) -> None:
    """Count, and note that the session was active."""
    db.execute(
        """UPDATE sessions SET sent = sent + ?, received = received + ?, failed = failed + ?,
           last_activity = max(coalesce(last_activity, 0), ?) WHERE id = ?""",
        (sent, received, failed, at_ms, session_id),
    )


def edited(db: apsw.Connection, session_id: str, message_id: str, text: str, at_ms: int) -> MessageRow | None:
    """Note a message's new text; None if there is no such message, or it says that already."""
    row = find(db, session_id, message_id)
    if row is None or row.text == text:
        return None
    said = cells(db, row.ref) or Cells()
    put(db, session_id, row.ref, msgspec.structs.replace(said, text=text))
    db.execute("UPDATE messages SET edited_at = ?, updated_at = ? WHERE ref = ?", (at_ms, at_ms, row.ref))
    return _changed(db, row, "message.edited", at_ms)


def deleted(db: apsw.Connection, session_id: str, message_id: str, at_ms: int) -> MessageRow | None:
    """Note that a message was deleted; None if there is no such message, or it is known.

    What it said stays on record: who had it may show it, and a shop has to.
    """
    row = find(db, session_id, message_id)
    if row is None or row.deleted_at is not None:
        return None
    db.execute("UPDATE messages SET deleted_at = ?, updated_at = ? WHERE ref = ?", (at_ms, at_ms, row.ref))
    return _changed(db, row, "message.deleted", at_ms)


def noted(
    db: apsw.Connection, session_id: str, message_id: str, kind: EventType, at_ms: int, more: dict[str, Any]
) -> MessageRow | None:
    """Tell something of a message that its row does not hold: a reaction, a vote; None if it is not known."""
    row = find(db, session_id, message_id)
    if row is None:
        return None
    bump(db, session_id, at_ms)
    append_message_event(db, type=kind, message=row, at_ms=at_ms, said=more)
    return row


def _changed(db: apsw.Connection, row: MessageRow, kind: EventType, at_ms: int) -> MessageRow:
    bump(db, row.session_id, at_ms)
    row = by_ref(db, row.ref)
    append_message_event(db, type=kind, message=row, at_ms=at_ms)
    return row


def forget(db: apsw.Connection, before_ms: int, limit: int = 1000) -> int:
    """Delete settled messages of sessions whose `messageHistory` is off, with their events; return how many.

    Those that were stored before `before_ms`, at most `limit`: to be repeated until it returns less. The
    sessions' counters stay.
    """
    refs = [
        ref
        for (ref,) in db.execute(
            """SELECT m.ref FROM sessions s JOIN messages m ON m.session_id = s.id
               WHERE s.settings ->> '$.visible.messageHistory' = 0 AND m.created_at < ?
                 AND m.status NOT IN ('queued', 'sending') LIMIT ?""",
            (before_ms, limit),
        )
    ]
    if not refs:
        return 0  # and the log is not searched for nothing
    chosen = to_json(refs)
    db.execute("DELETE FROM events WHERE message IN (SELECT value FROM json_each(?))", (chosen,))
    db.execute("DELETE FROM messages WHERE ref IN (SELECT value FROM json_each(?))", (chosen,))
    return len(refs)


def counts(db: apsw.Connection, session_id: str) -> dict[MessageStatus, int]:
    """Return how many messages of the session have each status."""
    rows = db.execute(
        "SELECT status, count(*) FROM messages WHERE session_id = ? GROUP BY status", (session_id,)
    )
    return {**dict.fromkeys(MESSAGE_STATUSES, 0), **dict(rows)}


def newest(db: apsw.Connection, session_id: str) -> int | None:
    """Return WhatsApp's time of the newest message that the page has told of, None if there is none."""
    at: int | None = db.execute(
        "SELECT max(at) FROM messages WHERE session_id = ? AND origin <> 'api'", (session_id,)
    ).get
    return at


def count(db: apsw.Connection) -> int:
    """Return how many messages there are in all."""
    total: int = db.execute("SELECT count(*) FROM messages").get
    return total

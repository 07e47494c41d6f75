"""Messages of the past, taken into the table as they were.

Every function takes a connection and runs in a thread; times are in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import RpcError
from protocol.times import parse

from .chats import chat_of
from .messages import Content, insert, require
from .records import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from protocol.models import MessageStatus, PastMessage

__all__ = ["oldest_message", "take_in"]

_UNSENT = ("queued", "sending")
_LEFT = ("sent", "delivered", "read", "played")
_CLOCKS_DIFFER_MS = 86_400_000


def take_in(db: apsw.Connection, session_id: str, messages: Sequence[PastMessage], now_ms: int) -> int:
    """Store those of the messages that are not known, in this order; return how many they were.

    Known is one whose key, or whose id among those that went out, is there. What had not left is `cancelled`
    here: nothing that is taken in is ever sent by itself. The session's counters count what is new; no event
    is appended, for nothing has happened. Raises SESSION_NOT_FOUND, and INVALID_PARAMS for a session that
    keeps no history and for a message that lies ahead: the page's history would be compared from there on.
    """
    require(db, session_id)
    if (
        db.execute(
            "SELECT settings ->> '$.visible.messageHistory' FROM sessions WHERE id = ?", (session_id,)
        ).get
        == 0
    ):
        raise RpcError(
            "INVALID_PARAMS",
            "The session keeps no history",
            action="Set its messageHistory to true first.",
        )
    imported = sent = received = failed = 0
    for place, message in enumerate(messages):
        if not _take_in_one(db, session_id, message, place, now_ms):
            continue
        imported += 1
        received += message.direction == "in"
        sent += message.origin == "api" and message.status in _LEFT
        failed += message.status == "failed"
    db.execute(
        "UPDATE sessions SET sent = sent + ?, received = received + ?, failed = failed + ? WHERE id = ?",
        (sent, received, failed, session_id),
    )
    return imported


def _take_in_one(db: apsw.Connection, session_id: str, message: PastMessage, place: int, now_ms: int) -> bool:
    created_at = parse(message.created_at)
    timestamp = None if message.timestamp is None else parse(message.timestamp)
    # Its place in lists, as it was found when it was stored first.
    at = created_at
    if message.origin != "api" and timestamp is not None:
        at = min(created_at, timestamp + 999)
    if at > now_ms + _CLOCKS_DIFFER_MS:
        path = f"$.messages[{place}].createdAt"
        raise RpcError("INVALID_PARAMS", f"{path}: A message of the past lies ahead of now", path=path)
    if _is_known(db, session_id, message):
        return False
    status: MessageStatus = "cancelled" if message.status in _UNSENT else message.status
    row = insert(
        db,
        session_id,
        Content(
            type=message.type,
            text=message.text,
            media=message.media,
            quoted_id=message.quoted_message_id,
            mentions=message.mentions,
            options=message.details,
        ),
        id=message.id,
        key=message.key,
        chat=chat_of(db, session_id, message.chat_id),
        chat_id=message.chat_id,
        direction=message.direction,
        origin=message.origin,
        sender=message.from_,
        recipient=message.to,
        status=status,
        error=to_json(message.error),
        attempts=message.attempts,
        at=at,
        timestamp=timestamp,
        edited_at=None if message.edited_at is None else parse(message.edited_at),
        deleted_at=None if message.deleted_at is None else parse(message.deleted_at),
        created_at=created_at,
        updated_at=parse(message.updated_at),
    )
    return row is not None


def _is_known(db: apsw.Connection, session_id: str, message: PastMessage) -> bool:
    if message.key is not None:
        by_key = "SELECT 1 FROM messages WHERE session_id = ? AND key = ?"
        if db.execute(by_key, (session_id, message.key)).get is not None:
            return True
    by_id = "SELECT 1 FROM messages WHERE session_id = ? AND id = ? AND direction = 'out'"
    return message.direction == "out" and db.execute(by_id, (session_id, message.id)).get is not None


def oldest_message(db: apsw.Connection) -> int | None:
    """Return the time of the oldest message of all sessions, None while there is none."""
    at: int | None = db.execute(
        """SELECT min((SELECT m.at FROM messages m WHERE m.session_id = s.id ORDER BY m.at LIMIT 1))
           FROM sessions s"""
    ).get
    return at

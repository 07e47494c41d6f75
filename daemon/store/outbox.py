"""The outbox: messages that the daemon sends, from acceptance to an outcome.

Must not know the page. Every function takes a connection and runs in a thread; each that changes a message
appends its event and keeps the session's counters. Times are in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import RpcError

from .chats import chat_of, same_chat
from .events import append_message_event
from .messages import Content, bump, by_ref, find, get, insert, require
from .records import MESSAGE_COLUMNS, MessageRow, message_row, to_json
from .sealing import cells

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import apsw

    from protocol.models import MessageError, MessageStatus

__all__ = [
    "cancel",
    "enqueue",
    "fail",
    "keys_missing",
    "mark_sending",
    "next_queued",
    "next_retry_at",
    "queue_length",
    "requeue",
    "resolve_key",
    "retry",
    "take",
    "unsent",
    "unsettled",
]


def enqueue(
    db: apsw.Connection,
    session_id: str,
    content: Content,
    *,
    id: str,  # noqa: A002  the column's name
    chat_id: str,
    at_ms: int,
    sender: str | None = None,
    idempotency_key: str | None = None,
    queue_limit: int | None = None,
    rate_per_minute: int = 0,
) -> tuple[MessageRow, bool]:
    """Accept a message under the id that WhatsApp will see; return it, and whether it is a new one.

    With an idempotency key that was used before, the message of that time is returned, as it is now. Raises
    SESSION_NOT_FOUND; IDEMPOTENCY_CONFLICT for such a key with another chat or content; QUEUE_FULL when
    `queue_limit` messages of the session have not left yet; RATE_LIMITED when `rate_per_minute` (0: none)
    have been accepted within a minute.
    """
    require(db, session_id)
    chat = chat_of(db, session_id, chat_id)
    digest = None
    if idempotency_key is not None:
        digest = content.digest()
        known = db.execute(
            "SELECT ref, chat FROM messages WHERE session_id = ? AND idempotency_key = ?",
            (session_id, idempotency_key),
        ).fetchone()
        if known is not None:
            said = cells(db, known[0])
            if known[1] != chat or said is None or said.content_hash != digest:
                raise RpcError("IDEMPOTENCY_CONFLICT")
            return by_ref(db, known[0]), False
    if queue_limit is not None and queue_length(db, session_id) >= queue_limit:
        raise RpcError("QUEUE_FULL", limit=queue_limit)
    if rate_per_minute:
        _hold_back(db, session_id, at_ms, rate_per_minute)
    row = insert(
        db,
        session_id,
        content,
        id=id,
        chat=chat,
        chat_id=chat_id,
        direction="out",
        origin="api",
        sender=sender,
        recipient=chat_id,
        status="queued",
        at=at_ms,
        created_at=at_ms,
        updated_at=at_ms,
        idempotency_key=idempotency_key,
        digest=digest,
    )
    if row is None:
        raise ValueError("the message id is taken")
    bump(db, session_id, at_ms)
    append_message_event(db, type="message.queued", message=row, at_ms=at_ms)
    return row, True


def _hold_back(db: apsw.Connection, session_id: str, at_ms: int, rate_per_minute: int) -> None:
    """Raise RATE_LIMITED if the last minute is full; a message whose time lies ahead counts as now's."""
    first: int | None = db.execute(
        """SELECT at FROM messages WHERE session_id = ? AND at > ? AND origin = 'api'
           ORDER BY at DESC LIMIT 1 OFFSET ?""",
        (session_id, at_ms - 60_000, rate_per_minute - 1),
    ).get
    if first is not None:
        wait_s = min(60.0, max(0.001, (first + 60_000 - at_ms) / 1000))
        raise RpcError("RATE_LIMITED", limit=rate_per_minute, retryAfter=round(wait_s, 3))


def unsent(db: apsw.Connection, session_id: str, ids: Collection[str]) -> set[str]:
    """Return those of the messages with these ids that wait to be sent, or may be told to be sent again."""
    rows = db.execute(
        """SELECT id FROM messages INDEXED BY messages_out_by_id
           WHERE session_id = ? AND direction = 'out' AND id IN (SELECT value FROM json_each(?))
           AND origin = 'api' AND status IN ('queued', 'sending', 'failed', 'cancelled')""",
        (session_id, to_json(sorted(ids))),
    )
    return {found for (found,) in rows}


def queue_length(db: apsw.Connection, session_id: str) -> int:
    """Return how many messages of the session have not left."""
    length: int | None = db.execute(
        "SELECT length FROM queue_lengths WHERE session_id = ?", (session_id,)
    ).get
    return length or 0


# A time that lies further ahead was not meant so: the clock was put back since.
_LONGEST_RETRY_MS = 120_000

# Chats with one that is being sent are left out: whatever is behind it waits.
_HEADS = """FROM queue_heads h JOIN messages m ON m.ref = h.ref WHERE h.session_id = :session
            AND h.chat NOT IN
            (SELECT chat FROM messages WHERE session_id = :session AND status = 'sending')"""


def next_queued(db: apsw.Connection, session_id: str, now_ms: int, limit: int = 100) -> list[MessageRow]:
    """Return the oldest queued message of each chat, oldest first: what may be sent now.

    Left out are chats with one that is being sent, and those whose oldest waits for its next attempt: what is
    behind it waits too, so that order within a chat is kept.
    """
    rows = db.execute(
        f"""SELECT {MESSAGE_COLUMNS} {_HEADS} AND (m.retry_at <= :now OR m.retry_at > :latest)
            ORDER BY h.ref LIMIT :limit""",
        {"session": session_id, "now": now_ms, "latest": now_ms + _LONGEST_RETRY_MS, "limit": limit},
    )
    return [message_row(row) for row in rows]


def next_retry_at(db: apsw.Connection, session_id: str) -> int | None:
    """Return when the next of the messages that `next_queued` holds back is due, None if there is none."""
    due: int | None = db.execute(
        f"""SELECT coalesce((SELECT 0 {_HEADS} AND m.retry_at = 0 LIMIT 1),
                            (SELECT min(m.retry_at) {_HEADS}))""",
        {"session": session_id},
    ).get
    return due


def mark_sending(db: apsw.Connection, ref: int, at_ms: int) -> MessageRow | None:
    """Note that an attempt to send begins; None if the message is no longer queued (cancelled, say)."""
    db.execute(
        """UPDATE messages SET status = 'sending', attempts = attempts + 1, updated_at = ?
           WHERE ref = ? AND status = 'queued'""",
        (at_ms, ref),
    )
    return by_ref(db, ref) if db.changes() else None


def take(db: apsw.Connection, session_id: str, now_ms: int, limit: int = 100) -> list[MessageRow]:
    """Mark what `next_queued` finds as being sent, and return it as it is then."""
    taken = (mark_sending(db, row.ref, now_ms) for row in next_queued(db, session_id, now_ms, limit))
    return [row for row in taken if row is not None]


def unsettled(db: apsw.Connection, session_id: str) -> list[MessageRow]:
    """Return the messages whose attempt has no outcome, oldest first: after a crash, those to ask about."""
    rows = db.execute(
        f"""SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.session_id = ?
            AND m.status = 'sending' ORDER BY m.ref""",  # noqa: S608
        (session_id,),
    )
    return [message_row(row) for row in rows]


def resolve_key(
    db: apsw.Connection, session_id: str, message_id: str, key: str, at_ms: int, *, chat_id: str | None = None
) -> MessageRow | None:
    """Note the full key of a message of ours, and what the page calls its chat; None if it is not known.

    A key that another message has is left to that one: no page that is sound would tell it.
    """
    row = find(db, session_id, message_id)
    if row is None or row.direction != "out":
        return None
    if row.key != key:
        db.execute(
            "UPDATE OR IGNORE messages SET key = ?, updated_at = ? WHERE ref = ?", (key, at_ms, row.ref)
        )
    if chat_id is not None:
        same_chat(db, session_id, row.chat_id, chat_id)
    return by_ref(db, row.ref)


def fail(
    db: apsw.Connection, session_id: str, message_id: str, error: MessageError, at_ms: int
) -> MessageRow | None:
    """Give a message up, with the reason; None if it has left, was cancelled or has failed already."""
    row = get(db, session_id, message_id)
    if row.status not in ("queued", "sending"):
        return None
    row = _change(db, row, "failed", at_ms, error)
    bump(db, session_id, at_ms, failed=1)
    append_message_event(db, type="message.failed", message=row, at_ms=at_ms)
    return row


def requeue(
    db: apsw.Connection,
    session_id: str,
    message_id: str,
    at_ms: int,
    *,
    retry_at: int = 0,
    error: MessageError | None = None,
) -> MessageRow | None:
    """Put a message whose attempt came to nothing back in its place, to be sent from `retry_at` on.

    `error` is why, and is shown until the next outcome. None if it is not being sent.
    """
    row = get(db, session_id, message_id)
    if row.status != "sending":
        return None
    row = _change(db, row, "queued", at_ms, error, retry_at)
    append_message_event(db, type="message.retrying", message=row, at_ms=at_ms)
    return row


def keys_missing(
    db: apsw.Connection,
    session_id: str,
    message_id: str,
    at_ms: int,
    *,
    limit: int,
    delay_ms: Callable[[int], int],
    error: MessageError,
) -> MessageRow | None:
    """Note that a message could not be sent for want of encryption keys ("No sessions").

    Such failures have a counter of their own in the message's row, which survives every restart. Up to
    `limit` of them the message goes back to its place, to be sent `delay_ms(count)` later, while the page
    fetches keys; then it is given up with `error`. None if it is not being sent.
    """
    row = get(db, session_id, message_id)
    if row.status != "sending":
        return None
    db.execute("UPDATE messages SET key_failures = key_failures + 1 WHERE ref = ?", (row.ref,))
    count: int = db.execute("SELECT key_failures FROM messages WHERE ref = ?", (row.ref,)).get
    if count > limit:
        return fail(db, session_id, message_id, error, at_ms)
    return requeue(db, session_id, message_id, at_ms, retry_at=at_ms + delay_ms(count), error=error)


def retry(db: apsw.Connection, session_id: str, message_id: str, at_ms: int) -> MessageRow:
    """Queue a message again that has failed or was cancelled, in its old place.

    Raises MESSAGE_NOT_FOUND, and INVALID_PARAMS for one in another status (details.currentStatus).
    """
    row = _in_status(get(db, session_id, message_id), "failed", "cancelled")
    if row.status == "failed":
        bump(db, session_id, at_ms, failed=-1)
    db.execute("UPDATE messages SET key_failures = 0 WHERE ref = ?", (row.ref,))
    row = _change(db, row, "queued", at_ms)
    append_message_event(db, type="message.retrying", message=row, at_ms=at_ms)
    return row


def cancel(db: apsw.Connection, session_id: str, message_id: str, at_ms: int) -> MessageRow:
    """Take a message out of the queue. Raises as `retry` does: only a queued one can be cancelled."""
    row = _in_status(get(db, session_id, message_id), "queued")
    row = _change(db, row, "cancelled", at_ms)
    append_message_event(db, type="message.cancelled", message=row, at_ms=at_ms)
    return row


def _in_status(row: MessageRow, *allowed: MessageStatus) -> MessageRow:
    if row.direction != "out" or row.origin != "api" or row.status not in allowed:
        raise RpcError(
            "INVALID_PARAMS",
            f"The message is {row.status}: it has to be {' or '.join(allowed)}",
            currentStatus=row.status,
        )
    return row


def _change(
    db: apsw.Connection,
    row: MessageRow,
    status: MessageStatus,
    at_ms: int,
    error: MessageError | None = None,
    retry_at: int = 0,
) -> MessageRow:
    db.execute(
        "UPDATE messages SET status = ?, error = ?, retry_at = ?, updated_at = ? WHERE ref = ?",
        (status, to_json(error), retry_at, at_ms, row.ref),
    )
    return by_ref(db, row.ref)

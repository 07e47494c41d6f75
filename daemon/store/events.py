"""The event log's table: append, read a page, expire. Every function takes a connection and runs in a thread.

The log has no hole between state and event because `append_event` is called by the job that changes the
state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from protocol.errors import RpcError

from .records import MESSAGE_COLUMNS, Event, MessageRow, Snapshot, event, message_row, to_json
from .sealing import OPENED_EVENT, put_event, wants

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import apsw

    from protocol.models import EventType

__all__ = ["Page", "append_event", "append_message_event", "bounds", "expire", "read_new", "read_page"]


@attrs.frozen(slots=True)
class Page:
    """Some of the log, in order: what matches between a cursor and `upto`.

    `upto` is the seq up to which there is no more to find, matching or not: the cursor of the next page.
    `oldest` and `latest` are what the log holds, both 0 while it has nothing.
    """

    events: tuple[Event, ...]
    upto: int
    oldest: int
    latest: int


def append_event(
    db: apsw.Connection,
    *,
    type: EventType,  # noqa: A002  its name on the channel
    session_id: str | None,
    at_ms: int,
    data: Mapping[str, Any] | msgspec.Struct,
) -> int:
    """Append an event that is not of a message; return its seq."""
    return _append(db, type, session_id, at_ms, data, None)


def append_message_event(
    db: apsw.Connection,
    *,
    type: EventType,  # noqa: A002  its name on the channel
    message: MessageRow,
    at_ms: int,
    more: dict[str, Any] | None = None,
    said: dict[str, Any] | None = None,
) -> int:
    """Append an event of a message as its row is now; return its seq.

    `more` goes into the event's data beside `message` (`recovered`, for one); it must hold no content. What
    somebody said goes into `said` instead, which is sealed where the session wants that.
    """
    sealing = said is not None and wants(db, message.session_id)
    snapshot = Snapshot.of(message, more if said is None or sealing else said)
    seq = _append(db, type, message.session_id, at_ms, snapshot, message.ref)
    if sealing:
        put_event(db, seq, msgspec.json.encode(said))
    return seq


def _append(
    db: apsw.Connection, kind: str, session_id: str | None, at_ms: int, data: object, message: int | None
) -> int:
    db.execute(
        "INSERT INTO events (at, type, session_id, message, data) VALUES (?, ?, ?, ?, ?)",
        (at_ms, kind, session_id, message, to_json(data)),
    )
    return db.last_insert_rowid()


def bounds(db: apsw.Connection) -> tuple[int, int]:
    """Return the lowest seq that has not expired, and the highest that was ever given (0: none)."""
    oldest, latest = db.execute(
        """SELECT (SELECT value FROM meta WHERE name = 'events_oldest'),
                  coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"""
    ).get
    return oldest, latest


def read_page(
    db: apsw.Connection,
    after: int,
    limit: int,
    types: Collection[str] | None = None,
    sessions: Collection[str | None] | None = None,
) -> Page:
    """Return up to `limit` events that follow the cursor `after`; 0 is the log's start, wherever that is.

    `sessions` of None alone are the events of no session.
    Raises CURSOR_EXPIRED when what followed the cursor is no longer there. Reading it all in one snapshot is
    up to the caller (a transaction).
    """
    oldest, latest = bounds(db)
    if 0 < after < oldest - 1:
        raise RpcError("CURSOR_EXPIRED", oldest=oldest)
    found = _select(db, after, limit, types, sessions)
    upto = found[-1].seq if len(found) >= limit else max(latest, after)
    return Page(found, upto, oldest if oldest <= latest else 0, latest)


def read_new(db: apsw.Connection, after: int) -> tuple[Event, ...]:
    """Return every event that follows `after`: what a transaction has appended."""
    return _select(db, after, -1, None, None)


def _select(
    db: apsw.Connection,
    after: int,
    limit: int,
    types: Collection[str] | None,
    sessions: Collection[str | None] | None,
) -> tuple[Event, ...]:
    where = ["e.seq > ?"]
    bindings: list[Any] = [after]
    if types is not None:
        where.append("e.type IN (SELECT value FROM json_each(?))")
        bindings.append(to_json(sorted(types)))
    if sessions is not None and len(sessions) == 1:
        where.append("e.session_id IS ?")
        bindings.extend(sessions)
    elif sessions is not None:
        # The + keeps to the order of seq: a page of many sessions is found sooner along the log.
        where.append("+e.session_id IN (SELECT value FROM json_each(?))")
        bindings.append(to_json([*sessions]))
    bindings.append(limit)
    found: list[tuple[Any, ...]] = db.execute(
        f"""SELECT e.seq, e.at, e.type, e.session_id, e.data, {OPENED_EVENT}, {MESSAGE_COLUMNS}
            FROM events e LEFT JOIN messages m ON m.ref = e.message
            WHERE {" AND ".join(where)} ORDER BY e.seq LIMIT ?""",  # noqa: S608  no value is put into the text
        bindings,
    ).fetchall()
    return tuple(
        event(seq, at, kind, session_id, data, None if message[0] is None else message_row(message), said)
        for seq, at, kind, session_id, data, said, *message in found
    )


def expire(db: apsw.Connection, before_ms: int, limit: int = 10_000) -> int:
    """Delete the events at the log's start that are older than `before_ms`, at most `limit`; return how many.

    To be repeated until it returns less than `limit`: small transactions let others in between.
    """
    oldest, latest = bounds(db)
    first_kept = db.execute(
        """SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT ?)
           WHERE at >= ? ORDER BY seq LIMIT 1""",
        (limit, before_ms),
    ).get
    if first_kept is None:
        last = db.execute("SELECT max(seq) FROM (SELECT seq FROM events ORDER BY seq LIMIT ?)", (limit,)).get
        first_kept = latest + 1 if last is None else last + 1
    db.execute("DELETE FROM events WHERE seq < ?", (first_kept,))
    deleted = db.changes()
    if deleted:
        db.execute("UPDATE meta SET value = ? WHERE name = 'events_oldest'", (max(first_kept, oldest),))
        db.execute("DELETE FROM deleted_sessions WHERE upto < ?", (first_kept,))
    return deleted

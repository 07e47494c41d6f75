"""The table of sessions. Every function takes a connection and runs in a thread; times are in ms.

What a session does (its transitions, its restarts) is decided elsewhere, and noted here with `update` by
those who write the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from protocol.errors import RpcError
from protocol.events import SessionData
from protocol.models import SessionSettings, SessionStatus, StoredSettings

from .events import append_event
from .records import SESSION_COLUMNS, SessionRow, session_row, to_json
from .webhooks import follow_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    import apsw

    from protocol.models import ConnectionInfo, Desired

__all__ = [
    "Changes",
    "catch_up",
    "caught_up",
    "count",
    "delete",
    "deleted",
    "files_removed",
    "get",
    "histories",
    "insert",
    "list_",
    "update",
    "with_files",
]


class Changes(TypedDict, total=False):
    """What `update` may change."""

    name: str
    description: str | None
    desired: Desired
    status: SessionStatus
    reason: str | None
    phone_number: str | None
    last_activity: int
    linked_at: int | None
    connection_info: ConnectionInfo | None
    settings: StoredSettings
    restarts: Sequence[int]


_FILES_OF: Final = "files_of:"
"""How `meta` calls a session that was deleted, and whose files were not yet."""

_JSON: Final = ("connection_info", "settings", "restarts")


def insert(
    db: apsw.Connection,
    *,
    id: str,  # noqa: A002  the column's name
    name: str,
    at_ms: int,
    description: str | None = None,
    settings: StoredSettings | None = None,
    desired: Desired = "stopped",
    owner_uid: int | None = None,
) -> SessionRow:
    """Create a session, `inactive`, with its event. Raises SESSION_EXISTS for an id that is taken."""
    db.execute(
        """INSERT INTO sessions
           (id, name, description, desired, status, created_at, updated_at, settings, owner_uid)
           VALUES (?, ?, ?, ?, 'inactive', ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING""",
        (id, name, description, desired, at_ms, at_ms, to_json(settings or StoredSettings()), owner_uid),
    )
    if not db.changes():
        raise RpcError("SESSION_EXISTS", sessionId=id)
    if settings is not None:
        follow_settings(db, id, settings, at_ms)
    append_event(db, type="session.created", session_id=id, at_ms=at_ms, data=SessionData(name=name))
    return get(db, id)


def get(db: apsw.Connection, session_id: str) -> SessionRow:
    """Return the session. Raises SESSION_NOT_FOUND."""
    row = db.execute(f"SELECT {SESSION_COLUMNS} FROM sessions s WHERE s.id = ?", (session_id,)).fetchone()  # noqa: S608
    if row is None:
        raise RpcError("SESSION_NOT_FOUND", sessionId=session_id)
    return session_row(row)


def list_(
    db: apsw.Connection,
    *,
    status: SessionStatus | None = None,
    tag: str | None = None,
    limit: int = -1,
    offset: int = 0,
    hidden: Sequence[str] = (),
) -> tuple[list[SessionRow], int]:
    """Return a page of the sessions, oldest first, and how many match; a `limit` of -1 is none.

    Those whose ids are `hidden` are not counted either.
    """
    where: list[str] = ["1"]
    bindings: list[Any] = []
    if status is not None:
        where.append("s.status = ?")
        bindings.append(status)
    if tag is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(s.settings, '$.visible.tags') WHERE value = ?)")
        bindings.append(tag)
    if hidden:
        where.append("s.id NOT IN (SELECT value FROM json_each(?))")
        bindings.append(to_json(hidden))
    matching = f"FROM sessions s WHERE {' AND '.join(where)}"
    total = db.execute(f"SELECT count(*) {matching}", bindings).get
    rows = db.execute(
        f"SELECT {SESSION_COLUMNS} {matching} ORDER BY s.created_at, s.id LIMIT ? OFFSET ?",
        (*bindings, limit, offset),
    )
    return [session_row(row) for row in rows], total


def count(db: apsw.Connection, owner_uid: int | None = None) -> int:
    """Return how many sessions there are, or how many this user has created."""
    where, bindings = ("", ()) if owner_uid is None else ("WHERE owner_uid = ?", (owner_uid,))
    total: int = db.execute(f"SELECT count(*) FROM sessions {where}", bindings).get  # noqa: S608
    return total


def update(db: apsw.Connection, session_id: str, at_ms: int, **changes: Unpack[Changes]) -> SessionRow:
    """Change some columns, without an event. Raises SESSION_NOT_FOUND."""
    values = {name: to_json(value) if name in _JSON else value for name, value in changes.items()}
    unknown = values.keys() - Changes.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such columns: {', '.join(sorted(unknown))}")
    columns = ", ".join(f"{name} = ?" for name in (*values, "updated_at"))
    db.execute(
        f"UPDATE sessions SET {columns} WHERE id = ?",  # noqa: S608  names that were just checked
        (*values.values(), at_ms, session_id),
    )
    row = get(db, session_id)
    if "settings" in changes:
        follow_settings(db, session_id, row.settings, at_ms)
    return row


def histories(db: apsw.Connection) -> dict[str, bool]:
    """Return every session's id, and whether what was said in it is kept (`messageHistory`)."""
    rows = db.execute("SELECT id, settings ->> '$.visible.messageHistory' FROM sessions")
    return {session_id: kept != 0 for session_id, kept in rows}


def forget_login(db: apsw.Connection, session_id: str, at_ms: int) -> None:
    """Note that the session is linked to no phone any more. Raises SESSION_NOT_FOUND."""
    update(db, session_id, at_ms, phone_number=None, linked_at=None, connection_info=None)


def catch_up(db: apsw.Connection, session_id: str, until_ms: int) -> None:
    """Note until when nothing is missing of what the account was sent."""
    db.execute("UPDATE sessions SET caught_up = ? WHERE id = ?", (until_ms, session_id))


def caught_up(db: apsw.Connection, session_id: str) -> int | None:
    """Return what `catch_up` noted last, None if it never has."""
    mark: int | None = db.execute("SELECT caught_up FROM sessions WHERE id = ?", (session_id,)).get
    return mark


def delete(db: apsw.Connection, session_id: str, at_ms: int) -> tuple[int, SessionSettings]:
    """Delete a session, its chats and messages, and the log's events of those; its other events stay.

    A message's event would have nothing left to tell, and its snapshot still names the chat. So a client that
    comes back later finds `session.deleted` where they were. Its lists go on to say who may read what stays.
    Its files are left to the caller; `with_files` has it until `files_removed`.
    Returns the seq of `session.deleted`, and the settings that it had. Raises SESSION_NOT_FOUND.
    """
    row = get(db, session_id)
    db.execute("DELETE FROM events WHERE session_id = ? AND message IS NOT NULL", (session_id,))
    db.execute("DELETE FROM messages WHERE session_id = ?", (session_id,))
    db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (? || ?, 1)", (_FILES_OF, session_id))
    data = SessionData(name=row.name)
    seq = append_event(db, type="session.deleted", session_id=session_id, at_ms=at_ms, data=data)
    settings = row.settings.visible
    if settings.allowed_uids is not None or settings.allowed_gids is not None:
        db.execute(
            "INSERT INTO deleted_sessions (upto, session_id, settings) VALUES (?, ?, ?)",
            (seq, session_id, to_json(settings)),
        )
    return seq, settings


def with_files(db: apsw.Connection) -> list[str]:
    """Return the ids of deleted sessions whose files may still be there: a crash came between."""
    rows = db.execute(
        """SELECT substr(name, length(?1) + 1) FROM meta
           WHERE substr(name, 1, length(?1)) = ?1
             AND substr(name, length(?1) + 1) NOT IN (SELECT id FROM sessions)""",
        (_FILES_OF,),
    )
    return [session_id for (session_id,) in rows]


def files_removed(db: apsw.Connection, session_id: str) -> None:
    """Note that nothing is left of a deleted session on the disk."""
    db.execute("DELETE FROM meta WHERE name = ? || ?", (_FILES_OF, session_id))


def deleted(db: apsw.Connection) -> list[tuple[str, int, SessionSettings]]:
    """Return the deleted sessions that had lists of who may see them, oldest first.

    Of each the id, the seq of its last event and the settings that it had.
    """
    rows = db.execute("SELECT session_id, upto, settings FROM deleted_sessions ORDER BY upto")
    return [(name, upto, msgspec.json.decode(text, type=SessionSettings)) for name, upto, text in rows]

"""Chats and their names: one person's phone number, `@c.us` and `@lid` are one chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apsw

__all__ = ["aliases", "chat_of", "find_chat", "same_chat"]


def find_chat(db: apsw.Connection, session_id: str, chat_id: str) -> int | None:
    """Return the chat that is known under this id, None if none is."""
    found: int | None = db.execute(
        "SELECT chat FROM chat_aliases WHERE session_id = ? AND alias = ?", (session_id, chat_id)
    ).get
    return found


def chat_of(db: apsw.Connection, session_id: str, chat_id: str) -> int:
    """Return the chat that is known under this id; there is one from now on."""
    found = find_chat(db, session_id, chat_id)
    if found is not None:
        return found
    db.execute("INSERT INTO chats (session_id) VALUES (?)", (session_id,))
    chat = db.last_insert_rowid()
    _name(db, session_id, chat_id, chat)
    return chat


def same_chat(db: apsw.Connection, session_id: str, *chat_ids: str) -> int:
    """Note that all these ids are one chat, and return it; what they were before is joined."""
    known = {find_chat(db, session_id, each) for each in chat_ids} - {None}
    chat = min((each for each in known if each is not None), default=None)
    if chat is None:
        chat = chat_of(db, session_id, chat_ids[0])
    for other in known - {chat}:
        db.execute("UPDATE messages SET chat = ? WHERE chat = ?", (chat, other))
        db.execute("UPDATE chat_aliases SET chat = ? WHERE chat = ?", (chat, other))
        db.execute("DELETE FROM chats WHERE ref = ?", (other,))
    for each in chat_ids:
        _name(db, session_id, each, chat)
    return chat


def aliases(db: apsw.Connection, session_id: str, chat_id: str) -> tuple[str, ...]:
    """Return every id of the chat that is known under this one."""
    chat = find_chat(db, session_id, chat_id)
    rows = db.execute("SELECT alias FROM chat_aliases WHERE chat = ? ORDER BY alias", (chat,))
    return tuple(alias for (alias,) in rows)


def _name(db: apsw.Connection, session_id: str, alias: str, chat: int) -> None:
    db.execute(
        "INSERT OR IGNORE INTO chat_aliases (session_id, alias, chat) VALUES (?, ?, ?)",
        (session_id, alias, chat),
    )

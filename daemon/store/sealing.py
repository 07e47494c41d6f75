"""What messages and their events say, in rows: in clear or sealed, as the session's `enableEncryption` wants.

A row says by itself how it is stored, so a session may have both; `reseal` brings rows that are there already
to what is wanted. Every function takes a connection (which `Seals.teach` has taught) and runs in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

__all__ = [
    "OPENED",
    "OPENED_EVENT",
    "Cells",
    "cells",
    "clear_text_left",
    "drop_unused_keys",
    "keys_in_use",
    "no_clear_text_left",
    "opened",
    "opened_event",
    "pending",
    "put",
    "put_event",
    "reseal",
    "reseal_events",
    "use_key",
    "wanting",
    "wants",
]

BATCH_ROWS: Final = 100
BATCH_BYTES: Final = 2**20
"""What one job of `reseal` takes on: others wait for no more than that."""

_TOLD: Final = "type IN ('message.reaction', 'message.poll_vote')"
"""The events that say something, as the index has it."""

OPENED: Final = "CASE WHEN m.sealed IS NOT NULL THEN unseal('messages', m.session_id, m.ref, m.sealed) END"
OPENED_EVENT: Final = (
    "CASE WHEN e.sealed IS NOT NULL THEN unseal('events', e.session_id, e.seq, e.sealed) END"
)


class Cells(msgspec.Struct, frozen=True, array_like=True):
    """The columns of a message that say something, as they are stored in clear."""

    text: str | None = None
    media: str | None = None
    mentions: str | None = None
    options: str | None = None
    content_hash: bytes | None = None


_NAMES: Final = Cells.__struct_fields__
_encode: Final = msgspec.msgpack.Encoder().encode
_cells: Final = msgspec.msgpack.Decoder(Cells)
_more: Final = msgspec.json.Decoder(dict[str, Any])


def wants(db: apsw.Connection, session_id: str) -> bool:
    """Return whether what the session says is to be sealed."""
    wish = "SELECT settings ->> '$.visible.enableEncryption' FROM sessions WHERE id = ?"
    return bool(db.execute(wish, (session_id,)).get)


def wanting(db: apsw.Connection) -> dict[str, bool]:
    """Return every session's id, and whether what it says is to be sealed."""
    rows = db.execute("SELECT id, settings ->> '$.visible.enableEncryption' FROM sessions")
    return {session_id: bool(wish) for session_id, wish in rows}


def opened(content: bytes) -> Cells | None:
    """Return what `OPENED` gave of a sealed row; None where it could not be opened."""
    return _cells.decode(content) if content else None


def opened_event(content: bytes) -> dict[str, Any]:
    """Return what `OPENED_EVENT` gave of a sealed row; nothing where it could not be opened."""
    return _more.decode(content) if content else {}


def cells(db: apsw.Connection, ref: int) -> Cells | None:
    """Return what the message of a row says; None where it cannot be opened."""
    *clear, content = db.execute(
        f"SELECT {', '.join(_NAMES)}, {OPENED} FROM messages m WHERE m.ref = ?",  # noqa: S608
        (ref,),
    ).get
    return Cells(*clear) if content is None else opened(content)


def put(db: apsw.Connection, session_id: str, ref: int, said: Cells) -> None:
    """Store what the message of a row says, as the session wants it."""
    if wants(db, session_id):
        empty = ", ".join(f"{name} = NULL" for name in _NAMES)
        db.execute(
            f"UPDATE messages SET sealed = seal('messages', session_id, ref, ?), {empty} WHERE ref = ?",  # noqa: S608
            (_encode(said), ref),
        )
    else:
        given = ", ".join(f"{name} = ?" for name in _NAMES)
        values = [getattr(said, name) for name in _NAMES]
        db.execute(f"UPDATE messages SET sealed = NULL, {given} WHERE ref = ?", (*values, ref))  # noqa: S608


def put_event(db: apsw.Connection, seq: int, said: bytes) -> None:
    """Store what an event says (JSON), sealed."""
    db.execute("UPDATE events SET sealed = seal('events', session_id, seq, ?) WHERE seq = ?", (said, seq))


def use_key(db: apsw.Connection, first: bytes) -> None:
    """Note, where a session is to be sealed, that the store cannot be read without this key from now on."""
    if any(wanting(db).values()):
        db.execute("INSERT OR IGNORE INTO seal_keys (id) VALUES (?)", (first,))


def keys_in_use(db: apsw.Connection) -> list[bytes]:
    """Return the ids of the keys that may be needed."""
    return [key_id for (key_id,) in db.execute("SELECT id FROM seal_keys ORDER BY id")]


def drop_unused_keys(db: apsw.Connection, first: bytes | None) -> list[bytes]:
    """Strike the keys that no row needs, nor a session that is to be sealed (`first`); return the others.

    The caller knows that no file needs them either.
    """
    wishes = wanting(db)
    for key_id in keys_in_use(db):
        needed = key_id == first and any(wishes.values())
        if not needed and not any(_count(db, session_id, key_id, limit=1) for session_id in wishes):
            db.execute("DELETE FROM seal_keys WHERE id = ?", (key_id,))
    return keys_in_use(db)


def pending(db: apsw.Connection, first: bytes | None) -> dict[str, int]:
    """Return how many rows are not stored as their session wants it, of the sessions that have such."""
    states = _states(db)
    found = {
        session_id: sum(_count(db, session_id, state) for state in states - {first if wish else None})
        for session_id, wish in wanting(db).items()
    }
    return {session_id: count for session_id, count in found.items() if count}


def _states(db: apsw.Connection) -> set[bytes | None]:
    return {None, *keys_in_use(db)}


def _count(db: apsw.Connection, session_id: str, state: bytes | None, limit: int = -1) -> int:
    found: int = db.execute(
        f"""SELECT (SELECT count(*) FROM (SELECT 1 FROM messages
                    WHERE session_id = ?1 AND sealed_by IS ?2 LIMIT ?3))
                 + (SELECT count(*) FROM (SELECT 1 FROM events
                    WHERE session_id = ?1 AND sealed_by IS ?2 AND {_TOLD} LIMIT ?3))""",  # noqa: S608
        (session_id, state, limit),
    ).get
    return found


def reseal(db: apsw.Connection, session_id: str, after: int, first: bytes | None) -> int | None:
    """Bring a batch of the session's rows that follow the message `after` to what the session wants.

    Returns the `after` of the next batch, None when there is none. What cannot be opened stays as it is.
    """
    wanted = first if wants(db, session_id) else None
    refs = _next(db, "messages", "ref", session_id, after, wanted, "1")
    if wanted is not None and _are_clear(db, "messages", "ref", refs):
        _note_clear_text(db)
    size = 0
    for ref in refs:
        said = cells(db, ref)
        if said is not None:
            put(db, session_id, ref, said)
            size += len(said.text or "") + len(said.options or "")
        if size > BATCH_BYTES:
            return ref
    return refs[-1] if refs else None


def reseal_events(db: apsw.Connection, session_id: str, after: int, first: bytes | None) -> int | None:
    """Do the same to the session's events that say something."""
    wanted = first if wants(db, session_id) else None
    seqs = _next(db, "events", "seq", session_id, after, wanted, _TOLD)
    if wanted is not None and _are_clear(db, "events", "seq", seqs):
        _note_clear_text(db)
    for seq in seqs:
        data, content = db.execute(
            f"SELECT e.data, {OPENED_EVENT} FROM events e WHERE e.seq = ?",  # noqa: S608
            (seq,),
        ).get
        if content == b"":
            continue
        told = _more.decode(data)
        more = told.pop("more", {}) if content is None else _more.decode(content)
        if wanted is not None:
            put_event(db, seq, msgspec.json.encode(more))
        else:
            told["more"] = more
            db.execute("UPDATE events SET sealed = NULL WHERE seq = ?", (seq,))
        db.execute("UPDATE events SET data = ? WHERE seq = ?", (msgspec.json.encode(told).decode(), seq))
    return seqs[-1] if seqs else None


def _are_clear(db: apsw.Connection, table: str, row: str, numbers: list[int]) -> bool:
    clear = f"SELECT 1 FROM {table} WHERE {row} IN (SELECT value FROM json_each(?)) AND sealed IS NULL"  # noqa: S608
    return db.execute(clear, (msgspec.json.encode(numbers).decode(),)).get is not None


def _note_clear_text(db: apsw.Connection) -> None:
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('clear_text_left', 1)")


def clear_text_left(db: apsw.Connection) -> bool:
    """Return whether what was encrypted later may still be in clear in unused parts of the file."""
    return db.execute("SELECT 1 FROM meta WHERE name = 'clear_text_left'").get is not None


def no_clear_text_left(db: apsw.Connection) -> None:
    """Note that the file has been written anew."""
    db.execute("DELETE FROM meta WHERE name = 'clear_text_left'")


def _next(
    db: apsw.Connection,
    table: str,
    row: str,
    session_id: str,
    after: int,
    wanted: bytes | None,
    also: str,
) -> list[int]:
    """Return the numbers of the rows that follow, in order; each state is a stretch of the index."""
    found: set[int] = set()
    for state in _states(db) - {wanted}:
        rows: Iterable[tuple[int]] = db.execute(
            f"""SELECT {row} FROM {table} WHERE session_id = ? AND sealed_by IS ? AND {also} AND {row} > ?
                ORDER BY {row} LIMIT ?""",  # noqa: S608
            (session_id, state, after, BATCH_ROWS),
        )
        found.update(number for (number,) in rows)
    return sorted(found)[:BATCH_ROWS]

"""Incidents: what went wrong with a session, what was done, when it worked again.

Every function takes a connection and runs in a thread; times are in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.models import Incident
from protocol.times import rfc3339

if TYPE_CHECKING:
    import apsw

__all__ = ["KEPT", "latest", "note", "over", "tried"]

KEPT = 1000
"""How many of a session's incidents are kept; the oldest go."""


def note(
    db: apsw.Connection,
    session_id: str,
    kind: str,
    detail: str | None,
    action: str,
    at_ms: int,
    *,
    recovered_at: int | None = None,
) -> None:
    """Note an incident and what is done about it."""
    db.execute(
        """INSERT INTO incidents (session_id, at, kind, detail, action, recovered_at)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (session_id, at_ms, kind, detail, action, recovered_at),
    )
    db.execute(
        """DELETE FROM incidents WHERE session_id = ?1 AND seq <=
           (SELECT seq FROM incidents WHERE session_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)""",
        (session_id, KEPT),
    )


def tried(db: apsw.Connection, session_id: str, action: str) -> None:
    """Note that something else is done now about the latest incident that is not over."""
    db.execute(
        """UPDATE incidents SET action = ?2 WHERE seq =
           (SELECT max(seq) FROM incidents WHERE session_id = ?1 AND recovered_at IS NULL)""",
        (session_id, action),
    )


def over(
    db: apsw.Connection, session_id: str, at_ms: int, *, only: str | None = None, but: str | None = None
) -> None:
    """Note that the session's incidents are over: those of one kind, or all but those of one kind."""
    db.execute(
        """UPDATE incidents SET recovered_at = max(at, ?2) WHERE session_id = ?1 AND recovered_at IS NULL
           AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR kind <> ?4)""",
        (session_id, at_ms, only, but),
    )


def latest(db: apsw.Connection, session_id: str, limit: int) -> list[Incident]:
    """Return the session's latest incidents, newest first."""
    rows = db.execute(
        """SELECT at, kind, detail, action, recovered_at FROM incidents
           WHERE session_id = ? ORDER BY seq DESC LIMIT ?""",
        (session_id, limit),
    )
    return [
        Incident(
            at=rfc3339(at),
            kind=kind,
            detail=detail,
            action=action,
            recovered_at=None if recovered_at is None else rfc3339(recovered_at),
        )
        for at, kind, detail, action, recovered_at in rows
    ]

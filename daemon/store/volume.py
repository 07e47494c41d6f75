"""How much a session sends: the alert of an unusual volume (the setting `alertSentPerHour`).

Runs in a thread, in the transaction that notes that a message has been sent; times are in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.events import SessionAlertData

from .events import append_event

if TYPE_CHECKING:
    import apsw

__all__ = ["note_sent"]

_HOUR_MS: Final = 3_600_000


def note_sent(db: apsw.Connection, session_id: str, at_ms: int) -> None:
    """Append the alert when the session has sent more than it may within an hour (0: it may send anything).

    Once: again only when it has sent less than that meanwhile. All that decides it is in the store.
    """
    limit, alerted = db.execute(
        "SELECT settings ->> '$.visible.alertSentPerHour', volume_alerted FROM sessions WHERE id = ?",
        (session_id,),
    ).get
    over = bool(limit) and (
        db.execute(
            """SELECT 1 FROM messages WHERE session_id = ? AND origin = 'api' AND timestamp > ?
               ORDER BY timestamp DESC LIMIT 1 OFFSET ?""",
            (session_id, at_ms - _HOUR_MS, limit),
        ).get
        is not None
    )
    if over == bool(alerted):
        return
    db.execute("UPDATE sessions SET volume_alerted = ? WHERE id = ?", (over, session_id))
    if over:
        detail = f"More than {limit} messages were sent within an hour (alertSentPerHour)"
        data = SessionAlertData(kind="unusual_volume", detail=detail)
        append_event(db, type="session.alert", session_id=session_id, at_ms=at_ms, data=data)

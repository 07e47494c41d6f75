"""Figures over a session's messages and events. Every function takes a connection and runs in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    import apsw

__all__ = ["Figures", "figures", "uptime_percent"]

_HOUR_MS: Final = 3_600_000
_RESPONSES_OF: Final = 1000
"""How many of the latest messages the response time is taken of: it costs the same however many there are."""


@attrs.frozen(slots=True, kw_only=True)
class Figures:
    """What there was since a time. `by_day` is by UTC date: (sent, received)."""

    total: int
    sent: int
    received: int
    failed: int
    by_type: dict[str, int]
    by_day: dict[str, tuple[int, int]]
    average_response_s: float | None


def figures(db: apsw.Connection, session_id: str, since_ms: int) -> Figures:
    """Count the session's messages since a time, or rather since the full hour before it.

    Messages that were forgotten (`messageHistory`) still count. The response time is that from a message that
    came to the next one in its chat, where that is ours; of the latest thousand messages.
    """
    within = "FROM message_hours WHERE session_id = ? AND hour >= ?"
    place = (session_id, since_ms // _HOUR_MS)
    total, sent, received, failed = db.execute(
        f"""SELECT coalesce(sum(total), 0), coalesce(sum(sent), 0), coalesce(sum(received), 0),
                   coalesce(sum(failed), 0) {within}""",
        place,
    ).get
    by_type = dict(db.execute(f"SELECT type, sum(total) {within} GROUP BY type ORDER BY 2 DESC, 1", place))
    days: Any = db.execute(
        f"""SELECT date(hour * 3600, 'unixepoch') AS day, sum(sent), sum(received)
            {within} GROUP BY hour / 24 ORDER BY hour""",
        place,
    )
    response_ms: float | None = db.execute(
        f"""SELECT avg(next_at - at) FROM (
              SELECT at, direction,
                     lead(direction) OVER chats AS next_direction, lead(at) OVER chats AS next_at
              FROM (SELECT at, ref, chat, direction FROM messages WHERE session_id = ? AND at >= ?
                    ORDER BY at DESC, ref DESC LIMIT {_RESPONSES_OF})
              WINDOW chats AS (PARTITION BY chat ORDER BY at, ref))
            WHERE direction = 'in' AND next_direction = 'out'""",  # noqa: S608
        (session_id, since_ms),
    ).get
    return Figures(
        total=total,
        sent=sent,
        received=received,
        failed=failed,
        by_type=by_type,
        by_day={day: (out, came) for day, out, came in days},
        average_response_s=None if response_ms is None else response_ms / 1000,
    )


def uptime_percent(db: apsw.Connection, session_id: str, since_ms: int, now_ms: int) -> float | None:
    """Return how much of the time the session was connected, None where there was no time."""
    if now_ms <= since_ms:
        return None
    transitions = "FROM events WHERE session_id = ? AND type = 'session.status'"
    before: str | None = db.execute(
        f"SELECT data ->> 'to' {transitions} AND at < ? ORDER BY seq DESC LIMIT 1",
        (session_id, since_ms),
    ).get
    connected_since = since_ms if before == "connected" else None
    connected_ms = 0
    rows = db.execute(
        f"SELECT at, data ->> 'to' {transitions} AND at >= ? ORDER BY seq",
        (session_id, since_ms),
    )
    for at, status in rows:
        if connected_since is not None:
            connected_ms += max(0, at - connected_since)
        connected_since = at if status == "connected" else None
    if connected_since is not None:
        connected_ms += max(0, now_ms - connected_since)
    return min(100.0, 100 * connected_ms / (now_ms - since_ms))

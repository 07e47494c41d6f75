"""The tables of webhooks: where each stands in the log, what waits to be tried again, what was given up.

Must not know how anything is delivered. Every function takes a connection and runs in a thread; times are
in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from protocol.errors import RpcError

from .events import bounds
from .records import to_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import apsw

    from protocol.models import EventType, StoredSettings, WebhookSource

__all__ = [
    "CONFIG_ID",
    "DeadLetterRow",
    "Given",
    "Hook",
    "LaneRow",
    "State",
    "count",
    "count_dead_letters",
    "dead_letter",
    "dead_letters",
    "delete",
    "drop_dead_letter",
    "follow_config",
    "follow_settings",
    "get",
    "insert",
    "list_",
    "load",
    "rewind",
    "save",
]

CONFIG_ID: Final = "config"
"""The webhook that the configuration names."""

MOST_DEAD_LETTERS: Final = 10_000
"""How many a webhook keeps; the oldest make room."""

_names: Final = msgspec.json.Decoder(tuple[str, ...])
_texts: Final = msgspec.json.Decoder(dict[str, str])


@attrs.frozen(kw_only=True)
class Hook:
    """What a webhook is: what does not change with its deliveries. `events` empty: all."""

    id: str
    source: WebhookSource
    session_id: str | None
    url: str
    events: frozenset[str] = frozenset()
    secret: str | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    created_at: int


@attrs.frozen(kw_only=True)
class LaneRow:
    """A session that is behind its webhook's cursor; `session` is None for events of no session.

    `attempts` failed since the last success or outcome, the first at `failing_since`; the next is due at
    `next_at`.
    """

    session: str | None
    cursor: int
    attempts: int = 0
    failing_since: int | None = None
    next_at: int = 0
    error: str | None = None


@attrs.frozen(kw_only=True)
class State:
    """Where a webhook stands in the log."""

    cursor: int
    lanes: tuple[LaneRow, ...] = ()
    delivered_at: int | None = None
    disabled: str | None = None


@attrs.frozen(kw_only=True)
class Given:
    """What was given up: one event, or without `type` what lay from `seq` to `upto`."""

    seq: int
    upto: int
    session_id: str | None
    type: EventType | None
    at_ms: int
    attempts: int
    error: str


@attrs.frozen(kw_only=True)
class DeadLetterRow(Given):
    """A dead letter as it is stored."""

    id: int
    webhook: str


_HOOK: Final = "id, source, session_id, url, events, secret, headers, created_at"
_DEAD: Final = "seq, upto, session_id, type, given_up_at, attempts, error, id, webhook"


def _hook(row: tuple[Any, ...]) -> Hook:
    id_, source, session_id, url, events, secret, headers, created_at = row
    return Hook(
        id=id_,
        source=source,
        session_id=session_id,
        url=url,
        events=frozenset(_names.decode(events)),
        secret=secret,
        headers=_texts.decode(headers),
        created_at=created_at,
    )


def _dead(row: tuple[Any, ...]) -> DeadLetterRow:
    seq, upto, session_id, type_, at_ms, attempts, error, id_, webhook = row
    return DeadLetterRow(
        seq=seq,
        upto=upto,
        session_id=session_id,
        type=type_,
        at_ms=at_ms,
        attempts=attempts,
        error=error,
        id=id_,
        webhook=webhook,
    )


def insert(db: apsw.Connection, hook: Hook) -> None:
    """Add a webhook that is told of what follows from now on, or change it: then it stays where it stands.

    A changed URL enables it.
    """
    _, latest = bounds(db)
    db.execute(
        """INSERT INTO webhooks (id, source, session_id, url, events, secret, headers, created_at, cursor)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET
             disabled = CASE WHEN url = excluded.url THEN disabled END, url = excluded.url,
             events = excluded.events, secret = excluded.secret, headers = excluded.headers""",
        (
            hook.id,
            hook.source,
            hook.session_id,
            hook.url,
            to_json(sorted(hook.events)),
            hook.secret,
            to_json(dict(hook.headers)),
            hook.created_at,
            latest,
        ),
    )


def follow_settings(db: apsw.Connection, session_id: str, settings: StoredSettings, at_ms: int) -> None:
    """Keep the webhook of a session's settings in step with them; in the transaction that changes them."""
    visible = settings.visible
    hook_id = f"session:{session_id}"
    if visible.webhook_url is None:
        db.execute("DELETE FROM webhooks WHERE id = ?", (hook_id,))
        return
    insert(
        db,
        Hook(
            id=hook_id,
            source="session",
            session_id=session_id,
            url=visible.webhook_url,
            events=frozenset(visible.webhook_events),
            secret=settings.webhook_secret,
            created_at=at_ms,
        ),
    )


def follow_config(
    db: apsw.Connection, url: str, events: Collection[str], secret: str | None, at_ms: int
) -> None:
    """Keep the configuration's webhook in step with it; no `url`: there is none, and it forgets its place."""
    if not url:
        db.execute("DELETE FROM webhooks WHERE id = ?", (CONFIG_ID,))
        return
    insert(
        db,
        Hook(
            id=CONFIG_ID,
            source="config",
            session_id=None,
            url=url,
            events=frozenset(events),
            secret=secret,
            created_at=at_ms,
        ),
    )


def list_(db: apsw.Connection) -> list[Hook]:
    """Return every webhook, oldest first."""
    return [_hook(row) for row in db.execute(f"SELECT {_HOOK} FROM webhooks ORDER BY created_at, id")]  # noqa: S608


def count(db: apsw.Connection, session_id: str) -> int:
    """Return how many webhooks there are of a session's events alone."""
    found: int = db.execute("SELECT count(*) FROM webhooks WHERE session_id = ?", (session_id,)).get
    return found


def get(db: apsw.Connection, hook_id: str) -> Hook:
    """Return a webhook. Raises WEBHOOK_NOT_FOUND."""
    row = db.execute(f"SELECT {_HOOK} FROM webhooks WHERE id = ?", (hook_id,)).fetchone()  # noqa: S608
    if row is None:
        raise RpcError("WEBHOOK_NOT_FOUND", webhookId=hook_id)
    return _hook(row)


def delete(db: apsw.Connection, hook_id: str) -> None:
    """Delete a webhook that webhook.create made, its state and its dead letters.

    Raises WEBHOOK_NOT_FOUND, and INVALID_PARAMS for one that stands elsewhere.
    """
    match get(db, hook_id).source:
        case "config":
            raise RpcError(
                "INVALID_PARAMS",
                "This webhook stands in the configuration",
                action="Take `[webhooks] url` out of the configuration, then daemon.reloadConfig.",
            )
        case "session":
            raise RpcError(
                "INVALID_PARAMS",
                "This webhook stands in the session's settings",
                action="Set the session's `webhookUrl` to null (session.update).",
            )
        case "api":
            db.execute("DELETE FROM webhooks WHERE id = ?", (hook_id,))


def load(db: apsw.Connection, hook_id: str) -> State:
    """Return where a webhook stands. Raises WEBHOOK_NOT_FOUND."""
    row = db.execute(
        "SELECT cursor, delivered_at, disabled FROM webhooks WHERE id = ?", (hook_id,)
    ).fetchone()
    if row is None:
        raise RpcError("WEBHOOK_NOT_FOUND", webhookId=hook_id)
    cursor, delivered_at, disabled = row
    lanes = db.execute(
        """SELECT session, cursor, attempts, failing_since, next_at, error FROM webhook_lanes
           WHERE webhook = ? ORDER BY session""",
        (hook_id,),
    )
    return State(
        cursor=cursor,
        delivered_at=delivered_at,
        disabled=disabled,
        lanes=tuple(
            LaneRow(
                session=session or None,
                cursor=at,
                attempts=attempts,
                failing_since=since,
                next_at=next_at,
                error=error,
            )
            for session, at, attempts, since, next_at, error in lanes
        ),
    )


def save(
    db: apsw.Connection,
    hook_id: str,
    state: State,
    done: Iterable[str | None],
    given_up: Iterable[Given] = (),
) -> None:
    """Note where a webhook stands: the lanes of `state` that have changed, and those that are `done`.

    A webhook that has been deleted meanwhile is left deleted.
    """
    db.execute(
        "UPDATE webhooks SET cursor = ?, delivered_at = ?, disabled = ? WHERE id = ?",
        (state.cursor, state.delivered_at, state.disabled, hook_id),
    )
    if not db.changes():
        return
    for session in done:
        db.execute("DELETE FROM webhook_lanes WHERE webhook = ? AND session = ?", (hook_id, session or ""))
    for lane in state.lanes:
        db.execute(
            "INSERT OR REPLACE INTO webhook_lanes VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                hook_id,
                lane.session or "",
                lane.cursor,
                lane.attempts,
                lane.failing_since,
                lane.next_at,
                lane.error,
            ),
        )
    for each in given_up:
        db.execute(
            """INSERT INTO webhook_dead_letters
               (webhook, seq, upto, session_id, type, given_up_at, attempts, error)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                hook_id,
                each.seq,
                each.upto,
                each.session_id,
                each.type,
                each.at_ms,
                each.attempts,
                each.error,
            ),
        )
        db.execute(
            """DELETE FROM webhook_dead_letters WHERE webhook = ? AND id <= (
                 SELECT id FROM webhook_dead_letters WHERE webhook = ? ORDER BY id DESC LIMIT 1 OFFSET ?)""",
            (hook_id, hook_id, MOST_DEAD_LETTERS),
        )


def rewind(db: apsw.Connection, hook_id: str, after: int) -> None:
    """Put a webhook to a place in the log, from which it goes on, and enable it.

    Raises WEBHOOK_NOT_FOUND; CURSOR_EXPIRED when the log no longer holds what follows, INVALID_PARAMS for a
    place that it has not reached.
    """
    get(db, hook_id)
    oldest, latest = bounds(db)
    if 0 < after < oldest - 1:
        raise RpcError("CURSOR_EXPIRED", oldest=oldest)
    if after > latest:
        raise RpcError("INVALID_PARAMS", "The cursor lies ahead of the event log", latest=latest)
    db.execute("DELETE FROM webhook_lanes WHERE webhook = ?", (hook_id,))
    db.execute(
        "UPDATE webhooks SET cursor = ?, disabled = NULL WHERE id = ?", (max(after, oldest - 1), hook_id)
    )


def dead_letters(db: apsw.Connection, hook_ids: Collection[str], limit: int) -> list[DeadLetterRow]:
    """Return the latest of these webhooks' dead letters, newest first."""
    rows = db.execute(
        f"""SELECT {_DEAD} FROM webhook_dead_letters
            WHERE webhook IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?""",  # noqa: S608
        (to_json(sorted(hook_ids)), limit),
    )
    return [_dead(row) for row in rows]


def count_dead_letters(db: apsw.Connection, hook_ids: Collection[str]) -> dict[str, int]:
    """Return how many dead letters each of these webhooks has, those without left out."""
    rows = db.execute(
        """SELECT webhook, count(*) FROM webhook_dead_letters
           WHERE webhook IN (SELECT value FROM json_each(?)) GROUP BY webhook""",
        (to_json(sorted(hook_ids)),),
    )
    return dict(rows)


def dead_letter(db: apsw.Connection, hook_id: str, number: int) -> DeadLetterRow:
    """Return one dead letter. Raises WEBHOOK_NOT_FOUND."""
    row = db.execute(
        f"SELECT {_DEAD} FROM webhook_dead_letters WHERE webhook = ? AND id = ?",  # noqa: S608
        (hook_id, number),
    ).fetchone()
    if row is None:
        raise RpcError(
            "WEBHOOK_NOT_FOUND", "The webhook has no such dead letter", webhookId=hook_id, deadLetterId=number
        )
    return _dead(row)


def drop_dead_letter(db: apsw.Connection, hook_id: str, number: int) -> None:
    """Forget a dead letter: it was delivered after all."""
    db.execute("DELETE FROM webhook_dead_letters WHERE webhook = ? AND id = ?", (hook_id, number))

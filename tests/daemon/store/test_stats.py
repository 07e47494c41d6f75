"""Figures over messages and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from daemon.store import messages, outbox, sessions, stats
from daemon.store.events import append_event
from daemon.store.messages import Content
from daemon.store.migrations import migrate, scripts
from protocol.models import MessageError, SessionSettings, StoredSettings

from .test_messages import S, came, new_db

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400_000


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    opened = new_db()
    yield opened
    opened.close()


def status(db: apsw.Connection, to: str, at_ms: int) -> None:
    append_event(db, type="session.status", session_id=S, at_ms=at_ms, data={"from": "x", "to": to})


def send(db: apsw.Connection, id_: str, at_ms: int, kind: str = "text") -> None:
    content = Content(type=kind, text="hi")
    outbox.enqueue(db, S, content, id=id_, chat_id="49@c.us", at_ms=at_ms)


def test_messages_are_counted_by_type_and_day(db: apsw.Connection) -> None:
    messages.received(db, S, came(1), 1_000)
    send(db, "A", 3_000)
    send(db, "B", DAY + 1)
    send(db, "C", DAY + 2, "image")
    messages.ack(db, S, "A", "read", 4_000)
    messages.ack(db, S, "B", "sent", DAY + 3)
    outbox.fail(db, S, "C", MessageError(code="PAGE_ERROR", message="no"), DAY + 4)
    found = stats.figures(db, S, 0)
    assert (found.total, found.sent, found.received, found.failed) == (4, 2, 1, 1)
    assert found.by_type == {"text": 3, "image": 1}
    assert found.by_day == {"1970-01-01": (1, 1), "1970-01-02": (1, 0)}
    assert found.average_response_s == pytest.approx(2.0)
    assert stats.figures(db, S, DAY).total == 2


def test_what_changes_is_counted_anew_and_what_is_forgotten_stays(db: apsw.Connection) -> None:
    send(db, "A", 1_000)
    outbox.fail(db, S, "A", MessageError(code="PAGE_ERROR", message="no"), 2_000)
    assert stats.figures(db, S, 0).failed == 1
    outbox.retry(db, S, "A", 3_000)
    assert stats.figures(db, S, 0).failed == 0
    messages.ack(db, S, "A", "played", 4_000)
    settings = StoredSettings(visible=SessionSettings(message_history=False))
    sessions.update(db, S, 5_000, settings=settings)
    assert messages.forget(db, before_ms=DAY) == 1
    found = stats.figures(db, S, 0)
    assert (found.total, found.sent, found.failed, found.by_type) == (1, 1, 0, {"text": 1})
    assert stats.figures(db, S, 3_600_000).total == 0
    sessions.delete(db, S, 6_000)
    assert stats.figures(db, S, 0).total == 0


def test_the_counts_of_a_store_from_before_they_were_kept() -> None:
    older = next(n for n, script in enumerate(scripts()) if "CREATE TABLE message_hours" in script)
    db = apsw.Connection(":memory:")
    migrate(db, scripts()[:older])
    db.execute("INSERT INTO sessions (id, name, desired, status, created_at, updated_at) VALUES"
               " ('one', 'One', 'stopped', 'inactive', 1, 1)")  # fmt: skip
    db.execute("INSERT INTO chats VALUES (1, 'one')")
    for number, (direction, status_) in enumerate((("in", "received"), ("out", "read"), ("out", "failed"))):
        db.execute(
            """INSERT INTO messages (session_id, id, chat, chat_id, direction, origin, type, status, at,
                 created_at, updated_at) VALUES ('one', ?, 1, 'c', ?, 'api', 'text', ?, 1, 1, 1)""",
            (str(number), direction, status_),
        )
    migrate(db, scripts())
    found = stats.figures(db, S, 0)
    assert (found.total, found.sent, found.received, found.failed) == (3, 1, 1, 1)
    db.close()


def test_uptime_is_the_share_of_time_connected(db: apsw.Connection) -> None:
    assert stats.uptime_percent(db, S, 5, 5) is None
    assert stats.uptime_percent(db, S, 0, 100) == 0
    status(db, "connected", 20)
    status(db, "disconnected", 60)
    status(db, "connecting", 70)
    status(db, "connected", 80)
    assert stats.uptime_percent(db, S, 0, 100) == 60
    assert stats.uptime_percent(db, S, 50, 100) == 60  # what was before counts for the state alone
    assert stats.uptime_percent(db, "another", 0, 100) == 0


def test_nothing_is_something_too(db: apsw.Connection) -> None:
    found = stats.figures(db, S, 0)
    assert (found.total, found.by_type, found.by_day, found.average_response_s) == (0, {}, {}, None)
    assert sessions.get(db, S).sent == 0

"""Figures over messages and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.store import messages, outbox, sessions, stats
from daemon.store.events import append_event
from daemon.store.messages import Content
from protocol.models import MessageError

from .test_messages import S, came, new_db

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

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

"""The alert of an unusual volume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from daemon.store import messages, open_store, outbox, sessions
from daemon.store.events import read_page
from daemon.store.messages import Content
from protocol.models import SessionSettings, StoredSettings

from .test_messages import S, new_db

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

HOUR = 3_600_000


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    opened = new_db()
    allow(opened, 3)
    yield opened
    opened.close()


def allow(db: apsw.Connection, per_hour: int) -> None:
    settings = StoredSettings(visible=SessionSettings(alert_sent_per_hour=per_hour))
    sessions.update(db, S, 1, settings=settings)


def sent(db: apsw.Connection, at_ms: int, times: int = 1) -> None:
    for number in range(times):
        id_ = f"{at_ms}-{number}"
        outbox.enqueue(db, S, Content(text="hi"), id=id_, chat_id="49@c.us", at_ms=at_ms)
        messages.ack(db, S, id_, "read", at_ms)


def alerts(db: apsw.Connection) -> list[int]:
    """The times of the alerts."""
    found = [each for each in read_page(db, 0, 10_000).events if each.record.type == "session.alert"]
    for each in found:
        assert json.loads(bytes(each.record.data))["kind"] == "unusual_volume"
    at: list[int] = [db.execute("SELECT at FROM events WHERE seq = ?", (each.seq,)).get for each in found]
    return at


def test_it_is_raised_once_when_more_are_sent_than_usual(db: apsw.Connection) -> None:
    sent(db, 10, 3)
    assert alerts(db) == []
    sent(db, 20)
    assert alerts(db) == [20]
    sent(db, 30, 5)
    assert alerts(db) == [20]


def test_again_when_it_had_fallen_below(db: apsw.Connection) -> None:
    sent(db, 10, 2)
    sent(db, 20, 2)
    sent(db, 10 + HOUR)  # the two before it were less than three
    sent(db, 11 + HOUR)
    assert alerts(db) == [20, 11 + HOUR]
    sent(db, 10 + 3 * HOUR, 3)
    assert len(alerts(db)) == 2
    sent(db, 11 + 3 * HOUR)
    assert alerts(db)[2:] == [11 + 3 * HOUR]


def test_a_changed_setting_counts_from_the_next_message(db: apsw.Connection) -> None:
    sent(db, 10, 5)
    allow(db, 10)
    sent(db, 20, 5)
    assert alerts(db) == [10]
    sent(db, 30)
    assert alerts(db) == [10, 30]
    allow(db, 0)
    sent(db, 40, 50)
    assert len(alerts(db)) == 2


def test_what_the_phone_sends_does_not_count(db: apsw.Connection) -> None:
    for number in range(9):
        observed = messages.Observed(
            id=f"P{number}", key=f"true_49@c.us_P{number}", chat_id="49@c.us", sender="me", recipient="49",
            timestamp=10, content=Content(text="x"),
        )  # fmt: skip
        messages.own_from_phone(db, S, observed, 10)
    assert alerts(db) == []


async def test_a_restart_neither_forgets_nor_repeats_it(path: Path) -> None:
    async with open_store(path) as store:
        await store.write(lambda db: sessions.insert(db, id=S, name="One", at_ms=1))
        await store.write(lambda db: allow(db, 3))
        await store.write(lambda db: sent(db, 10, 3))
    async with open_store(path) as store:
        await store.write(lambda db: sent(db, 20))
        assert await store.read(alerts) == [20]
    async with open_store(path) as store:
        await store.write(lambda db: sent(db, 30, 3))
        assert await store.read(alerts) == [20]

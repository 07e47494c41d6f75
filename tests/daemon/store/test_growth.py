"""What touches one message costs as much among many as among few: SQLite's own steps are counted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from daemon.store import events, messages, outbox, sessions, stats
from daemon.store.messages import Content, Observed
from protocol.errors import RpcError
from protocol.models import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from daemon.store import Store

FEW, MANY = 600, 3000
ADA, BOB = "4915110000001@c.us", "4915110000002@c.us"
NOW_MS = 1_795_255_200_000


def observed(number: int) -> Observed:
    return Observed(
        id=f"IN{number}",
        key=f"false_{ADA}_IN{number}",
        chat_id=ADA,
        sender=ADA,
        recipient=None,
        timestamp=NOW_MS - 1000,
        content=Content(text="Is it ready?"),
    )


def enqueue(db: apsw.Connection, number: int, chat_id: str = BOB, **more: Any) -> None:
    outbox.enqueue(
        db, "one", Content(text="It is."), id=f"OUT{number}", chat_id=chat_id, at_ms=NOW_MS, **more
    )


def fill(db: apsw.Connection, count: int) -> None:
    """So many that came, as many that wait in another chat, and one that is being sent in a third."""
    for number in range(count):
        messages.received(db, "one", observed(number), NOW_MS)
        enqueue(db, number)
    enqueue(db, count, "4915110000003@c.us", idempotency_key="order-17")
    outbox.take(db, "one", NOW_MS, 1)
    messages.ack(db, "one", "OUT0", "sent", NOW_MS)
    outbox.take(db, "one", NOW_MS, 1)
    outbox.resolve_key(db, "one", "OUT1", f"true_{BOB}_OUT1", NOW_MS)


def take_and_requeue(db: apsw.Connection) -> None:
    (row,) = outbox.take(db, "one", NOW_MS, 1)
    outbox.requeue(db, "one", row.id, NOW_MS)


def take_and_fail(db: apsw.Connection) -> None:
    (row,) = outbox.take(db, "one", NOW_MS, 1)
    outbox.fail(db, "one", row.id, MessageError(code="PAGE_ERROR", message="no"), NOW_MS)
    outbox.retry(db, "one", row.id, NOW_MS)


def accept_at_a_rate(db: apsw.Connection) -> None:
    with pytest.raises(RpcError, match="RATE_LIMITED"):
        enqueue(db, -1, rate_per_minute=10)


OPERATIONS: dict[str, Callable[[apsw.Connection], Any]] = {
    "get by id": lambda db: messages.get(db, "one", "IN100"),
    "get by key": lambda db: messages.get(db, "one", f"false_{ADA}_IN100"),
    "get of another's id": lambda db: messages.find(db, "one", "none such"),
    "receive": lambda db: messages.received(db, "one", observed(-1), NOW_MS),
    "receive again": lambda db: messages.received(db, "one", observed(7), NOW_MS),
    "own from the phone": lambda db: messages.own_from_phone(db, "one", observed(-1), NOW_MS),
    "acknowledge by id": lambda db: messages.ack(db, "one", "OUT1", "delivered", NOW_MS),
    "acknowledge by key": lambda db: messages.ack(db, "one", f"true_{BOB}_OUT1", "read", NOW_MS),
    "edit": lambda db: messages.edited(db, "one", "IN100", "Well?", NOW_MS),
    "delete": lambda db: messages.deleted(db, "one", "IN100", NOW_MS),
    "react": lambda db: messages.noted(db, "one", "IN100", "message.reaction", NOW_MS, {"emoji": "+"}),
    "accept": lambda db: enqueue(db, -1, queue_limit=1_000_000),
    "accept at a rate": accept_at_a_rate,
    "accept again": lambda db: enqueue(db, -1, "4915110000003@c.us", idempotency_key="order-17"),
    "accept with a key": lambda db: enqueue(db, -1, idempotency_key="order-18"),
    "take, put back": take_and_requeue,
    "take, fail, retry": take_and_fail,
    "cancel the oldest": lambda db: outbox.cancel(db, "one", "OUT2", NOW_MS),
    "cancel in the middle": lambda db: outbox.cancel(db, "one", "OUT100", NOW_MS),
    "resolve": lambda db: outbox.resolve_key(db, "one", "OUT1", f"true_{BOB}_X", NOW_MS),
    "unsettled": lambda db: outbox.unsettled(db, "one"),
    "next retry": lambda db: outbox.next_retry_at(db, "one"),
    "unsent": lambda db: outbox.unsent(db, "one", ["OUT100"]),
    "queue length": lambda db: outbox.queue_length(db, "one"),
    "newest": lambda db: messages.newest(db, "one"),
    "session": lambda db: sessions.get(db, "one"),
    "sessions": sessions.list_,
    "figures": lambda db: stats.figures(db, "one", 0),
    "uptime": lambda db: stats.uptime_percent(db, "one", 0, NOW_MS),
    "events": lambda db: events.read_page(db, 100, 5),
    "events of a session": lambda db: events.read_page(db, 100, 5, sessions=["one"]),
    **{
        f"list {where}": partial(messages.list_, session_id="one", limit=5, **where)
        for where in (
            {},
            {"chat_id": ADA},
            {"chat_id": BOB},
            {"direction": "in"},
            {"direction": "out"},
            {"status": "sending"},
            {"status": "failed"},
            {"until": NOW_MS - 10},
            {"since": NOW_MS + 10},
            {"chat_id": ADA, "direction": "in"},
        )
    },
}


def steps(db: apsw.Connection, operation: Callable[[apsw.Connection], Any]) -> int:
    """How many steps SQLite takes for it; it is undone."""
    count = 0

    def step() -> bool:
        nonlocal count
        count += 1
        return False

    db.execute("SAVEPOINT counted")
    db.set_progress_handler(step, 1)
    try:
        operation(db)
    finally:
        db.set_progress_handler(None)
        db.execute("ROLLBACK TO counted")
        db.execute("RELEASE counted")
    return count


def all_steps(db: apsw.Connection) -> dict[str, int]:
    found = {}
    for name, operation in OPERATIONS.items():
        steps(db, operation)  # caches, the schema's, are filled
        found[name] = steps(db, operation)
    return found


async def test_costs_do_not_grow_with_what_is_not_touched(store: Store, session: str) -> None:
    await store.write(partial(fill, count=FEW))
    few = await store.write(all_steps)
    await store.write(lambda db: db.execute("DELETE FROM messages"))
    await store.write(partial(fill, count=MANY))
    many = await store.write(all_steps)
    assert session == "one"
    assert {name: (few[name], many[name]) for name in few if many[name] > 1.5 * few[name] + 50} == {}


@pytest.mark.parametrize("name", ["get by id", "take, put back", "cancel the oldest"])
async def test_the_count_sees_what_is_done(store: Store, session: str, name: str) -> None:
    await store.write(partial(fill, count=FEW))
    assert (await store.write(all_steps))[name] > 20
    assert session == "one"

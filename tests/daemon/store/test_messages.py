"""Messages and the outbox: identity, order, acknowledgements, counters, and the event of every change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.seals import Seals
from daemon.store import chats, message_record, messages, outbox, sessions
from daemon.store.events import read_page
from daemon.store.messages import Content, Observed
from daemon.store.migrations import migrate, scripts
from protocol.errors import RpcError
from protocol.models import MessageError, MessageStatus, SessionSettings, StoredSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.store import MessageRow

S = "one"
BROKEN = MessageError(code="PAGE_ERROR", message="it raised")


def new_db() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    Seals().teach(db)
    db.pragma("foreign_keys", True)
    migrate(db, scripts())
    sessions.insert(db, id=S, name="One", at_ms=1)
    return db


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    opened = new_db()
    yield opened
    assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
    opened.close()


def send(
    db: apsw.Connection, number: int, chat: str = "49@c.us", text: str = "hello", **more: Any
) -> MessageRow:
    row, _ = outbox.enqueue(
        db, S, Content(text=text), id=f"3EB0{number:04}", chat_id=chat, at_ms=number, **more
    )
    return row


def came(number: int, chat: str = "49@c.us", text: str = "hi") -> Observed:
    return Observed(
        id=f"AA{number}",
        key=f"false_{chat}_AA{number}",
        chat_id=chat,
        sender=chat,
        recipient="me@c.us",
        timestamp=number * 1000,
        content=Content(text=text),
    )


def told(db: apsw.Connection) -> list[tuple[str, Any]]:
    """Every message event's type and message."""
    events = [each.record for each in read_page(db, 0, 10_000).events]
    return [(each.type, json.loads(bytes(each.data))) for each in events if each.type.startswith("message.")]


def types(db: apsw.Connection) -> list[str]:
    return [kind.removeprefix("message.") for kind, _ in told(db)]


def refused(code: str, job: Any, *args: Any, **kwargs: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        job(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


def stats(db: apsw.Connection) -> tuple[int, int, int, int]:
    row = sessions.get(db, S)
    return row.sent, row.received, row.failed, row.queued


def test_a_message_from_acceptance_to_read(db: apsw.Connection) -> None:
    row = send(db, 5)
    assert stats(db) == (0, 0, 0, 1)
    (taken,) = outbox.take(db, S, 6)
    assert (taken.ref, taken.status, taken.attempts) == (row.ref, "sending", 1)
    assert outbox.unsettled(db, S) == [taken]
    outbox.resolve_key(db, S, row.id, "true_49@c.us_3EB00005", 7)
    sent = messages.ack(db, S, "true_49@c.us_3EB00005", "sent", 8)
    assert sent is not None
    assert (sent.status, sent.timestamp) == ("sent", 8)
    assert messages.ack(db, S, row.id, "sent", 9) is None
    read = messages.ack(db, S, row.id, "read", 10)
    assert messages.ack(db, S, row.id, "delivered", 11) is None
    assert types(db) == ["queued", "sent", "delivered", "read"]
    assert [(each["message"]["status"], each["message"]["key"]) for _, each in told(db)] == [
        ("queued", None),
        *((status, "true_49@c.us_3EB00005") for status in ("sent", "delivered", "read")),
    ]
    assert read is not None
    assert read == messages.get(db, S, row.id)
    assert told(db)[-1][1] == {"message": json.loads(_json(read))}
    assert stats(db) == (1, 0, 0, 0)
    assert sessions.get(db, S).last_activity == 10


def _json(row: MessageRow) -> bytes:
    return msgspec.json.encode(message_record(row))


def test_the_log_holds_no_content(db: apsw.Connection) -> None:
    send(db, 1, "4915112345@c.us", "for nobody else")
    messages.received(db, S, came(1, "4915112345@c.us", "nor this"), 2)
    stored = "".join(row[0] for row in db.execute("SELECT data FROM events WHERE message IS NOT NULL"))
    assert "for nobody else" not in stored
    assert "nor this" not in stored
    assert [each["message"]["text"] for _, each in told(db)] == ["for nobody else", "nor this"]


def test_those_that_came_are_told_apart_by_key(db: apsw.Connection) -> None:
    assert messages.received(db, S, came(1), 1200)
    assert messages.received(db, S, came(1), 1300) is None
    assert messages.received(db, S, came(1, "50@c.us"), 1400, recovered=True)  # its sender chose the same id
    assert stats(db) == (0, 2, 0, 0)
    assert [each.get("recovered") for _, each in told(db)] == [None, True]
    assert messages.get(db, S, "false_49@c.us_AA1").chat_id == "49@c.us"
    assert messages.get(db, S, "AA1").chat_id == "50@c.us"
    assert messages.ack(db, S, "AA1", "read", 5) is None
    newest = messages.newest(db, S)
    assert newest is not None
    assert newest // 1000 == 1


def test_the_phones_own(db: apsw.Connection) -> None:
    echo = send(db, 1)
    seen = came(1)
    assert messages.own_from_phone(db, S, seen, 2, status="delivered")
    assert messages.own_from_phone(db, S, seen, 2) is None
    ours = Observed(
        id=echo.id,
        key="true_x",
        chat_id="49@c.us",
        sender=None,
        recipient=None,
        timestamp=1,
        content=Content(),
    )
    assert messages.own_from_phone(db, S, ours, 3) is None
    assert types(db) == ["queued", "sent"]
    assert told(db)[1][1]["message"]["origin"] == "phone"
    assert messages.ack(db, S, seen.id, "read", 4)
    assert stats(db) == (0, 0, 0, 1)


def test_idempotency(db: apsw.Connection) -> None:
    first = send(db, 1, idempotency_key="k")
    chats.same_chat(db, S, "49@c.us", "7@lid")
    again, created = outbox.enqueue(
        db, S, Content(text="hello"), id="other", chat_id="7@lid", at_ms=9, idempotency_key="k", queue_limit=1
    )
    assert (again, created) == (first, False)
    refused("IDEMPOTENCY_CONFLICT", send, db, 2, text="other", idempotency_key="k")
    refused("IDEMPOTENCY_CONFLICT", send, db, 2, chat="50@c.us", idempotency_key="k")
    assert send(db, 3, idempotency_key="l").ref != first.ref
    assert types(db) == ["queued", "queued"]


def test_a_full_queue(db: apsw.Connection) -> None:
    for number in range(3):
        send(db, number, queue_limit=3)
    assert refused("QUEUE_FULL", send, db, 4, queue_limit=3).details["limit"] == 3
    outbox.cancel(db, S, "3EB00001", 9)
    send(db, 5, queue_limit=3)
    assert outbox.queue_length(db, S) == 3


def test_one_of_each_chat_in_order(db: apsw.Connection) -> None:
    for number in range(6):
        send(db, number, f"{number % 2}@c.us")
    assert [each.id[-1] for each in outbox.take(db, S, 10)] == ["0", "1"]
    assert outbox.take(db, S, 10) == []
    messages.ack(db, S, "3EB00000", "sent", 11)
    assert [each.id[-1] for each in outbox.next_queued(db, S, 10)] == ["2"]
    outbox.requeue(db, S, "3EB00001", 12, retry_at=50, error=BROKEN)
    assert [each.id[-1] for each in outbox.next_queued(db, S, 20)] == ["2"]  # 3 and 5 wait behind 1
    outbox.take(db, S, 20)
    assert outbox.next_retry_at(db, S) == 50
    (again,) = outbox.take(db, S, 50)
    assert (again.id[-1], again.attempts, again.error) == ("1", 2, BROKEN)
    assert outbox.next_retry_at(db, S) is None


def test_chats_that_turn_out_to_be_one(db: apsw.Connection) -> None:
    send(db, 1, "49@c.us")
    send(db, 2, "7@lid")
    outbox.resolve_key(db, S, "3EB00001", "true_7@lid_3EB00001", 3, chat_id="7@lid")
    assert chats.aliases(db, S, "49@c.us") == ("49@c.us", "7@lid")
    assert [each.id[-1] for each in outbox.next_queued(db, S, 9)] == ["1"]
    for name in ("49@c.us", "7@lid"):
        found, _ = messages.list_(db, S, chat_id=name)
        assert len(found) == 2


def test_failures(db: apsw.Connection) -> None:
    send(db, 1)
    outbox.take(db, S, 2)
    failed = outbox.fail(db, S, "3EB00001", BROKEN, 3)
    assert failed is not None
    assert (failed.status, failed.error) == ("failed", BROKEN)
    assert outbox.fail(db, S, "3EB00001", BROKEN, 3) is None
    assert stats(db) == (0, 0, 1, 0)
    assert outbox.retry(db, S, "3EB00001", 4).status == "queued"
    assert stats(db) == (0, 0, 0, 1)
    assert refused("INVALID_PARAMS", outbox.retry, db, S, "3EB00001", 4).details["currentStatus"] == "queued"
    outbox.take(db, S, 5)
    refused("INVALID_PARAMS", outbox.cancel, db, S, "3EB00001", 5)
    outbox.fail(db, S, "3EB00001", BROKEN, 6)
    late = messages.ack(db, S, "3EB00001", "sent", 7)  # it had gone out after all
    assert late is not None
    assert (late.status, late.error) == ("sent", None)
    assert stats(db) == (1, 0, 0, 0)
    assert types(db) == ["queued", "failed", "retrying", "failed", "sent"]
    assert [each["message"]["error"] is None for _, each in told(db)] == [True, False, True, False, True]


def test_what_does_not_exist(db: apsw.Connection) -> None:
    refused("MESSAGE_NOT_FOUND", messages.get, db, S, "none")
    refused("SESSION_NOT_FOUND", messages.get, db, "none", "none")
    refused("SESSION_NOT_FOUND", messages.list_, db, "none")
    refused("MESSAGE_NOT_FOUND", outbox.cancel, db, S, "none", 1)
    with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
        outbox.enqueue(db, "none", Content(), id="x", chat_id="1@c.us", at_ms=1)
    assert messages.ack(db, S, "none", "sent", 1) is None
    assert outbox.mark_sending(db, 99, 1) is None


def test_lists_are_newest_first(db: apsw.Connection) -> None:
    for number in range(10):
        messages.received(db, S, came(number, f"{number % 2}@c.us"), 100_000)
    messages.received(db, S, came(3, "late@c.us"), 200_000)  # caught up: it is where its time puts it
    seen: list[str] = []
    cursor = None
    while True:
        rows, cursor = messages.list_(db, S, limit=3, cursor=cursor)
        seen += [each.id for each in rows]
        if cursor is None:
            break
    assert seen == ["AA9", "AA8", "AA7", "AA6", "AA5", "AA4", "AA3", "AA3", "AA2", "AA1", "AA0"]
    odd, _ = messages.list_(db, S, chat_id="1@c.us", since=3000, until=7000)
    assert [each.id for each in odd] == ["AA5", "AA3"]
    assert messages.list_(db, S, direction="out") == ([], None)
    assert messages.list_(db, S, chat_id="unknown@c.us") == ([], None)
    assert len(messages.list_(db, S, status="received", limit=100)[0]) == 11
    for bad in ("x", "1", "1.2.3", "1.x"):
        refused("INVALID_PARAMS", messages.list_, db, S, cursor=bad)


RANK: tuple[MessageStatus, ...] = ("queued", "sending", "sent", "delivered", "read", "played")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(RANK[2:]), max_size=12), st.booleans())
def test_acks_only_move_forward(acks: list[MessageStatus], taken: bool) -> None:
    db = new_db()
    row = send(db, 1)
    if taken:
        outbox.take(db, S, 2)
    for ack in acks:
        before = messages.get(db, S, row.id)
        after = messages.ack(db, S, row.id, ack, 3)
        assert (after is None) == (RANK.index(ack) <= RANK.index(before.status))
    reached = max([1, *(RANK.index(each) for each in acks)])
    assert types(db) == ["queued", *RANK[2 : reached + 1]]
    assert stats(db) == (1 if acks else 0, 0, 0, 0 if acks else 1)
    db.close()


def test_missing_keys_have_a_counter_of_their_own(db: apsw.Connection) -> None:
    send(db, 1)
    broken = MessageError(code="NO_ENCRYPTION_SESSION", message="keys")

    def attempt(at_ms: int) -> MessageRow | None:
        assert [row.attempts for row in outbox.take(db, S, at_ms)]
        return outbox.keys_missing(
            db, S, "3EB00001", at_ms, limit=2, delay_ms=lambda count: 1000 * count, error=broken
        )

    first = attempt(10)
    assert first is not None
    assert (first.status, first.retry_at) == ("queued", 1010)
    assert outbox.take(db, S, 1009) == []
    assert outbox.next_retry_at(db, S) == 1010
    second = attempt(1010)
    assert second is not None
    assert second.retry_at == 3010
    third = attempt(3010)
    assert third is not None
    assert (third.status, third.error, third.attempts) == ("failed", broken, 3)
    assert [type_ for type_, _ in told(db)] == [
        "message.queued",
        "message.retrying",
        "message.retrying",
        "message.failed",
    ]
    assert outbox.retry(db, S, "3EB00001", 5000).status == "queued"
    assert attempt(5000) is not None
    assert messages.get(db, S, "3EB00001").status == "queued"  # a new count began


def test_a_clock_that_was_put_back_holds_nothing_up(db: apsw.Connection) -> None:
    send(db, 1)
    outbox.take(db, S, 10**12)
    outbox.requeue(db, S, "3EB00001", 10**12, retry_at=10**12 + 60_000)
    assert outbox.take(db, S, 10**12 + 1) == []
    assert len(outbox.take(db, S, 10**12 - 10**9)) == 1


def test_too_many_within_a_minute_are_refused(db: apsw.Connection) -> None:
    for number in range(3):
        send(db, 1000 * number, rate_per_minute=3)
    with pytest.raises(RpcError) as refusal:
        send(db, 3000, rate_per_minute=3)
    assert (refusal.value.code, refusal.value.details["retryAfter"]) == ("RATE_LIMITED", 57.0)
    send(db, 60_000, rate_per_minute=3)


def test_a_session_without_history_keeps_counts(db: apsw.Connection) -> None:
    visible = SessionSettings(message_history=False)
    sessions.insert(db, id="quiet", name="Quiet", at_ms=1, settings=StoredSettings(visible=visible))
    for session_id in (S, "quiet"):
        messages.received(db, session_id, came(1), 1000)
        messages.received(db, session_id, came(2), 5000)
    outbox.enqueue(db, "quiet", Content(text="waits"), id="3EB0Q", chat_id="49@c.us", at_ms=1000)
    assert messages.forget(db, 2000) == 1
    assert [row.text for row in messages.list_(db, "quiet")[0]] == ["hi", "waits"]
    assert len(messages.list_(db, S)[0]) == 2
    assert sessions.get(db, "quiet").received == 2
    assert messages.forget(db, 2000) == 0
    told_of = [each.record.session_id for each in read_page(db, 0, 100).events]
    assert told_of.count("quiet") == 3  # created, the later message, the one that waits

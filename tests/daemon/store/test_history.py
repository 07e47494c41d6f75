"""Messages of the past: what is read back is what was there; pages of a list that grows meanwhile."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.seals import Seals
from daemon.store import message_record, messages, outbox, sessions
from daemon.store.events import bounds
from daemon.store.history import oldest_message, take_in
from daemon.store.messages import Content, Observed
from daemon.store.migrations import migrate, scripts
from protocol.errors import RpcError
from protocol.models import (
    Media,
    Message,
    MessageError,
    MessageStatus,
    PastMessage,
    SessionSettings,
    StoredSettings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_800_000_000_000
A, B = "one", "two"


def new_db() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    Seals().teach(db)
    db.pragma("foreign_keys", True)
    migrate(db, scripts())
    for each in (A, B):
        sessions.insert(db, id=each, name=each, at_ms=1)
    return db


def listed(db: apsw.Connection, session_id: str, **where: Any) -> list[Message]:
    found: list[Message] = []
    cursor = None
    while True:
        rows, cursor = messages.list_(db, session_id, cursor=cursor, limit=3, **where)
        found += map(message_record, rows)
        if cursor is None:
            return found


def exported(given: Sequence[Message]) -> list[PastMessage]:
    """As an export's lines have them, oldest first."""
    lines = [msgspec.json.encode(each) for each in reversed(given)]
    return [msgspec.json.decode(line, type=PastMessage) for line in lines]


def without_session(given: Sequence[Message]) -> list[dict[str, Any]]:
    return [{**msgspec.to_builtins(each), "sessionId": None} for each in given]


words = st.text(st.characters(codec="utf-8"), max_size=30)
chats = st.sampled_from(["49@c.us", "1234@lid", "g@g.us", "0@newsletter"])
contents = st.builds(
    Content,
    type=st.sampled_from(["text", "image", "location", "poll"]),
    text=st.none() | words,
    media=st.none()
    | st.builds(Media, mimetype=words, filename=st.none() | words, bytes=st.none() | st.just(5)),
    quoted_id=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
    mentions=st.lists(chats, max_size=2).map(tuple),
    options=st.dictionaries(
        words, st.none() | st.integers(-9, 9) | words | st.lists(words, max_size=2), max_size=3
    ),
)
times = st.integers(1_700_000_000_000, 1_700_000_009_999)
actions = st.lists(
    st.tuples(st.sampled_from(["in", "phone", "api"]), st.integers(0, 5), chats, contents, times), max_size=12
)


def play(db: apsw.Connection, done: list[tuple[str, int, str, Content, int]], draw: Any) -> None:
    """Have messages come and go, and get acknowledged, edited, deleted, failed, cancelled."""
    for kind, number, chat, content, at_ms in done:
        id_ = f"{kind}{number}"
        if kind == "api":
            if messages.find(db, A, id_) is None:
                outbox.enqueue(db, A, content, id=id_, chat_id=chat, at_ms=at_ms)
        else:
            observed = Observed(
                id=id_ if kind == "phone" else f"../{id_}/\x00",
                key=f"{kind}_{chat}_{id_}",
                chat_id=chat,
                sender=chat,
                recipient=None,
                timestamp=at_ms // 1000 * 1000,
                content=content,
            )
            take = messages.received if kind == "in" else messages.own_from_phone
            take(db, A, observed, at_ms)
        match draw(st.sampled_from(["", "ack", "edit", "delete", "fail", "cancel", "key"])):
            case "ack":
                messages.ack(db, A, id_, draw(st.sampled_from(["sent", "delivered", "read"])), at_ms + 5)
            case "edit":
                messages.edited(db, A, id_, "edited", at_ms + 6)
            case "delete":
                messages.deleted(db, A, id_, at_ms + 7)
            case "key" if kind == "api":
                outbox.resolve_key(db, A, id_, f"true_{chat}_{id_}", at_ms)
            case "fail" if kind == "api":
                outbox.fail(db, A, id_, MessageError(code="PAGE_ERROR", message="x", details={"a": 1}), at_ms)
            case "cancel" if kind == "api" and messages.get(db, A, id_).status == "queued":
                outbox.cancel(db, A, id_, at_ms + 8)


@settings(deadline=None, max_examples=60)
@given(actions, st.data())
def test_what_is_read_back_is_what_was_there(
    done: list[tuple[str, int, str, Content, int]], data: st.DataObject
) -> None:
    with closing(new_db()) as db:
        play(db, done, data.draw)
        before = listed(db, A)
        events = bounds(db)
        assert take_in(db, B, exported(before), NOW) == len(before)
        after = listed(db, B)
        unsent: tuple[MessageStatus, ...] = ("queued", "sending")
        wanted = [
            msgspec.structs.replace(each, status="cancelled") if each.status in unsent else each
            for each in before
        ]
        assert without_session(after) == without_session(wanted)
        assert outbox.next_queued(db, B, NOW) == []
        assert bounds(db) == events  # nothing is told
        one, two = sessions.get(db, A), sessions.get(db, B)
        assert (two.sent, two.received, two.failed) == (one.sent, one.received, one.failed)
        # again, and into where it came from: nothing changes
        assert take_in(db, B, exported(after), NOW) == 0
        assert take_in(db, A, exported(after), NOW) == 0
        assert (listed(db, A), listed(db, B)) == (before, after)


def past(**fields: Any) -> PastMessage:
    usual: dict[str, Any] = {
        "id": "A",
        "key": "false_49@c.us_A",
        "origin": "contact",
        "chatId": "49@c.us",
        "direction": "in",
        "type": "text",
        "status": "received",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }
    return msgspec.convert({**usual, **fields}, PastMessage)


def test_what_lies_ahead_is_refused_as_a_whole() -> None:
    with closing(new_db()) as db:
        ahead = past(createdAt="9999-01-01T00:00:00.000Z", timestamp="9999-01-01T00:00:00.000Z", key="b")
        with pytest.raises(RpcError, match=r"messages\[1\].createdAt"), db:
            take_in(db, A, [past(), ahead], NOW)
        assert listed(db, A) == []
        assert oldest_message(db) is None


def test_who_cannot_take_them() -> None:
    with closing(new_db()) as db:
        with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
            take_in(db, "none", [past()], NOW)
        sessions.update(db, B, 2, settings=StoredSettings(visible=SessionSettings(message_history=False)))
        with pytest.raises(RpcError, match="keeps no history"):
            take_in(db, B, [past()], NOW)


def test_the_oldest_is_known() -> None:
    with closing(new_db()) as db:
        take_in(db, A, [past()], NOW)
        take_in(db, B, [past(createdAt="2025-01-01T00:00:00.000Z")], NOW)
        assert oldest_message(db) == 1_735_689_600_000


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 20), max_size=20),
    st.lists(st.lists(st.integers(1, 30), max_size=4), max_size=30),
    st.integers(1, 4),
)
def test_pages_have_what_was_there_once_while_more_comes(
    first: list[int], meanwhile: list[list[int]], limit: int
) -> None:
    """Late ones come into the middle of the list, others at its head, while somebody turns its pages."""
    with closing(new_db()) as db:
        number = 0

        def come(at_s: int) -> str:
            nonlocal number
            number += 1
            observed = Observed(
                id=f"A{number}",
                key=f"K{number}",
                chat_id="49@c.us",
                sender=None,
                recipient=None,
                timestamp=at_s * 1000,
                content=Content(text="x"),
            )
            assert messages.received(db, A, observed, 40_000) is not None
            return f"K{number}"

        there = {come(at_s) for at_s in first}
        seen: list[str | None] = []
        cursor = None
        more = iter(meanwhile)
        while True:
            rows, cursor = messages.list_(db, A, cursor=cursor, limit=limit)
            seen += [row.key for row in rows]
            if cursor is None:
                break
            for at_s in next(more, []):
                come(at_s)
        assert len(seen) == len(set(seen))
        assert there <= set(seen)

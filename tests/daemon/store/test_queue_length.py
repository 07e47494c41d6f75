"""The length of a queue and the heads of its chats, which are kept and not looked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.store import chats, messages, outbox, sessions
from daemon.store.messages import Content
from protocol.errors import RpcError
from protocol.models import MessageError

from .test_messages import S, came, new_db

if TYPE_CHECKING:
    import apsw

ERROR = MessageError(code="PAGE_ERROR", message="no")


def step(db: apsw.Connection, verb: str, id_: str, at_ms: int) -> None:
    match verb:
        case "send":
            outbox.enqueue(db, S, Content(text="x"), id=id_, chat_id=f"{int(id_[-1]) % 2}@c.us", at_ms=at_ms)
        case "take":
            outbox.take(db, S, at_ms)
        case "fail":
            outbox.fail(db, S, id_, ERROR, at_ms)
        case "requeue":
            outbox.requeue(db, S, id_, at_ms)
        case "cancel":
            outbox.cancel(db, S, id_, at_ms)
        case "retry":
            outbox.retry(db, S, id_, at_ms)
        case "merge":
            chats.same_chat(db, S, "0@c.us", "1@c.us")
        case "ack":
            messages.ack(db, S, id_, "read", at_ms)
        case "receive":
            messages.received(db, S, came(at_ms), at_ms)


VERBS = ("send", "send", "take", "fail", "requeue", "cancel", "retry", "ack", "receive", "merge")


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 3)), max_size=40))
def test_it_is_what_counting_would_give(steps: list[tuple[str, int]]) -> None:
    db = new_db()
    for at_ms, (verb, number) in enumerate(steps):
        with suppress(RpcError, ValueError):  # not in that status, or the id is taken
            step(db, verb, f"3EB0{number}", at_ms)
        counted = db.execute("SELECT count(*) FROM messages WHERE status IN ('queued', 'sending')").get
        assert outbox.queue_length(db, S) == sessions.get(db, S).queued == counted
        heads = db.execute(
            """SELECT chat, session_id, min(ref) FROM messages WHERE status IN ('queued', 'sending')
               GROUP BY session_id, chat ORDER BY chat"""
        ).fetchall()
        assert db.execute("SELECT chat, session_id, ref FROM queue_heads ORDER BY chat").fetchall() == heads
    sessions.delete(db, S, 99)
    assert db.execute("SELECT count(*) FROM queue_lengths").get == 0
    assert db.execute("SELECT count(*) FROM queue_heads").get == 0
    db.close()

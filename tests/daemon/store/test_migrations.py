"""A store of every older version, brought to this one: what is kept beside the messages is right then."""

from __future__ import annotations

import random

import apsw
import pytest

from daemon.store.migrations import migrate, scripts

STATUSES = ("queued", "sending", "sent", "failed", "cancelled", "read")
WAITING = "status IN ('queued', 'sending')"
LEFT = "direction = 'out' AND status IN ('sent', 'delivered', 'read', 'played')"


class Old:
    """A store as a version of the daemon left it, with messages in it."""

    def __init__(self, version: int) -> None:
        self.dice = random.Random(version)  # noqa: S311  no secret
        self.db = apsw.Connection(":memory:")
        self.db.pragma("foreign_keys", True)
        migrate(self.db, scripts()[:version])
        for session in ("a", "b"):
            self.db.execute(
                """INSERT INTO sessions (id, name, desired, status, created_at, updated_at)
                   VALUES (?1, ?1, 'stopped', 'inactive', 1, 1)""",
                (session,),
            )
            for _ in range(4):
                self.db.execute("INSERT INTO chats (session_id) VALUES (?)", (session,))
        self.chats = list(self.db.execute("SELECT ref, session_id FROM chats"))

    def add(self, count: int) -> None:
        for _ in range(count):
            chat, session = self.dice.choice(self.chats)
            came = self.dice.random() < 0.5
            self.db.execute(
                """INSERT INTO messages (session_id, id, chat, chat_id, direction, origin, type, text, status,
                                         at, created_at, updated_at)
                   VALUES (?, hex(randomblob(8)), ?, 'x', ?, ?, ?, 'said', ?, ?, 1, 1)""",
                (
                    session,
                    chat,
                    "in" if came else "out",
                    "contact" if came else "api",
                    self.dice.choice(("text", "image")),
                    "received" if came else self.dice.choice(STATUSES),
                    self.dice.randrange(9) * 1_800_000,
                ),
            )

    def change(self) -> None:
        own = [ref for (ref,) in self.db.execute("SELECT ref FROM messages WHERE direction = 'out'")]
        for _ in range(300):
            to = (self.dice.choice(STATUSES), self.dice.choice(own))
            self.db.execute("UPDATE messages SET status = ? WHERE ref = ?", to)
        one, other, *_ = (chat for chat, session in self.chats if session == "a")
        self.db.execute("UPDATE messages SET chat = ? WHERE chat = ?", (one, other))  # one person after all

    def rows(self, question: str) -> list[tuple[object, ...]]:
        return list(self.db.execute(question))


@pytest.mark.parametrize("version", range(2, len(scripts()) + 1))
def test_a_store_of_an_older_version_counts_as_if_it_had_always_been_of_this(version: int) -> None:
    old = Old(version)
    old.add(200)
    migrate(old.db, scripts())
    schema = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    assert old.rows(schema) == Old(len(scripts())).rows(schema)
    assert_counts_are_right(old)
    old.add(100)
    assert_counts_are_right(old)
    old.change()
    assert_counts_are_right(old)
    old.db.execute("DELETE FROM messages WHERE ref % 3 = 0")  # those hours stay counted
    assert_queues_are_right(old)
    assert old.rows("PRAGMA integrity_check") == [("ok",)]
    assert old.rows("PRAGMA foreign_key_check") == []


def assert_counts_are_right(old: Old) -> None:
    counted = old.rows("SELECT session_id, hour, type, total, sent, received, failed FROM message_hours")
    assert counted == old.rows(
        f"""SELECT session_id, at / 3600000, type, count(*), sum({LEFT}), sum(direction = 'in'),
                   sum(status = 'failed') FROM messages GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""  # noqa: S608
    )
    assert_queues_are_right(old)


def assert_queues_are_right(old: Old) -> None:
    assert old.rows("SELECT session_id, length FROM queue_lengths WHERE length <> 0 ORDER BY 1") == old.rows(
        f"SELECT session_id, count(*) FROM messages WHERE {WAITING} GROUP BY 1 ORDER BY 1"  # noqa: S608
    )
    assert old.rows("SELECT chat, ref FROM queue_heads ORDER BY chat") == old.rows(
        f"SELECT chat, min(ref) FROM messages WHERE {WAITING} GROUP BY chat ORDER BY chat"  # noqa: S608
    )

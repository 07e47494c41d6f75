"""The tables of webhooks: in step with settings, and found in stores that are older than they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import attrs
import pytest

from daemon.store import open_store, sessions, webhooks
from daemon.store.files import APPLICATION_ID
from daemon.store.migrations import migrate, scripts
from daemon.store.records import to_json
from daemon.store.webhooks import Given, LaneRow, State
from protocol.errors import RpcError
from protocol.models import SessionSettings, StoredSettings

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.store import Store

SETTINGS = StoredSettings(
    visible=SessionSettings(webhook_url="https://example.org/", webhook_events=("message.received",)),
    webhook_secret="s3cret",  # noqa: S106
)
LANE = LaneRow(session="one", cursor=3, attempts=2, failing_since=10, next_at=20, error="500")


async def test_settings_are_followed(store: Store) -> None:
    await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1, settings=SETTINGS))
    (hook,) = await store.read(webhooks.list_)
    assert (hook.id, hook.source, hook.session_id) == ("session:one", "session", "one")
    assert (hook.url, hook.events, hook.secret) == (
        "https://example.org/",
        frozenset({"message.received"}),
        "s3cret",
    )
    assert await store.read(lambda db: webhooks.load(db, hook.id)) == State(cursor=0)
    state = State(cursor=7, lanes=(LANE, attrs.evolve(LANE, session=None)), disabled="gone", delivered_at=5)
    given = Given(seq=2, upto=2, session_id="one", type="session.qr", at_ms=9, attempts=1, error="x")
    await store.write(lambda db: webhooks.save(db, hook.id, state, ["other"], [given]))
    found = await store.read(lambda db: webhooks.load(db, hook.id))
    assert (found.cursor, set(found.lanes), found.disabled) == (7, set(state.lanes), "gone")
    await store.write(lambda db: webhooks.save(db, hook.id, State(cursor=8), ["one", None]))
    await store.write(
        lambda db: sessions.update(
            db, "one", 2, settings=StoredSettings(visible=SessionSettings(webhook_url="https://b.example/"))
        )
    )
    (hook,) = await store.read(webhooks.list_)
    assert (hook.url, hook.events, hook.secret, hook.created_at) == (
        "https://b.example/",
        frozenset(),
        None,
        1,
    )
    assert await store.read(lambda db: webhooks.load(db, hook.id)) == State(cursor=8)
    await store.write(lambda db: sessions.update(db, "one", 3, settings=StoredSettings()))
    assert await store.read(webhooks.list_) == []
    assert await store.read(lambda db: webhooks.dead_letters(db, [hook.id], 10)) == []


async def test_a_session_takes_its_webhooks_with_it(store: Store) -> None:
    await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1, settings=SETTINGS))
    await store.write(lambda db: webhooks.save(db, "session:one", State(cursor=1, lanes=(LANE,)), []))
    await store.write(lambda db: sessions.delete(db, "one", 2))
    assert await store.read(webhooks.list_) == []
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM webhook_lanes").get) == 0
    with pytest.raises(RpcError, match="WEBHOOK_NOT_FOUND"):
        await store.read(lambda db: webhooks.load(db, "session:one"))


async def test_dead_letters_make_room(store: Store, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_DEAD_LETTERS", 3)
    await store.write(lambda db: webhooks.follow_config(db, "https://example.org/", [], None, 1))
    given = [
        Given(seq=seq, upto=seq, session_id=session, type=None, at_ms=9, attempts=1, error="x")
        for seq in range(1, 6)
    ]
    await store.write(lambda db: webhooks.save(db, "config", State(cursor=8), [], given))
    letters = await store.read(lambda db: webhooks.dead_letters(db, ["config"], 10))
    assert [letter.seq for letter in letters] == [5, 4, 3]
    assert await store.read(lambda db: webhooks.count_dead_letters(db, ["config"])) == {"config": 3}


async def test_an_older_store_has_its_webhooks(path: Path) -> None:
    path.parent.mkdir()
    db = apsw.Connection(str(path))
    db.pragma("application_id", APPLICATION_ID)
    migrate(db, scripts()[:1])
    for name, settings in (("one", SETTINGS), ("two", StoredSettings())):
        db.execute(
            """INSERT INTO sessions (id, name, desired, status, created_at, updated_at, settings)
               VALUES (?, '', 'stopped', 'inactive', 1, 2, ?)""",
            (name, to_json(settings)),
        )
    db.execute("INSERT INTO events (at, type, session_id, data) VALUES (1, 'session.qr', 'one', '{}')")
    db.close()
    async with open_store(path) as store:
        (hook,) = await store.read(webhooks.list_)
        assert (hook.id, hook.url, hook.secret) == ("session:one", "https://example.org/", "s3cret")
        assert hook.events == {"message.received"}
        assert (await store.read(lambda db: webhooks.load(db, hook.id))).cursor == 1

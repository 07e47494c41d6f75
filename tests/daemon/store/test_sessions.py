"""The table of sessions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from daemon.store import messages, outbox, session_record, sessions
from daemon.store.messages import Content
from protocol.errors import RpcError
from protocol.models import ConnectionInfo, Restarts, SessionSettings, StoredSettings

if TYPE_CHECKING:
    from daemon.store import Store


async def told(store: Store) -> list[tuple[str, Any]]:
    """Every event's type and data."""
    page = await store.log.list(limit=1000)
    return [(each.record.type, json.loads(bytes(each.record.data))) for each in page.events]


async def test_create_get_update(store: Store) -> None:
    settings = StoredSettings(visible=SessionSettings(tags=("x",)), webhook_secret="s3cret")  # noqa: S106
    row = await store.write(
        lambda db: sessions.insert(db, id="one", name="One", at_ms=5, settings=settings, owner_uid=7)
    )
    assert (row.status, row.desired, row.settings, row.owner_uid) == ("inactive", "stopped", settings, 7)
    assert row == await store.read(lambda db: sessions.get(db, "one"))
    info = ConnectionInfo(connected_at="2026-11-21T10:00:00.000Z", wid="1@c.us")
    changed = await store.write(
        lambda db: sessions.update(
            db, "one", 9, desired="running", connection_info=info, restarts=(1, 2), phone_number="+1"
        )
    )
    assert (changed.connection_info, changed.restarts, changed.updated_at) == (info, (1, 2), 9)
    record = session_record(changed, Restarts(limit=3, window=120, cooldown=30))
    assert (record.phone_number, record.updated_at) == ("+1", "1970-01-01T00:00:00.009Z")
    assert "s3cret" not in repr(record)
    assert await told(store) == [("session.created", {"name": "One"})]


async def test_ids_are_taken_once(store: Store, session: str) -> None:
    for job, code in (
        (lambda db: sessions.insert(db, id=session, name="Again", at_ms=1), "SESSION_EXISTS"),
        (lambda db: sessions.get(db, "none"), "SESSION_NOT_FOUND"),
        (lambda db: sessions.update(db, "none", 1, name="x"), "SESSION_NOT_FOUND"),
        (lambda db: sessions.delete(db, "none", 1), "SESSION_NOT_FOUND"),
    ):
        with pytest.raises(RpcError) as caught:
            await store.write(job)
        assert caught.value.code == code
    assert len(await told(store)) == 1


async def test_lists(store: Store) -> None:
    for number in range(7):
        tags = StoredSettings(visible=SessionSettings(tags=("even",) if number % 2 == 0 else ("odd", "x")))
        await store.write(
            lambda db, n=number, tags=tags: sessions.insert(  # type: ignore[misc]  # defaults bind the loop's values
                db,
                id=f"s{n}",
                name="n",
                at_ms=n,
                settings=tags,
                owner_uid=n % 3,
            )
        )
    await store.write(lambda db: sessions.update(db, "s3", 9, status="connected"))

    async def ids(**where: Any) -> tuple[list[str], int]:
        rows, total = await store.read(lambda db: sessions.list_(db, **where))
        return [each.id for each in rows], total

    assert await ids(limit=3, offset=2) == (["s2", "s3", "s4"], 7)
    assert await ids(tag="odd") == (["s1", "s3", "s5"], 3)
    assert await ids(tag="odd", status="connected") == (["s3"], 1)
    assert await ids(tag="none") == ([], 0)
    assert await store.read(sessions.count) == 7
    assert await store.read(lambda db: sessions.count(db, 1)) == 2


async def test_delete(store: Store, session: str) -> None:
    await store.write(lambda db: sessions.insert(db, id="other", name="Other", at_ms=1))
    for each in (session, "other"):
        await store.write(
            lambda db, s=each: outbox.enqueue(  # type: ignore[misc]  # a default binds the loop's value
                db, s, Content(text="x"), id="3EB0", chat_id="1@c.us", at_ms=2
            )
        )
    await store.write(lambda db: sessions.delete(db, session, 3))
    types = [kind for kind, _ in await told(store)]
    assert types == ["session.created", "session.created", "message.queued", "session.deleted"]
    assert await store.read(messages.count) == 1
    left = await store.read(
        lambda db: db.execute("SELECT (SELECT count(*) FROM chats), (SELECT count(*) FROM chat_aliases)").get
    )
    assert left == (1, 1)

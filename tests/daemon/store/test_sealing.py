"""Rows of a session with enableEncryption: sealed, bound to their place, brought over in steps."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest
from structlog.testing import capture_logs

from daemon.seals import Key, Seals
from daemon.store import KeyMissing, StoreError, message_record, open_store, outbox, sealing, sessions
from daemon.store import messages as table
from daemon.store.messages import Content, Observed
from protocol.errors import RpcError
from protocol.models import Media, SessionSettings, StoredSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.store import Store

S = "one"
SAID = "w0rds that nobody else may read"
WORDS = (b"w0rds", b"s3cret.pdf", b"v0tes", b"m3ntioned@c.us", b"ch0ice")


def settings_of(sealed: bool) -> StoredSettings:
    return StoredSettings(visible=SessionSettings(enable_encryption=sealed))


async def fill(store: Store, count: int = 1, *, sealed: bool = True) -> None:
    def job(db: apsw.Connection) -> None:
        sessions.insert(db, id=S, name="One", at_ms=1, settings=settings_of(sealed))
        if sealed:
            sealing.use_key(db, db_key(db))
        for number in range(count):
            table.received(db, S, observed(f"A{number}"), 1)
        content = Content(
            type="poll", text=SAID, mentions=("m3ntioned@c.us",), options={"options": ["ch0ice"]}
        )
        outbox.enqueue(db, S, content, id="Q", chat_id="1@c.us", at_ms=2, idempotency_key="once")
        table.edited(db, S, "kA0", f"{SAID}, edited", 3)
        table.noted(db, S, "kA0", "message.poll_vote", 4, {"from": "1@c.us", "options": ["v0tes"]})

    def db_key(db: apsw.Connection) -> bytes:
        probe: bytes = db.execute("SELECT substr(seal('x', 'y', 1, x'00'), 1, 8)").get
        return probe

    await store.write(job)


def observed(message_id: str) -> Observed:
    content = Content(type="document", text=SAID, media=Media(mimetype="a/b", filename="s3cret.pdf", bytes=1))
    return Observed(
        id=message_id,
        key=f"k{message_id}",
        chat_id="1@c.us",
        sender="1@c.us",
        recipient=None,
        timestamp=1,
        content=content,
    )


async def shown(store: Store) -> tuple[list[bytes], list[bytes]]:
    """What clients are told: the messages, and the events."""
    rows, _ = await store.read(lambda db: table.list_(db, S, limit=1000))
    page = await store.log.list(limit=1000)
    return [msgspec.json.encode(message_record(row)) for row in rows], [each.json for each in page.events]


def on_disk(path: Path) -> bytes:
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    return b"".join(file.read_bytes() for file in files if file.exists())


async def pending(store: Store, seals: Seals) -> int:
    first = seals.first.id if seals.first else None
    return sum((await store.read(lambda db: sealing.pending(db, first))).values())


async def reseal(store: Store, seals: Seals, batches: int = 1000) -> None:
    first = seals.first.id if seals.first else None
    for step in (sealing.reseal, sealing.reseal_events):
        after: int | None = 0
        while after is not None and batches:
            after = await store.write(lambda db, n=after, do=step: do(db, S, n, first))  # type: ignore[misc]
            batches -= 1


@pytest.fixture
def seals() -> Seals:
    return Seals([Key(os.urandom(32))])


async def test_nothing_that_is_said_is_on_disk(path: Path, tmp_path: Path, seals: Seals) -> None:
    plain_path = tmp_path / "plain" / "store.db"
    async with open_store(plain_path) as store:
        await fill(store, sealed=False)
        told = await shown(store)
        assert all(word in on_disk(plain_path) for word in WORDS)
    async with open_store(path, seals=seals) as store:
        await fill(store)
        assert await shown(store) == told
        assert not any(word in on_disk(path) for word in WORDS)
    assert not any(word in on_disk(path) for word in WORDS)


async def test_an_idempotency_key_still_tells_the_same_from_another(path: Path, seals: Seals) -> None:
    async with open_store(path, seals=seals) as store:
        await fill(store)

        def again(text: str) -> Any:
            content = Content(
                type="poll", text=text, mentions=("m3ntioned@c.us",), options={"options": ["ch0ice"]}
            )
            return lambda db: outbox.enqueue(
                db, S, content, id="R", chat_id="1@c.us", at_ms=9, idempotency_key="once"
            )

        row, is_new = await store.write(again(SAID))
        assert (row.id, is_new) == ("Q", False)
        with pytest.raises(RpcError, match="IDEMPOTENCY_CONFLICT"):
            await store.write(again("something else"))


@pytest.mark.parametrize("given", ["none", "another"])
async def test_without_its_key_a_store_is_refused_and_left_as_it_is(
    path: Path, seals: Seals, given: str
) -> None:
    async with open_store(path, seals=seals) as store:
        await fill(store)
        told = await shown(store)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    wrong = Seals([Key(os.urandom(32))] if given == "another" else [])
    with pytest.raises(KeyMissing) as refused:
        async with open_store(path, seals=wrong):
            pass
    assert seals.keys[0].id.hex() in str(refused.value)
    assert "key_file" in str(refused.value)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert isinstance(refused.value, StoreError)
    async with open_store(path, seals=Seals([*wrong.keys, *seals.keys])) as store:
        assert await shown(store) == told


async def test_it_is_brought_over_in_steps_and_taken_up_after_any_of_them(path: Path, seals: Seals) -> None:
    """Encrypted, given another key, and decrypted: each cut off after a batch, and gone on with elsewhere."""
    old, new = seals.keys[0], Key(os.urandom(32))
    async with open_store(path, seals=seals) as store:
        await fill(store, 250, sealed=False)
        told = await shown(store)
    changes = [([old], True, 252), ([new, old], True, 252), ([new], False, 252)]
    for keys, sealed, rows in changes:
        now = Seals(keys)
        async with open_store(path, seals=now) as store:

            def wish(db: apsw.Connection, sealed: bool = sealed, first: bytes = keys[0].id) -> None:
                sessions.update(db, S, 5, settings=settings_of(sealed))
                sealing.use_key(db, first)

            await store.write(wish)
            assert await pending(store, now) == rows
            await reseal(store, now, batches=1)
            assert await pending(store, now) == rows - sealing.BATCH_ROWS
            assert await shown(store) == told
        async with open_store(path, seals=now) as store:
            await reseal(store, now)
            assert await pending(store, now) == 0
            assert await shown(store) == told
            left = await store.write(lambda db, n=now: sealing.drop_unused_keys(db, n.keys[0].id))  # type: ignore[misc]
            assert left == ([keys[0].id] if sealed else [])
            if await store.read(sealing.clear_text_left):
                await store.write_anew()
                await store.write(sealing.no_clear_text_left)
            assert any(word in on_disk(path) for word in WORDS) is not sealed
    async with open_store(path) as store:
        assert await shown(store) == told


async def test_a_key_that_is_needed_is_not_struck(path: Path, seals: Seals) -> None:
    new = Key(os.urandom(32))
    async with open_store(path, seals=seals) as store:
        await fill(store)
        seals.keys = (new, *seals.keys)
        await store.write(lambda db: sealing.use_key(db, new.id))
        left = await store.write(lambda db: sealing.drop_unused_keys(db, new.id))
        assert left == sorted(key.id for key in seals.keys)


async def test_rows_that_were_swapped_or_damaged_say_nothing(path: Path, seals: Seals) -> None:
    """And the others, the log included, are there as before."""
    async with open_store(path, seals=seals) as store:
        await fill(store, 3)
        await store.write(
            lambda db: db.execute(
                """UPDATE messages SET sealed = (SELECT sealed FROM messages WHERE id = 'A1') WHERE id = 'A0';
                   UPDATE messages SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE id = 'Q'"""
            )
        )
        rows, _ = await store.read(lambda db: table.list_(db, S))
        found = {row.id: message_record(row) for row in rows}
        assert {name for name, record in found.items() if record.details == {"unreadable": True}} == {
            "A0",
            "Q",
        }
        assert (found["A0"].text, found["A1"].text, found["A2"].text) == (None, SAID, SAID)
        assert not any(row.readable for row in rows if row.id in ("A0", "Q"))
        assert len((await store.log.list(limit=100)).events) == 7
        with pytest.raises(RpcError, match="IDEMPOTENCY_CONFLICT"):
            await store.write(
                lambda db: outbox.enqueue(
                    db, S, Content(text="x"), id="R", chat_id="1@c.us", at_ms=9, idempotency_key="once"
                )
            )
        # What cannot be opened is not made worse, and does not keep the rest back.
        before = await store.read(lambda db: db.execute("SELECT sealed FROM messages WHERE id = 'Q'").get)
        seals.keys = (Key(os.urandom(32)), *seals.keys)
        await reseal(store, seals)
        assert await pending(store, seals) == 2
        assert before == await store.read(
            lambda db: db.execute("SELECT sealed FROM messages WHERE id = 'Q'").get
        )


async def test_what_cannot_be_opened_is_told_once(path: Path, seals: Seals) -> None:
    async with open_store(path, seals=seals) as store:
        await fill(store)
        await store.write(lambda db: db.execute("UPDATE messages SET sealed = zeroblob(99)").fetchall())
        with capture_logs() as lines:
            for _ in range(3):
                rows, _following = await store.read(lambda db: table.list_(db, S))
        assert sum(line["event"] == "content_unreadable" for line in lines) == len(rows) == 2


async def test_the_file_is_not_written_anew_where_that_would_fill_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(path) as store:
        await fill(store, sealed=False)
        size, _ = store.sizes()
        before = path.read_bytes()
        monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=2 * size - 1))
        with pytest.raises(RpcError, match="STORE_FULL"):
            await store.write_anew()
        assert path.read_bytes() == before
        monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=2 * size))
        await store.write_anew()


async def test_damage_or_a_locked_file_is_no_foreign_error(path: Path) -> None:
    """Whoever reads, or has the file written anew, is ready for `StoreError`, not for what SQLite raises."""

    def raising(error: Exception) -> Callable[[object], None]:
        def work(_db: object) -> None:
            raise error

        return work

    async with open_store(path) as store:
        for error in (apsw.CorruptError("damaged"), apsw.BusyError("locked"), apsw.CantOpenError("no fds")):
            with pytest.raises(StoreError):
                await store.read(raising(error))
            with pytest.raises(StoreError):
                await store._writer.alone(raising(error))

"""Copies of a store in use, and stores that are checked while they are read."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import apsw
import pytest
import trio
import trio.testing

from daemon.store import Store, StoreError, StoreFull, open_store, sessions
from daemon.store import store as opening
from daemon.store.copies import copy_store
from daemon.store.files import check_pages

from .test_files import contents, damage, make, put
from .test_writer import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["small_disk"]


async def add(store: Store, number: int) -> None:
    """Two rows in one transaction, or none."""

    def both(db: apsw.Connection) -> None:
        for side in ("a", "b"):
            sessions.insert(db, id=f"{side}{number}", name="x" * 3000, at_ms=1)

    await store.write(both)


async def test_a_copy_is_of_one_moment_while_others_write(store: Store, tmp_path: Path) -> None:
    for number in range(500):
        await add(store, number)
    copies = [tmp_path / "backups" / f"{number}.db" for number in range(3)]
    written = 500
    done = trio.Event()

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            await add(store, written)
            written += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        for copy in copies:
            before = written
            assert await store.copy(copy) == copy.stat().st_size
            assert written > before  # the writer went on
        done.set()
    assert sorted(copies[0].parent.iterdir()) == copies
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}
    assert copies[0].parent.stat().st_mode & 0o777 == 0o700
    for copy in copies:
        with closing(apsw.Connection(str(copy))) as db:
            ids = [str(id_) for (id_,) in db.execute("SELECT id FROM sessions")]
        assert len(ids) >= 1000
        assert {id_[1:] for id_ in ids if id_[0] == "a"} == {id_[1:] for id_ in ids if id_[0] == "b"}


async def test_a_copy_takes_the_stores_place(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with open_store(path) as store:
        await add(store, 1)
        await store.copy(copy)
        await add(store, 2)
    copy.rename(path)
    async with open_store(path) as store:
        assert await store.read(sessions.count) == 2


async def test_a_cancelled_copy_leaves_nothing(store: Store, tmp_path: Path) -> None:
    for number in range(20):
        await add(store, number)
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.copy(tmp_path / "backups" / "copy.db")
    directory = tmp_path / "backups"
    assert not directory.exists() or list(directory.iterdir()) == []


async def test_no_room_for_a_copy(store: Store, small_disk: Path) -> None:
    for number in range(200):
        await add(store, number)
    with pytest.raises(StoreFull):
        await store.copy(small_disk / "copy.db")
    fill(small_disk)
    with pytest.raises(StoreFull):
        await store.copy(small_disk / "another.db")
    assert [each.name for each in small_disk.iterdir()] == ["ballast"]


async def test_a_place_that_cannot_be_written(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        await store.copy(tmp_path / "file" / "copy.db")


async def test_a_damaged_store_gives_no_copy(path: Path, tmp_path: Path) -> None:
    await make(path, *(f"s{number:04}" for number in range(400)))
    damage(path)
    with pytest.raises(StoreError, match="damaged"):
        await trio.to_thread.run_sync(copy_store, path, tmp_path / "copies" / "copy.db")
    assert list((tmp_path / "copies").iterdir()) == []


async def unclean(path: Path) -> None:
    """A store of a few hundred rows whose daemon was killed."""
    await make(path, *(f"s{number:04}" for number in range(400)))
    put(path.with_name("store.db.lock"), b"in use by process 1\n")


class Gate:
    """Holds the check up until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._opened = threading.Event()
        check = check_pages

        def held_up(path: Path, wanted: Callable[[], bool]) -> None:
            while wanted() and not self._opened.wait(0.01):
                pass
            check(path, wanted)

        monkeypatch.setattr(opening, "check_pages", held_up)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


async def test_a_large_store_is_read_while_it_is_checked(path: Path, gate: Gate) -> None:
    await unclean(path)
    before = contents(path.parent)
    async with open_store(path, background_bytes=0) as store, trio.open_nursery() as nursery:
        assert store.checking
        assert await store.read(sessions.count) == 400
        recorded = store.record(lambda db: sessions.insert(db, id="x", name="x", at_ms=1))
        nursery.start_soon(store.write, lambda db: sessions.insert(db, id="y", name="y", at_ms=1))
        await trio.testing.wait_all_tasks_blocked()
        assert await store.read(sessions.count) == 400
        assert contents(path.parent).items() >= before.items()  # nothing is written
        gate.open()
        await recorded.wait()
    assert path.with_name("store.db.lock").read_bytes() == b"clean\n"
    async with open_store(path) as store:
        assert not store.checking
        assert await store.read(sessions.count) == 402


async def test_damage_found_meanwhile_ends_the_store_and_leaves_the_file(path: Path, gate: Gate) -> None:
    await unclean(path)
    damage(path)
    before = contents(path.parent)
    with pytest.RaisesGroup(pytest.RaisesExc(StoreError, match="damaged"), flatten_subgroups=True):
        async with open_store(path, background_bytes=0) as store:
            store.record(lambda db: sessions.insert(db, id="x", name="x", at_ms=1))
            gate.open()
            await trio.sleep_forever()
    after = contents(path.parent)
    assert after.pop("store.db-wal", None) in (None, contents_of(b""))
    assert after == before
    assert path.with_name("store.db.lock").read_bytes() != b"clean\n"


def contents_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_an_end_while_it_is_checked_is_no_orderly_one(path: Path, gate: Gate) -> None:
    await unclean(path)
    before = contents(path.parent)
    async with open_store(path, background_bytes=0) as store:
        kept = store.record(lambda db: sessions.insert(db, id="x", name="x", at_ms=1))
    with suppress(Exception):
        await kept.wait()
    after = contents(path.parent)
    assert after.pop("store.db-wal", None) in (None, contents_of(b""))
    assert after == before
    gate.open()
    async with open_store(path, background_bytes=0) as store:
        assert store.checking  # again


async def test_a_small_store_is_checked_before_it_is_opened(path: Path) -> None:
    await unclean(path)
    async with open_store(path) as store:
        assert not store.checking


async def test_the_disk_is_asked_again_though_nothing_waits(small_disk: Path) -> None:
    async with open_store(small_disk / "store.db", retry_s=0.01) as store:
        ballast = fill(small_disk)
        with suppress(StoreFull):
            for number in range(1000):
                await add(store, number)
        assert store.trouble is not None
        ballast.unlink()
        with trio.fail_after(5):
            while store.trouble is not None:
                await trio.testing.wait_all_tasks_blocked(0.01)

"""Which files are opened, which are refused, and what is left of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import apsw
import pytest

from daemon.store import StoreError, messages, open_store, sessions
from daemon.store.files import APPLICATION_ID
from daemon.store.migrations import migrate, scripts

if TYPE_CHECKING:
    from pathlib import Path


def contents(directory: Path) -> dict[str, str]:
    """What lies in a directory, but for the lock and SQLite's shared memory."""
    return {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest()
        for each in directory.iterdir()
        if not each.name.endswith((".lock", "-shm"))
    }


async def refusal(path: Path) -> str:
    before = contents(path.parent)
    with pytest.raises(StoreError) as caught:
        async with open_store(path):
            pytest.fail("it was opened")
    assert contents(path.parent) == before
    assert str(path) in str(caught.value)
    return str(caught.value)


async def make(path: Path, *ids: str) -> None:
    async with open_store(path) as store:
        for each in ids:
            await store.write(partial(sessions.insert, id=each, name=each, at_ms=1))


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def damage(path: Path) -> None:
    """Write over the file's second half: rows, not the schema."""
    pages = bytearray(path.read_bytes())
    for start in range(len(pages) // 8192 * 4096, len(pages), 4096):
        pages[start : start + 512] = os.urandom(512)
    path.write_bytes(pages)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
async def test_files_are_the_owners_alone(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with open_store(path) as store:
            await store.write(lambda db: sessions.insert(db, id="a", name="a", at_ms=1))
            modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
            assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)


async def test_only_what_it_needs_is_left(path: Path) -> None:
    await make(path, "a")
    assert sorted(each.name for each in path.parent.iterdir()) == ["store.db", "store.db.lock"]


async def test_a_second_daemon_is_refused(path: Path) -> None:
    async with open_store(path) as store:
        with pytest.raises(StoreError, match=rf"in use by process {os.getpid()}.*only one daemon"):
            async with open_store(path):
                pytest.fail("it was opened")
        await store.write(lambda db: sessions.insert(db, id="a", name="a", at_ms=1))


async def test_the_lock_ends_with_its_process(path: Path) -> None:
    code = "import pathlib, sys; from daemon.store.files import prepare; prepare(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)  # noqa: ASYNC221  a test may block
    await make(path, "a")


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await make(path, "a")
    db = apsw.Connection(str(path))
    db.pragma("user_version", len(scripts()) + 1)
    db.close()
    assert "newer version" in await refusal(path)


async def test_a_newer_schema_in_the_log_is_refused(path: Path) -> None:
    """The upgrade's daemon was killed: the header of the file itself does not know yet."""
    await make(path, "a")
    code = (
        "import apsw, os, sys; db = apsw.Connection(sys.argv[1]); db.pragma('user_version', 99); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)  # noqa: ASYNC221  a test may block
    assert "newer version" in await refusal(path)


@pytest.mark.parametrize("garbage", [b"\x00", b"not a database" * 100, b"SQLite format 3\x00", b"{}\n"])
async def test_garbage_is_refused(path: Path, garbage: bytes) -> None:
    put(path, garbage)
    assert "not a database" in await refusal(path)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("left", [50, 512, 4096, 5000, 8192, 0.5, 0.9, -4096, -1])
async def test_a_truncated_file_is_refused(path: Path, left: float, clean: bool) -> None:
    await make(path, *(f"s{number:04}" for number in range(400)))
    size = path.stat().st_size
    os.truncate(path, int(left * size if 0 < left < 1 else left % size))
    if not clean:
        put(path.with_name("store.db.lock"), b"in use by process 1\n")
    assert ("not a database" if left == 50 else "damaged") in await refusal(path)


@pytest.mark.parametrize("version", range(1, len(scripts())))
async def test_an_older_store_is_brought_to_this_version(path: Path, version: int) -> None:
    put(path, b"")
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("application_id", APPLICATION_ID)
    migrate(db, scripts()[:version])
    db.execute(
        """INSERT INTO sessions (id, name, desired, status, created_at, updated_at, sent)
           VALUES ('old', 'Old', 'running', 'connected', 1, 2, 3);
           INSERT INTO chats VALUES (1, 'old');
           INSERT INTO messages (session_id, id, chat, chat_id, direction, origin, type, text, status,
                                 at, created_at, updated_at)
           VALUES ('old', '3EB0', 1, '49@c.us', 'out', 'api', 'text', 'hello', 'sent', 1, 1, 2)"""
    )
    db.close()
    async with open_store(path) as store:
        row = await store.read(lambda db: sessions.get(db, "old"))
        assert (row.name, row.desired, row.sent) == ("Old", "running", 3)
        rows, _ = await store.read(lambda db: messages.list_(db, "old"))
        assert [each.text for each in rows] == ["hello"]
        await store.write(lambda db: sessions.insert(db, id="new", name="New", at_ms=1))
        assert await store.read(lambda db: db.pragma("user_version")) == len(scripts())


async def test_a_store_that_was_half_made_is_made_anew(path: Path) -> None:
    """Its daemon was killed at its very first start; what lies about of a file that is gone goes too."""
    put(path.with_name("store.db.new"), b"half a page")
    for name in ("store.db-wal", "store.db.new-journal"):
        put(path.with_name(name), b"of another file")
    await make(path, "a")
    assert sorted(each.name for each in path.parent.iterdir()) == ["store.db", "store.db.lock"]


async def test_another_programs_database_is_refused(path: Path) -> None:
    put(path, b"")
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE t (x); PRAGMA user_version = 7")
    db.close()
    assert "another program" in await refusal(path)


async def test_a_directory_in_its_place_is_refused(path: Path) -> None:
    put(path.with_name("other"), b"")
    path.mkdir()
    with pytest.raises(StoreError, match="not a regular file"):
        async with open_store(path):
            pytest.fail("it was opened")


async def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, b"")
    put(path.with_name("other"), b"")
    path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="cannot be opened"):
        async with open_store(path):
            pytest.fail("it was opened")
    assert elsewhere.stat().st_size == 0


async def test_damage_is_found_after_an_unclean_end(path: Path) -> None:
    await make(path, *(f"s{number:04}" for number in range(400)))
    damage(path)
    put(path.with_name("store.db.lock"), b"in use by process 1\n")
    assert "damaged" in await refusal(path)


async def test_damage_that_is_found_later_ends_the_store(path: Path) -> None:
    """What is queued then is not written any further, and the next start checks the file."""
    await make(path, *(f"s{number:04}" for number in range(400)))
    damage(path)
    with pytest.raises(ExceptionGroup) as caught:
        async with open_store(path) as store:
            await store.record(sessions.list_).wait()
    assert caught.group_contains(StoreError, match="damaged")
    assert "damaged" in await refusal(path)


def test_migrations_are_all_or_nothing(path: Path) -> None:
    db = apsw.Connection(":memory:")
    steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nothing VALUES (1)"]
    with pytest.raises(apsw.SQLError):
        migrate(db, steps)
    assert db.pragma("user_version") == 1
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    assert migrate(db, [steps[0], "CREATE TABLE b (x)"]) == 1
    assert db.pragma("user_version") == 2
    assert migrate(db, [steps[0], "CREATE TABLE b (x)"]) == 0
    db.close()


async def test_the_file_says_what_it_is(path: Path) -> None:
    await make(path, "a")
    db = apsw.Connection(str(path))
    assert db.pragma("application_id") == APPLICATION_ID
    assert db.pragma("user_version") == len(scripts())
    assert db.pragma("integrity_check") == "ok"
    db.close()

"""One writer: order, isolation, cancellation, a full disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from daemon.store import StoreClosed, StoreError, StoreFull, open_store
from tests.tmpfs import mounted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from daemon.store import Store


@pytest.fixture
async def notes(store: Store) -> Store:
    return await with_notes(store)


async def with_notes(store: Store) -> Store:
    await store.write(
        lambda db: db.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, x)").fetchall()
    )
    return store


def note(x: object) -> Callable[[apsw.Connection], int]:
    def job(db: apsw.Connection) -> int:
        db.execute("INSERT INTO notes (x) VALUES (?)", (x,))
        return db.last_insert_rowid()

    return job


async def read_notes(store: Store) -> list[Any]:
    return await store.read(lambda db: [x for (x,) in db.execute("SELECT x FROM notes ORDER BY id")])


async def test_a_write_returns_what_its_job_returned(notes: Store) -> None:
    assert await notes.write(note("a")) == 1
    assert await notes.write(lambda _: {"any": "thing"}) == {"any": "thing"}
    assert await read_notes(notes) == ["a"]


async def test_a_failing_job_fails_alone(notes: Store) -> None:
    def bad(db: apsw.Connection) -> None:
        note("undone")(db)
        raise KeyError("mine")

    first, failing, sql, last = (
        notes.record(note("a")),
        notes.record(bad),
        notes.record(lambda db: db.execute("SELECT * FROM nothing").fetchall()),
        notes.record(note("b")),
    )
    with capture_logs() as logs:
        await last.wait()
    assert first.done
    with pytest.raises(KeyError, match="mine"):
        await failing.wait()
    with pytest.raises(apsw.SQLError, match="nothing"):
        await sql.wait()
    with pytest.raises(KeyError):
        await notes.write(bad)
    assert await read_notes(notes) == ["a", "b"]
    assert [each["event"] for each in logs] == ["record_failed"] * 2


async def test_order_is_kept_across_both_ways_in(notes: Store) -> None:
    async def write(x: int, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await notes.write(note(x))

    async with trio.open_nursery() as nursery:
        for x in range(0, 3000, 2):
            await nursery.start(write, x)
            last = notes.record(note(x + 1))
    await last.wait()  # the writes before it may be committed without it
    found = await read_notes(notes)
    assert sorted(found) == list(range(3000))
    assert [x for x in found if x % 2] == list(range(1, 3000, 2))
    assert [x for x in found if not x % 2] == list(range(0, 3000, 2))


async def test_jobs_that_have_gathered_share_a_commit(notes: Store) -> None:
    commits = 0

    def count() -> bool:
        nonlocal commits
        commits += 1
        return False

    await notes.write(lambda db: db.set_commit_hook(count, id="test"))
    pending = [notes.record(note(x)) for x in range(500)]
    for each in pending:
        await each.wait()
    assert commits <= 3
    await notes.write(lambda db: db.set_commit_hook(None, id="test"))


async def test_too_many_writes_wait(path: Path) -> None:
    async with open_store(path, write_limit=3) as store:
        await with_notes(store)
        async with trio.open_nursery() as nursery:
            for x in range(50):
                nursery.start_soon(store.write, note(x))
            await trio.lowlevel.checkpoint()
            assert store.waiting <= 3
        assert sorted(await read_notes(store)) == list(range(50))


async def test_a_cancelled_write_that_was_not_taken_up_is_dropped(notes: Store) -> None:
    entered, leave = trio.Event(), trio.Event()

    def slow(db: apsw.Connection) -> None:
        trio.from_thread.run_sync(entered.set)
        trio.from_thread.run(leave.wait)
        note("slow")(db)

    async def cancelled(scope: trio.CancelScope) -> None:
        with scope:
            await notes.write(note("dropped"))
        assert scope.cancelled_caught

    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notes.write, slow)
        await entered.wait()
        nursery.start_soon(cancelled, scope)
        await wait_all_tasks_blocked()
        nursery.start_soon(notes.write, note("kept"))
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        leave.set()
    assert await read_notes(notes) == ["slow", "kept"]


async def test_the_trio_thread_is_not_blocked(notes: Store) -> None:
    """A job that waits for the loop can only end if the loop goes on; so can a query."""

    def ask(_: apsw.Connection) -> str:
        return trio.from_thread.run(answer)

    async def answer() -> str:
        await trio.lowlevel.checkpoint()
        return "here"

    with trio.fail_after(5):
        assert await notes.write(ask) == "here"
        assert await notes.read(ask) == "here"


async def test_readers_see_one_state(notes: Store) -> None:
    """What is committed during a query is not seen by it, and does not wait for it."""
    await notes.write(note("a"))

    def twice(db: apsw.Connection) -> tuple[int, int]:
        first = db.execute("SELECT count(*) FROM notes").get
        trio.from_thread.run(notes.write, note("b"))
        return first, db.execute("SELECT count(*) FROM notes").get

    with trio.fail_after(5):
        assert await notes.read(twice) == (1, 1)
    assert await read_notes(notes) == ["a", "b"]


async def test_readers_cannot_write(notes: Store) -> None:
    with pytest.raises(StoreError, match="readonly"):
        await notes.read(note("a"))


async def test_what_is_queued_at_the_end_is_committed(path: Path) -> None:
    async with open_store(path) as store:
        await with_notes(store)
        for x in range(2000):
            store.record(note(x))
    with pytest.raises(StoreClosed):
        store.record(note("late"))
    with pytest.raises(StoreClosed):
        await store.write(note("late"))
    with pytest.raises(StoreClosed):
        await store.read(lambda _: None)
    async with open_store(path) as store:
        assert await read_notes(store) == list(range(2000))


async def test_what_is_queued_when_cancelled_is_committed(path: Path) -> None:
    with trio.CancelScope() as scope:
        async with open_store(path) as store:
            await with_notes(store)
            for x in range(2000):
                store.record(note(x))
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    async with open_store(path) as store:
        assert await read_notes(store) == list(range(2000))


async def test_no_room_refuses_writes_and_keeps_records(notes: Store) -> None:
    """Simulated by a page limit: SQLite refuses what does not fit as it does on a full disk."""
    big = "x" * 100_000
    limit = await notes.write(lambda db: db.pragma("max_page_count", db.pragma("page_count") + 4))
    assert limit
    with capture_logs() as logs:
        with pytest.raises(StoreFull) as caught:
            await notes.write(note(big))
        assert caught.value.code == "STORE_FULL"
        assert "full" in str(notes.trouble)
        kept = [notes.record(note(f"{x}{big}")) for x in range(3)]
        with pytest.raises(StoreFull):
            await notes.write(note("behind"))
        assert not any(each.done for each in kept)
        kept.append(notes.record(note("3")))

        notes_db = notes._writer.db  # room comes from outside
        await trio.to_thread.run_sync(lambda: notes_db.pragma("max_page_count", 1_000_000))
        with trio.fail_after(5):
            for each in kept:
                await each.wait()
        await notes.write(note("after"))
    assert [x[0] for x in await read_notes(notes)] == ["0", "1", "2", "3", "a"]
    assert notes.trouble is None
    assert [each["event"] for each in logs] == ["store_full", "store_writable_again"]


async def test_a_write_behind_many_records_is_refused_at_once(path: Path) -> None:
    """More records wait than one batch takes: the write behind them must not wait for room as they do."""
    async with open_store(path, close_s=0.05) as store:
        await with_notes(store)
        await store.write(lambda db: db.pragma("max_page_count", db.pragma("page_count")))
        for _ in range(600):
            store.record(note("x" * 10_000))
        with trio.fail_after(5), pytest.raises(StoreFull):
            await store.write(note("behind"))
        assert store.waiting == 600


async def test_one_job_that_does_not_fit_fails_alone(notes: Store) -> None:
    await notes.write(lambda db: db.pragma("max_page_count", db.pragma("page_count") + 4))
    results: dict[str, Any] = {}

    async def write(name: str, text: str) -> None:
        try:
            results[name] = await notes.write(note(text))
        except StoreFull as error:
            results[name] = error.code

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, f"small{number}", "x")
        nursery.start_soon(write, "big", "x" * 100_000)
    assert results.pop("big") == "STORE_FULL"
    assert sorted(results.values()) == list(range(1, 21))


async def test_records_that_find_no_room_until_the_end_are_counted(path: Path) -> None:
    with capture_logs() as logs:
        async with open_store(path, retry_s=0.01, close_s=0.05) as store:
            await with_notes(store)
            await store.write(lambda db: db.pragma("max_page_count", db.pragma("page_count")))
            lost = [store.record(note("x" * 100_000)) for _ in range(3)]
    assert [(each["event"], each["count"]) for each in logs if "count" in each] == [("records_lost", 3)]
    with pytest.raises(StoreClosed):
        await lost[0].wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "1m") as directory:
        yield directory


@pytest.fixture
async def on_small_disk(small_disk: Path) -> AsyncIterator[Store]:
    async with open_store(small_disk / "store.db", retry_s=0.01) as store:
        yield await with_notes(store)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while file.write(b"\x00" * size):
                    pass
    return ballast


async def test_a_disk_that_is_really_full(on_small_disk: Store, small_disk: Path) -> None:
    accepted = [await on_small_disk.write(note("before"))]
    ballast = fill(small_disk)
    with suppress(StoreFull):
        while True:
            accepted.append(await on_small_disk.write(note("x" * 5000)))
    kept = [on_small_disk.record(note(f"kept{number}{'x' * 5000}")) for number in range(3)]
    with pytest.raises(StoreFull):
        await on_small_disk.write(note("behind"))
    assert len(await read_notes(on_small_disk)) == len(accepted)

    ballast.unlink()
    with trio.fail_after(5):
        for each in kept:
            await each.wait()
    await on_small_disk.write(note("after"))
    found = await read_notes(on_small_disk)
    assert len(found) == len(accepted) + 4
    assert [x[:5] for x in found[-4:]] == ["kept0", "kept1", "kept2", "after"]


async def test_a_full_disk_stays_so_for_those_who_change_nothing(
    on_small_disk: Store, small_disk: Path
) -> None:
    fill(small_disk)

    def one_page(db: apsw.Connection) -> None:
        db.pragma("user_version", db.pragma("user_version") + 1)

    with suppress(StoreFull):
        while True:
            await on_small_disk.write(one_page)
    with capture_logs() as logs, pytest.raises(StoreFull):
        await on_small_disk.write(lambda _: None)
    assert on_small_disk.trouble is not None
    assert logs == []


async def test_a_job_is_tried_again_but_committed_once(notes: Store) -> None:
    runs = 0

    def job(db: apsw.Connection) -> None:
        nonlocal runs
        runs += 1
        note("once")(db)

    await notes.write(lambda db: db.pragma("max_page_count", db.pragma("page_count")))
    pending = notes.record(job)
    full = notes.record(note("x" * 100_000))
    with pytest.raises(StoreFull):
        await notes.write(note("behind"))
    db = notes._writer.db
    await trio.to_thread.run_sync(lambda: db.pragma("max_page_count", 1_000_000))
    await full.wait()
    await pending.wait()
    assert runs == 2
    assert [x for x in await read_notes(notes) if x == "once"] == ["once"]

"""The store: opening, writing, reading, closing.

Everything that must survive goes through here; the tables' own modules (`sessions`, `messages`, `outbox`,
`events`) are functions of a connection that jobs and queries call.
"""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import apsw
import structlog
import trio

from .copies import copy_store
from .errors import StoreError, StoreFull
from .files import NO_SEALS, FileLock, check_pages, connect_reader, connect_writer, keep_as_it_is, prepare
from .log import RING_EVENTS, Committed, EventLog
from .readers import Readers
from .writer import Pending, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from daemon.seals import Seals

__all__ = ["CHECK_IN_BACKGROUND_BYTES", "Store", "open_store"]

CHECK_IN_BACKGROUND_BYTES = 64 * 2**20
"""From this size on a store answers while its pages are checked: it takes seconds, on a slow disk minutes."""

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Store:
    """An open store. `log` is its event log."""

    def __init__(self, path: Path, writer: Writer[Committed], readers: Readers, events: EventLog) -> None:
        self.path = path
        self.log = events
        self._writer = writer
        self._readers = readers

    @property
    def trouble(self) -> str | None:
        """Why records wait in memory, None while the disk takes them."""
        return self._writer.trouble

    @property
    def checking(self) -> bool:
        """Whether the pages are being read after an end that was not orderly: writes wait for that."""
        return self._writer.held

    @property
    def waiting(self) -> int:
        """How many jobs wait for the writer."""
        return self._writer.waiting

    @property
    def at_work(self) -> bool:
        """Whether others wait because something large is being written, or every reader reads."""
        return self._writer.at_work or self._readers.all_at_work

    async def write(self, job: Callable[[apsw.Connection], T]) -> T:
        """Commit what `job` does (SQL, in a thread; it may run more than once), then return what it returned.

        Raises what the job raises (it is undone alone), `StoreFull` when there is no room on the disk and
        `StoreError` when it cannot be written at all: nothing has been accepted then. Waits while too many
        writes are queued. Cancelled: what has not been taken up by the writer yet is dropped, what has may
        still be committed.
        """
        return await self._writer.write(job)

    def record(
        self, job: Callable[[apsw.Connection], T], then: Callable[[], None] | None = None
    ) -> Pending[T]:
        """Queue a job that reports what has happened already, in order with every other job; never refused.

        While the disk is full it is kept in memory, with all that were recorded after it, and tried again
        until there is room. A job that raises is undone alone and logged; `Pending.wait` raises that too.
        `then` is called when the job is done, either way. Raises `StoreClosed` when the store is being
        closed.
        """
        return self._writer.record(job, then)

    async def read(self, query: Callable[[apsw.Connection], T]) -> T:
        """Return what `query` reads, in a snapshot of what is committed, in a thread; a few run at once.

        Cancelled, it waits for the query to end. Raises what the query raises, `StoreError` for a file that
        cannot be read.
        """
        return await self._readers.read(query)

    def sizes(self) -> tuple[int, int]:
        """Return the bytes that the store takes, and those that are free on its disk. Asks the disk."""
        parts = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(part.stat().st_size for part in parts if part.exists())
        return size, shutil.disk_usage(self.path.parent).free

    async def copy(self, target: Path) -> int:
        """Write a copy of one moment to a new file, while the store is in use; see `copy_store`."""
        return await trio.to_thread.run_sync(copy_store, self.path, target)

    async def write_anew(self) -> None:
        """Write the whole file anew: nothing that was overwritten or deleted is left in it, nor in its log.

        Takes as much room again as the store, and in the temporary directory too; without that on its disk
        it is not begun, for it would fill the disk before it failed. Writes wait meanwhile, reads do not.
        Cancelled, the file is as it was. Raises `StoreFull`, `StoreError`.
        """
        size, free = await trio.to_thread.run_sync(self.sizes)
        if free < 2 * size:
            raise StoreFull
        await self._writer.alone(partial(_write_anew, path=self.path))


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    readers: int = 4,
    write_limit: int = 10_000,
    retry_s: float = 1.0,
    close_s: float = 5.0,
    ring_events: int = RING_EVENTS,
    background_bytes: int = CHECK_IN_BACKGROUND_BYTES,
    seals: Seals = NO_SEALS,
) -> AsyncIterator[Store]:
    """Open the store at `path` (made if missing: file 0600, directories 0700) for as long as the block lasts.

    Raises `StoreError` for a file that is refused: in use, damaged, newer than this daemon, no store at
    all, encrypted with a key that is not among `seals` (`KeyMissing`); it is left as it is. A file found to
    be damaged later raises it from the block, which is cancelled.
    At the end, or when cancelled, what is queued is committed first, for at most `close_s` seconds.
    A file from `background_bytes` on that was not closed in order is checked while it is read from; writes
    wait until it has passed, and damage that is found raises as above, before anything was written.
    `retry_s` is how often a full disk is tried again. What the block raises comes out in an exception group
    (a nursery).
    """
    lock, db = await trio.to_thread.run_sync(_open, path, background_bytes, seals)
    pool = Readers(path, readers, seals)
    events = EventLog(pool.read, ring_events)
    writer = Writer(
        str(path), db, events.collect, events.publish, write_limit, retry_s=retry_s, close_s=close_s
    )
    writer.held = lock.unchecked
    checking = trio.CancelScope()

    async def check() -> None:
        with checking:
            try:
                await trio.to_thread.run_sync(check_pages, path, _is_wanted)
            except StoreError:
                writer.damaged = True
                raise
            if not checking.cancel_called:
                await trio.to_thread.run_sync(keep_as_it_is, db, False)
                writer.release()

    try:
        await trio.to_thread.run_sync(events.begin, db)
        log.info("store_opened", path=str(path), oldest=events.oldest, latest=events.latest)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            if writer.held:
                nursery.start_soon(check)
            try:
                yield Store(path, writer, pool, events)
            finally:
                checking.cancel()
                writer.stop()
    finally:
        events.close()
        with trio.move_on_after(close_s, shield=True):
            clean = not writer.damaged and not writer.held
            await trio.to_thread.run_sync(_close, pool, db, lock, clean)
        log.info("store_closed", path=str(path))


def _is_wanted() -> bool:
    """Whether the task that waits for this thread still does."""
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return False
    return True


def _open(path: Path, background_bytes: int, seals: Seals) -> tuple[FileLock, apsw.Connection]:
    lock = prepare(path, background_bytes, seals)
    try:
        db = connect_writer(path, seals)
        keep_as_it_is(db, lock.unchecked)
    except BaseException:
        lock.release(clean=False)
        raise
    return lock, db


def _write_anew(db: apsw.Connection, path: Path) -> None:
    db.pragma("temp_store", "FILE")  # the copy is as large as the store
    db.set_progress_handler(lambda: not _is_wanted(), 100_000)
    try:
        db.execute("VACUUM")
    except apsw.InterruptError:
        trio.from_thread.check_cancelled()
    finally:
        db.set_progress_handler(None)
        db.pragma("temp_store", "MEMORY")
    _empty_log(path)  # before anybody writes: it would wait for this, and this for it


def _empty_log(path: Path) -> None:
    """Copy the log into the file and cut it off. Raises `StoreError` where somebody reads for too long."""
    db = connect_reader(path)
    try:
        db.pragma("user_version")  # before it has read, a connection knows of no log
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.Error as error:
        raise StoreError(f"{path}: the write-ahead log cannot be emptied: {error}") from error
    finally:
        db.close()


def _close(pool: Readers, db: apsw.Connection, lock: FileLock, clean: bool) -> None:
    closed = False
    try:
        pool.close()
        db.close()
        closed = True
    finally:
        lock.release(clean=clean and closed)

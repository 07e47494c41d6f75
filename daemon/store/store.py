"""The store: opening, writing, reading, closing.

Everything that must survive goes through here; the tables' own modules (`sessions`, `messages`, `outbox`,
`events`) are functions of a connection that jobs and queries call.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog
import trio

from .files import FileLock, connect_writer, prepare
from .log import RING_EVENTS, Committed, EventLog
from .readers import Readers
from .writer import Pending, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import apsw

__all__ = ["Store", "open_store"]

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
    def waiting(self) -> int:
        """How many jobs wait for the writer."""
        return self._writer.waiting

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


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    readers: int = 4,
    write_limit: int = 10_000,
    retry_s: float = 1.0,
    close_s: float = 5.0,
    ring_events: int = RING_EVENTS,
) -> AsyncIterator[Store]:
    """Open the store at `path` (made if missing: file 0600, directories 0700) for as long as the block lasts.

    Raises `StoreError` for a file that is refused: in use, damaged, newer than this daemon, no store at
    all; it is left as it is. A file found to be damaged later raises it from the block, which is cancelled.
    At the end, or when cancelled, what is queued is committed first, for at most `close_s` seconds.
    `retry_s` is how often a full disk is tried again. What the block raises comes out in an exception group
    (a nursery).
    """
    lock, db = await trio.to_thread.run_sync(_open, path)
    pool = Readers(path, readers)
    events = EventLog(pool.read, ring_events)
    writer = Writer(
        str(path), db, events.collect, events.publish, write_limit, retry_s=retry_s, close_s=close_s
    )
    try:
        await trio.to_thread.run_sync(events.begin, db)
        log.info("store_opened", path=str(path), oldest=events.oldest, latest=events.latest)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            try:
                yield Store(path, writer, pool, events)
            finally:
                writer.stop()
    finally:
        events.close()
        with trio.move_on_after(close_s, shield=True):
            await trio.to_thread.run_sync(_close, pool, db, lock, not writer.damaged)
        log.info("store_closed", path=str(path))


def _open(path: Path) -> tuple[FileLock, apsw.Connection]:
    lock = prepare(path)
    try:
        return lock, connect_writer(path)
    except BaseException:
        lock.release(clean=False)
        raise


def _close(pool: Readers, db: apsw.Connection, lock: FileLock, clean: bool) -> None:
    closed = False
    try:
        pool.close()
        db.close()
        closed = True
    finally:
        lock.release(clean=clean and closed)

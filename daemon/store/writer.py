"""The one writer: jobs that have gathered become one transaction.

Owns the queue and its order. Must not know what a job does, nor what the tables are: what a batch leaves
behind is collected by a function that it is given, inside the same transaction, and published by another
once that is on the disk.

A job is a function of a connection: SQL and nothing else. Each runs in a savepoint, so that one that raises
is undone alone. A job may run more than once (what the disk refuses is tried again), and is committed once.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import apsw
import attrs
import outcome
import structlog
import trio

from supervisors.faults import reached

from .errors import DAMAGED, TROUBLE, StoreClosed, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pending", "Writer"]

log = structlog.get_logger(__name__)

T = TypeVar("T")
Found = TypeVar("Found")
Outcome: TypeAlias = "outcome.Value[Any] | outcome.Error"

_BATCH: Final = 512
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class _Refused(Exception):
    """The disk has refused a batch: nothing of it is committed."""

    def __init__(self, error: apsw.Error, *, full: bool) -> None:
        super().__init__(str(error))
        self.full = full


class Pending(Generic[T]):
    """A job on its way to the disk."""

    def __init__(
        self,
        job: Callable[[apsw.Connection], T],
        *,
        refusable: bool,
        then: Callable[[], None] | None = None,
    ) -> None:
        self.job: Final = job
        self.refusable: Final = refusable
        self._then = then
        self.abandoned = False
        self._done = trio.Event()
        self._value: T
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether the job has been committed, or has failed."""
        return self._done.is_set()

    @property
    def committed(self) -> T | None:
        """What the job has returned; None as long as it is not committed, and when it has failed."""
        return self._value if self._done.is_set() and self._error is None else None

    async def wait(self) -> T:
        """Wait for the commit; return what the job returned, or raise what it raised.

        Cancelling the wait changes nothing for the job.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def succeed(self, value: T) -> None:
        """Hand the result to whoever waits."""
        self._value = value
        self._done.set()
        if self._then is not None:
            self._then()

    def fail(self, error: BaseException) -> None:
        """Hand the failure to whoever waits."""
        self._error = error
        self._done.set()
        if self._then is not None:
            self._then()


@attrs.define(slots=True)
class Writer(Generic[Found]):
    """Takes jobs in the order of submission and commits them in batches, in a thread.

    `collect` runs in that thread at the end of each transaction; what it returns goes to `publish`, on the
    trio thread, after the commit and before the jobs' own waiters are told. At most `write_limit` refusable
    jobs are queued. While the disk refuses, another attempt is made every `retry_s` seconds, and for each
    new `write`. At the end, `close_s` seconds are given to what is queued. While it is `held` (set before
    `run`), all that is queued waits for `release`.
    """

    path: str
    db: apsw.Connection
    collect: Callable[[apsw.Connection], Found]
    publish: Callable[[Found], None]
    write_limit: int = 10_000
    retry_s: float = 1.0
    close_s: float = 5.0
    trouble: str | None = attrs.field(default=None, init=False)
    damaged: bool = attrs.field(default=False, init=False)
    held: bool = attrs.field(default=False, init=False)
    _released: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: bool = attrs.field(default=False, init=False)
    _queue: deque[Pending[Any]] = attrs.field(factory=deque, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _room: trio.Semaphore = attrs.field(init=False)
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    def __attrs_post_init__(self) -> None:
        self._room = trio.Semaphore(self.write_limit)

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return len(self._queue)

    @property
    def at_work(self) -> bool:
        """Whether SQLite is at work for it just now."""
        return self._limiter.borrowed_tokens > 0

    async def write(self, job: Callable[[apsw.Connection], T]) -> T:
        """See `Store.write`."""
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await self._room.acquire()
        if self._closing:
            self._room.release()
            raise StoreClosed
        pending = Pending(job, refusable=True)
        self._queue.append(pending)
        self._wake.set()
        try:
            return await pending.wait()
        except trio.Cancelled:
            pending.abandoned = True
            raise

    def record(
        self, job: Callable[[apsw.Connection], T], then: Callable[[], None] | None = None
    ) -> Pending[T]:
        """See `Store.record`."""
        if self._closing:
            raise StoreClosed
        pending = Pending(job, refusable=False, then=then)
        self._queue.append(pending)
        if self.trouble is None or len(self._queue) == 1:
            self._wake.set()
        return pending

    async def alone(self, work: Callable[[apsw.Connection], None]) -> None:
        """Do what no transaction may hold, between two of them, once it may be written.

        Raises `StoreFull`, `StoreError` where the disk refuses it. Cancelled, it waits for `work` to end.
        """
        if self.held:
            await self._released.wait()
        if self._closing:
            raise StoreClosed
        try:
            await trio.to_thread.run_sync(work, self.db, limiter=self._limiter)
        except (*TROUBLE, *DAMAGED) as error:  # of damage, the next transaction finds out
            if isinstance(error, apsw.FullError):
                raise StoreFull from None
            raise StoreError(f"{self.path}: cannot be written: {error}") from error

    def release(self) -> None:
        """Begin to commit what was held back."""
        self.held = False
        self._released.set()

    def stop(self) -> None:
        """Take no more jobs, and end when those that are queued are committed."""
        self._closing = True
        self._wake.set()
        self._released.set()

    async def run(self) -> None:
        """Commit what gathers until `stop`.

        Raises `StoreError` when the file turns out to be damaged: it is not written any further. However this
        ends, cancelled included, what was queued before is committed first, where the disk lets it.
        """
        try:
            try:
                if self.held:
                    await self._released.wait()
                while not self._closing:
                    await self._gathered()
                    await self._commit_batch()
            finally:
                self._closing = True
                with trio.move_on_after(self.close_s, shield=True):
                    while self._queue and not self.damaged and not self.held:
                        await self._commit_batch()
                        if self.trouble is not None:
                            await trio.sleep(self.retry_s)
        finally:
            self._give_up()

    async def _gathered(self) -> None:
        """Wait for work; for what the disk has refused, wait until it is time to try again.

        Where nothing waits to be tried again, the disk is asked all the same.
        """
        if self._queue and self.trouble is None:
            return
        with trio.move_on_after(float("inf") if self.trouble is None else self.retry_s):
            await self._wake.wait()
        self._wake = trio.Event()
        if self.trouble is not None and not self._queue and not self._closing:
            self._room.acquire_nowait()
            self._queue.append(Pending(lambda _: None, refusable=True))

    async def _commit_batch(self) -> None:
        """Commit what has gathered. What is taken gets an outcome, or is put back."""
        await trio.lowlevel.checkpoint_if_cancelled()
        batch: deque[Pending[Any]] = deque()
        while self._queue and len(batch) < _BATCH:
            pending = self._queue.popleft()
            if pending.abandoned:
                self._room.release()
            else:
                batch.append(pending)
        if not batch:
            return
        try:
            with trio.CancelScope(shield=True):  # as long as SQLite takes: a thread cannot be interrupted
                try:
                    await self._commit(batch)
                except _Refused as refused:
                    if refused.full and len(batch) > 1:
                        await self._commit_each(batch)
                    else:
                        self._refuse(batch, refused)
        finally:
            self._queue.extendleft(reversed(batch))

    async def _commit_each(self, batch: deque[Pending[Any]]) -> None:
        """Find out who asks for too much: one job that does not fit must not fail those that would."""
        while batch:
            first = deque([batch[0]])
            try:
                await self._commit(first)
            except _Refused as refused:
                if not batch[0].refusable:
                    self._refuse(batch, refused)
                    return
                self._refuse(first, refused)
            batch.popleft()

    async def _commit(self, batch: deque[Pending[Any]]) -> None:
        """Commit these together, and take them out of `batch`. Raises `_Refused`; `StoreError` for damage."""
        try:
            outcomes, found = await trio.to_thread.run_sync(
                self._transact, list(batch), limiter=self._limiter
            )
        except DAMAGED as error:
            self.damaged = True
            raise StoreError(
                f"{self.path}: damaged: {error}. Stop the daemon and put a backup in its place."
            ) from error
        if self.trouble is not None:
            log.info("store_writable_again", waiting=len(self._queue))
            self.trouble = None
        self.publish(found)
        for result in outcomes:
            self._settle(batch.popleft(), result)

    def _transact(self, batch: list[Pending[Any]]) -> tuple[list[Outcome], Found]:
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            if self.trouble is not None:  # a batch that changes nothing would go through all the same
                db.pragma("user_version", db.pragma("user_version"))
            outcomes = [_attempt(db, pending.job) for pending in batch]
            found = self.collect(db)
            reached("store.committing")
            db.execute("COMMIT")
            reached("store.committed")
        except TROUBLE as error:
            full = isinstance(error, apsw.FullError) or (
                isinstance(error, apsw.IOError) and db.system_errno in _NO_ROOM
            )
            raise _Refused(error, full=full) from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        return outcomes, found

    def _settle(self, pending: Pending[Any], result: Outcome) -> None:
        if pending.refusable:
            self._room.release()
        if isinstance(result, outcome.Value):
            pending.succeed(result.value)
            return
        if not pending.refusable:
            log.error("record_failed", exc_info=result.error)
        pending.fail(result.error)

    def _refuse(self, batch: deque[Pending[Any]], refused: _Refused) -> None:
        """Refuse the writes of a batch, and leave its records in it, to be put back for the next attempt.

        Where there are records, every write behind them is refused too: it would overtake them.
        """
        if self.trouble is None:
            log.error("store_full" if refused.full else "store_not_writable", error=str(refused))
        self.trouble = str(refused)
        if not all(pending.refusable for pending in batch):
            batch.extend(self._queue)
            self._queue.clear()
        for pending in tuple(batch):
            if pending.refusable:
                self._settle(pending, outcome.Error(self._reason(refused)))
        kept = [pending for pending in batch if not pending.refusable]
        batch.clear()
        batch.extend(kept)

    def _reason(self, refused: _Refused) -> Exception:
        return StoreFull() if refused.full else StoreError(f"{self.path}: cannot be written: {refused}")

    def _give_up(self) -> None:
        lost = sum(not pending.refusable for pending in self._queue)
        if lost:
            log.error("records_lost", count=lost, reason=self.trouble or "damaged")
        while self._queue:
            pending = self._queue.popleft()
            if pending.refusable:
                self._room.release()
            pending.fail(StoreClosed())


def _attempt(db: apsw.Connection, job: Callable[[apsw.Connection], Any]) -> Outcome:
    """Run one job in a savepoint; its failure is its submitter's, unless the file or the disk is to blame."""
    db.execute("SAVEPOINT job")
    result: Outcome = outcome.capture(job, db)
    if isinstance(result, outcome.Error):
        if isinstance(result.error, (*TROUBLE, *DAMAGED)):
            raise result.error
        db.execute("ROLLBACK TO job")
    db.execute("RELEASE job")
    return result

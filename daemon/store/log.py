"""The event log as the daemon's tasks see it: what has just been committed, and subscriptions.

A subscription is a cursor. One that keeps up is given what is committed there and then; one that does not
takes what it wants at its own pace: from the recent events in memory, which all share, and from the table
where it lags behind those or begins before them. So nobody who is slow costs the writer or the others
anything; when a client is too slow is for its connection to decide.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import attrs
import trio

from protocol.errors import RpcError

from .errors import StoreClosed
from .events import Page, bounds, read_new, read_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from types import TracebackType

    import apsw

    from .records import Event

__all__ = ["Committed", "EventLog", "Subscription"]

_PAGE: Final = 500
RING_EVENTS: Final = 4096
_RING_BYTES: Final = 32 * 1024 * 1024

# As much of one commit is pushed at once, to as many: others have their turn before more.
_PUSHED_EVENTS: Final = 64
_PUSHED_BYTES: Final = 256 * 1024
_PUSHED_SUBSCRIPTIONS: Final = 256


@attrs.frozen
class Committed:
    """What a transaction has left in the log: its events where somebody listens, and the log's bounds."""

    events: tuple[Event, ...] | None
    oldest: int
    latest: int


class Ring:
    """The recent events: all that follow `start`, as many as fit."""

    def __init__(self, start: int, max_events: int = RING_EVENTS, max_bytes: int = _RING_BYTES) -> None:
        self.start = start
        self._max_events: Final = max_events
        self._max_bytes: Final = max_bytes
        self._events: list[Event] = []
        self._seqs: list[int] = []
        self._bytes = 0

    def reset(self, start: int) -> None:
        """Forget everything; what follows `start` is to come."""
        self.start = start
        self._events, self._seqs, self._bytes = [], [], 0

    def extend(self, events: tuple[Event, ...]) -> None:
        """Add what was committed; the oldest make room, a quarter of all at once."""
        self._events.extend(events)
        self._seqs.extend(each.seq for each in events)
        self._bytes += sum(len(each.record.data) for each in events)
        cut = 0
        while self._bytes > self._max_bytes or len(self._events) - cut > self._max_events:
            chunk = self._events[cut : cut + max(1, self._max_events // 4)]
            self._bytes -= sum(len(each.record.data) for each in chunk)
            cut += len(chunk)
        if cut:
            self.start = self._seqs[cut - 1]
            del self._events[:cut], self._seqs[:cut]

    def after(self, cursor: int, limit: int) -> list[Event] | None:
        """Return the events that follow the cursor, None if some of them are no longer here."""
        if cursor < self.start:
            return None
        begin = bisect_right(self._seqs, cursor)
        return self._events[begin : begin + limit]


class EventLog:
    """The log: `latest` is the highest committed seq, `oldest` the lowest that has not expired.

    `read` is the store's: it runs a query in a thread. `ring_events` is how many recent events are kept in
    memory.
    """

    def __init__(
        self,
        read: Callable[[Callable[[apsw.Connection], Page]], Awaitable[Page]],
        ring_events: int = RING_EVENTS,
    ) -> None:
        self._read = read
        self._ring = Ring(0, ring_events)
        self._open: WeakSet[Subscription] = WeakSet()  # one may never come to be used, and so never be closed
        self._waiting: set[Subscription] = set()
        self._closed = False
        self.oldest = 1
        self.latest = 0

    def begin(self, db: apsw.Connection) -> None:
        """Take the bounds from the table, before anything else."""
        self.oldest, self.latest = bounds(db)
        self._ring.reset(self.latest)

    def collect(self, db: apsw.Connection) -> Committed:
        """Return what the transaction that is about to be committed appends. In the writer's thread."""
        return Committed(read_new(db, self.latest) if self._open else None, *bounds(db))

    def publish(self, found: Committed) -> None:
        """Make what has been committed known, and wake those who wait for it."""
        self.oldest = found.oldest
        if found.latest == self.latest:
            return
        self.latest = found.latest
        if found.events is None:
            self._ring.reset(found.latest)
        else:
            self._ring.extend(found.events)
        waiting = tuple(self._waiting)
        # There may be none: if the clock jumps, what is appended can expire in the same transaction.
        if (
            not found.events
            or len(found.events) > _PUSHED_EVENTS
            or sum(len(each.record.data) for each in found.events) > _PUSHED_BYTES
        ):
            for each in waiting:
                each.wake()
            return
        for place, each in enumerate(waiting):
            each.notice(found.events, may_push=place < _PUSHED_SUBSCRIPTIONS)

    async def list(
        self,
        after: int = 0,
        limit: int = 100,
        types: Collection[str] | None = None,
        sessions: Collection[str | None] | None = None,
    ) -> Page:
        """Return up to `limit` events that follow `after` (0: the log's start).

        Raises CURSOR_EXPIRED when retention has deleted what followed the cursor.
        """
        return await self._read(lambda db: read_page(db, after, limit, types, sessions))

    def subscribe(
        self,
        after: int | None = None,
        types: Collection[str] | None = None,
        sessions: Collection[str] | None = None,
    ) -> Subscription:
        """Return a subscription to what follows `after` (0: the log's start; None: from now on).

        Events of other types and sessions than those named are left out. Raises CURSOR_EXPIRED when
        retention has deleted what followed the cursor, INVALID_PARAMS for one that the log has not reached
        yet: it comes from another store, or from before a backup was restored. To be used as a context
        manager.
        """
        if self._closed:
            raise StoreClosed
        cursor = self.latest if after is None else after
        if 0 < cursor < self.oldest - 1:
            raise RpcError("CURSOR_EXPIRED", oldest=self.oldest)
        if cursor > self.latest:
            raise RpcError("INVALID_PARAMS", "The cursor lies ahead of the event log", latest=self.latest)
        subscription = Subscription(
            self,
            cursor,
            None if types is None else frozenset(types),
            None if sessions is None else frozenset(sessions),
        )
        self._open.add(subscription)
        return subscription

    @property
    def readers(self) -> int:
        """How many subscriptions there are."""
        return len(self._open)

    @property
    def lag(self) -> int:
        """How many events the slowest subscription has still to take."""
        return max((self.latest - each.cursor for each in set(self._open) - self._waiting), default=0)

    def close(self) -> None:
        """End every subscription: what it has not taken yet stays in the log."""
        self._closed = True
        for each in tuple(self._open):
            each.close()

    def recent(self, cursor: int) -> Sequence[Event] | None:
        """Return a page of what follows the cursor, if it is in memory."""
        return self._ring.after(cursor, _PAGE)

    def park(self, subscription: Subscription, *, waits: bool) -> None:
        """Note whether a subscription has to be told of the next commit."""
        (self._waiting.add if waits else self._waiting.discard)(subscription)

    def forget(self, subscription: Subscription) -> None:
        """A subscription has been closed."""
        self._open.discard(subscription)


class Subscription:
    """A cursor on the log; iterating gives lists of events, each event exactly once and in order.

    `cursor` is the seq up to which everything has been handed over: a later subscription goes on from there.
    Cancelling the iteration loses nothing: it can be taken up again. One task iterates at a time. Iteration
    raises CURSOR_EXPIRED when retention has overtaken the cursor, and ends when the subscription is closed.

    `push`, where it is set, is given what is committed while the iteration waits for more, in the moment of
    the commit; what it returns True for is taken, and not iterated over. It must not wait.
    """

    def __init__(
        self, log: EventLog, cursor: int, types: frozenset[str] | None, sessions: frozenset[str] | None
    ) -> None:
        self.cursor = cursor
        self._log = log
        self._types = types
        self._sessions = sessions
        self._news = trio.Event()
        self._closed = False
        self.push: Callable[[Sequence[Event]], bool] | None = None

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no more; an iteration under way ends."""
        self._closed = True
        self._log.forget(self)
        self._news.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> list[Event]:
        await trio.lowlevel.checkpoint()
        while not self._closed:
            events = self.take()
            if events is None:
                page = await self._log.list(self.cursor, _PAGE, self._types, self._sessions)
                self.cursor = page.upto
                events = [*page.events]
            if events:
                return events
            # A page may hold what was committed a moment ago and is yet to be published: then it lies ahead.
            if self.cursor >= self._log.latest:
                await self._wait()
        raise StopAsyncIteration

    def take(self) -> list[Event] | None:
        """Return what there is without waiting: an empty list; None where the table has to be read."""
        while self.cursor < self._log.latest:
            events = self._log.recent(self.cursor)
            if events is None:
                return None
            self.cursor = events[-1].seq if events else self._log.latest
            wanted = [each for each in events if self._wants(each)]
            if wanted:
                return wanted
        return []

    def notice(self, events: Sequence[Event], *, may_push: bool) -> None:
        """These were committed while nothing was left to take: push them, or have the iteration go on."""
        if self._news.is_set():
            return
        wanted = self._new_of(events)
        if wanted and not (may_push and self.push is not None and self.push(wanted)):
            self._news.set()
        else:
            self.cursor = max(self.cursor, events[-1].seq)

    def wake(self) -> None:
        """Have the iteration go on."""
        self._news.set()

    def _new_of(self, events: Sequence[Event]) -> Sequence[Event]:
        if self._types is None and self._sessions is None and self.cursor < events[0].seq:
            return events
        return [each for each in events if each.seq > self.cursor and self._wants(each)]

    async def _wait(self) -> None:
        self._news = trio.Event()
        self._log.park(self, waits=True)
        try:
            await self._news.wait()
        finally:
            self._log.park(self, waits=False)

    def _wants(self, each: Event) -> bool:
        record = each.record
        return (self._types is None or record.type in self._types) and (
            self._sessions is None or record.session_id in self._sessions
        )

"""One webhook: its cursor goes along the log, and every session is a lane of its own.

A lane exists while its session has events that are not settled. It takes them in order, one request at a
time, and tries the first again until it is taken or given up; what waits behind it waits in the log, not in
memory. So a session whose events are refused holds up no other. Where everything stands is written after
each outcome, what gathers in one transaction: a crash repeats requests, and loses none.
"""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import structlog
import trio

from daemon.store import StoreClosed, StoreError
from daemon.store.webhooks import Given, LaneRow, State, save
from protocol.errors import RpcError
from protocol.times import parse
from supervisors.faults import reached

from . import schedule
from .sender import GONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import apsw

    from daemon.store import Event, EventLog, Pending, Subscription
    from daemon.store.webhooks import Hook

    from .sender import Attempt

__all__ = ["Delivery", "Keeper", "message_id"]

_log = structlog.get_logger(__name__)

_PAGE: Final = 64
_SAVE_IDLE_S: Final = 60.0
_STORE_PAUSE_S: Final = 5.0


class Keeper(Protocol):
    """What a delivery needs of the store."""

    @property
    def log(self) -> EventLog: ...

    def record(self, job: Callable[[apsw.Connection], None]) -> Pending[None]: ...


def message_id(seq: int, at_ms: int) -> str:
    """Return the `webhook-id` of an event: the same at every attempt, and in no other log."""
    return f"evt_{seq}_{at_ms}"


@attrs.define(eq=False)
class _Lane:
    """A session with something to deliver: what follows `cursor`, up to `upto`; `fresh` is in memory."""

    session: str | None
    cursor: int
    upto: int
    attempts: int = 0
    failing_since: int | None = None
    next_at: int = 0
    error: str | None = None
    fresh: deque[Event] = attrs.Factory(deque)
    behind: bool = False

    def row(self) -> LaneRow:
        return LaneRow(
            session=self.session,
            cursor=self.cursor,
            attempts=self.attempts,
            failing_since=self.failing_since,
            next_at=self.next_at,
            error=self.error,
        )


class Delivery:
    """Delivers a webhook's events, from `state` on.

    `post` makes one request. `now_ms` is the wall clock, `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        hook: Hook,
        state: State,
        *,
        store: Keeper,
        post: Callable[[str, bytes], Awaitable[Attempt]],
        retry_for_s: float,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self.hook: Final = hook
        self.post: Final = post
        self.disabled = state.disabled
        self._delivered_at = state.delivered_at
        self._store = store
        self._retry_for_s = retry_for_s
        self._now_ms = now_ms
        self._chance = chance
        self._position = state.cursor
        self._subscription: Subscription | None = None
        self._lanes = {
            row.session: _Lane(
                session=row.session,
                cursor=row.cursor,
                upto=state.cursor,
                attempts=row.attempts,
                failing_since=row.failing_since,
                next_at=row.next_at,
                error=row.error,
                behind=True,
            )
            for row in state.lanes
        }
        self._changed: set[str | None] = set(self._lanes)
        self._given_up: list[Given] = []
        self._news = trio.Event()
        self._news.set()

    @property
    def state(self) -> State:
        """Where it stands now."""
        return State(
            cursor=self._cursor,
            lanes=tuple(lane.row() for lane in self._lanes.values()),
            delivered_at=self._delivered_at,
            disabled=self.disabled,
        )

    async def run(self) -> None:
        """Deliver until cancelled, or until the receiver is gone for good; then the state is written."""
        try:
            if self.disabled is None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._keep)
                    for lane in [*self._lanes.values()]:
                        nursery.start_soon(self._work, lane, nursery)
                    await self._follow(nursery)
                    nursery.cancel_scope.cancel()  # the log has been closed
        finally:
            with contextlib.suppress(StoreClosed):
                self._store.record(self._save())

    @property
    def _cursor(self) -> int:
        return self._position if self._subscription is None else self._subscription.cursor

    async def _follow(self, nursery: trio.Nursery) -> None:
        """Hand what the log brings to the lanes."""
        types = self.hook.events or None
        sessions = None if self.hook.session_id is None else (self.hook.session_id,)
        while True:
            self._position = self._skip_expired(self._position, self.hook.session_id)
            try:
                with self._store.log.subscribe(self._position, types, sessions) as subscription:
                    self._subscription = subscription
                    try:
                        async for events in subscription:
                            for event in events:
                                self._hand(event, nursery)
                        return
                    finally:
                        self._position, self._subscription = subscription.cursor, None
            except RpcError as error:
                if error.code != "CURSOR_EXPIRED":
                    raise
            except StoreError as error:
                await self._complain(error)

    def _hand(self, event: Event, nursery: trio.Nursery) -> None:
        session = event.record.session_id
        lane = self._lanes.get(session)
        if lane is None:
            lane = self._lanes[session] = _Lane(session, event.seq - 1, event.seq)
            nursery.start_soon(self._work, lane, nursery)
        lane.upto = event.seq
        if lane.behind or len(lane.fresh) >= _PAGE:
            lane.behind = True
        else:
            lane.fresh.append(event)
        self._changed.add(session)

    async def _work(self, lane: _Lane, nursery: trio.Nursery) -> None:
        """Deliver what a lane has, in order; the lane ends with it."""
        while lane.cursor < lane.upto:
            await trio.sleep(self._wait_s(lane))
            event = await self._next(lane)
            if event is None:
                continue
            at_ms = parse(event.record.timestamp)
            reached("webhook.posting")
            attempt = await self.post(message_id(event.seq, at_ms), event.json)
            reached("webhook.posted")
            if attempt.delivered:
                self._succeeded(lane, event)
            elif attempt.status == GONE:
                self._gone(lane, attempt)
                nursery.cancel_scope.cancel()
            else:
                self._failed(lane, event, at_ms, attempt)
            self._changed.add(lane.session)
            self._news.set()
        del self._lanes[lane.session]
        self._changed.add(lane.session)
        self._news.set()

    def _wait_s(self, lane: _Lane) -> float:
        # A time that lies further ahead was not meant so: the clock was put back since.
        return min(max(0.0, (lane.next_at - self._now_ms()) / 1000), schedule.LONGEST_ASKED_S)

    async def _next(self, lane: _Lane) -> Event | None:
        """Return the lane's first event; None if there was nothing left where it looked."""
        if lane.fresh:
            return lane.fresh[0]
        upto = lane.upto
        lane.cursor = self._skip_expired(lane.cursor, lane.session)
        try:
            page = await self._store.log.list(lane.cursor, _PAGE, self.hook.events or None, (lane.session,))
        except RpcError as error:
            if error.code != "CURSOR_EXPIRED":
                raise
            return None
        except StoreError as error:
            await self._complain(error)
            return None
        lane.fresh.extend(event for event in page.events if event.seq <= upto)
        if not lane.fresh:
            lane.cursor = max(lane.cursor, upto)
        lane.behind = lane.upto > (lane.fresh[-1].seq if lane.fresh else lane.cursor)
        return lane.fresh[0] if lane.fresh else None

    def _succeeded(self, lane: _Lane, event: Event) -> None:
        if lane.attempts:
            _log.info("webhook_recovered", webhook=self.hook.id, session_id=lane.session, seq=event.seq)
        lane.fresh.popleft()
        lane.cursor = event.seq
        lane.attempts, lane.failing_since, lane.next_at, lane.error = 0, None, 0, None
        self._delivered_at = self._now_ms()

    def _gone(self, lane: _Lane, attempt: Attempt) -> None:
        self.disabled = "The receiver answered 410 Gone"
        lane.error = attempt.error
        _log.warning("webhook_disabled", webhook=self.hook.id, reason=attempt.reason)

    def _failed(self, lane: _Lane, event: Event, at_ms: int, attempt: Attempt) -> None:
        now_ms = self._now_ms()
        lane.attempts += 1
        lane.failing_since = now_ms if lane.failing_since is None else lane.failing_since
        lane.error = attempt.error
        context = {
            "webhook": self.hook.id,
            "session_id": lane.session,
            "seq": event.seq,
            "attempt": lane.attempts,
            "reason": attempt.reason,
        }
        if schedule.is_over(now_ms, at_ms, lane.failing_since, self._retry_for_s):
            _log.warning("webhook_event_given_up", **context)
            self._given_up.append(
                Given(
                    seq=event.seq,
                    upto=event.seq,
                    session_id=lane.session,
                    type=event.record.type,
                    at_ms=now_ms,
                    attempts=lane.attempts,
                    error=attempt.error or "",
                )
            )
            lane.cursor = event.seq
            lane.attempts = 0
            delay_s = schedule.AFTER_GIVING_UP_S
        else:
            lane.cursor = event.seq - 1  # whatever lay before is settled
            delay_s = schedule.delay_s(lane.attempts, self._chance(), attempt.retry_after_s)
            _log.warning("webhook_failed", delay_s=round(delay_s, 1), **context)
        lane.next_at = now_ms + int(delay_s * 1000)
        # Until then its events wait in the log.
        lane.fresh.clear()
        lane.behind = True

    def _skip_expired(self, cursor: int, session: str | None) -> int:
        """Return the cursor, or where the log begins if that is later: then what lay between is given up."""
        oldest = self._store.log.oldest
        if cursor >= oldest - 1:
            return cursor
        _log.warning("webhook_overtaken_by_retention", webhook=self.hook.id, session_id=session)
        self._given_up.append(
            Given(
                seq=cursor + 1,
                upto=oldest - 1,
                session_id=session,
                type=None,
                at_ms=self._now_ms(),
                attempts=0,
                error="The log was cut before these events had been delivered ([events] retain_days)",
            )
        )
        self._news.set()
        return oldest - 1

    async def _complain(self, error: StoreError) -> None:
        _log.error("webhook_log_not_read", webhook=self.hook.id, error=str(error))
        await trio.sleep(_STORE_PAUSE_S)

    async def _keep(self) -> None:
        """Write where it stands, whenever something has come of a request, and now and then."""
        while True:
            with trio.move_on_after(_SAVE_IDLE_S):
                await self._news.wait()
            self._news = trio.Event()
            reached("webhook.saving")
            await self._store.record(self._save()).wait()
            reached("webhook.saved")

    def _save(self) -> Callable[[apsw.Connection], None]:
        """Return the job that writes what has changed since the last one."""
        changed, self._changed = self._changed, set()
        given_up, self._given_up = self._given_up, []
        state = State(
            cursor=self._cursor,
            lanes=tuple(lane.row() for name, lane in self._lanes.items() if name in changed),
            delivered_at=self._delivered_at,
            disabled=self.disabled,
        )
        return partial(
            save,
            hook_id=self.hook.id,
            state=state,
            done=tuple(changed - self._lanes.keys()),
            given_up=tuple(given_up),
        )

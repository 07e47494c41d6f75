"""Events of a DevTools connection, and streams of them for one reader each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
import trio
from attrs import frozen

from supervisors.chrome.errors import ChromeError, ConnectionClosed, EventsOverflowed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = structlog.get_logger(__name__)

EVENTS_MAX = 4096

T = TypeVar("T")


@frozen
class Event:
    """Something that Chrome reported; `session_id` is None for the browser itself."""

    method: str
    params: dict[str, Any]
    session_id: str | None


class EventStream(Generic[T]):
    """What was picked of some events, in order: iterate over it, from one task.

    Iteration raises what ended the stream, after all that came before it: ConnectionClosed, TargetDetached,
    or EventsOverflowed when the reader was slower than Chrome. A crash of the target does not end it.
    """

    def __init__(
        self,
        pick: Callable[[Event], T | None],
        events_max: int,
        weigh: Callable[[T], int] | None = None,
        weight_max: int | None = None,
    ) -> None:
        self._pick = pick
        self._weigh = weigh or (lambda _event: 0)
        self._room = math.inf if weight_max is None else weight_max
        self._send, self._receive = trio.open_memory_channel[T](events_max)
        self._end: ChromeError | None = None
        self._put = self._given = self._done = 0
        self._turns = trio.lowlevel.ParkingLot()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        self._done = self._given
        self._turns.unpark_all()
        try:
            picked = await self._receive.receive()
        except trio.EndOfChannel:
            raise self._end or ConnectionClosed from None
        self._given += 1
        self._room += self._weigh(picked)
        return picked

    async def dealt_with(self) -> None:
        """Wait until the reader is done with what is here now: then it asks for the next. No deadline."""
        put = self._put
        while self._done < put:
            await self._turns.park()

    def put(self, event: Event) -> None:
        """Add what is picked of an event; what finds no room ends the stream: a gap would look whole."""
        picked = self._pick(event)
        if picked is None or self._end is not None:
            return
        fits = self._weigh(picked) <= self._room
        if fits:
            try:
                self._send.send_nowait(picked)
            except trio.WouldBlock:
                fits = False
        if not fits:
            log.warning("devtools_events_overflowed", method=event.method)
            self.finish(EventsOverflowed())
            return
        self._put += 1
        self._room -= self._weigh(picked)

    def finish(self, end: ChromeError) -> None:
        """Let no more events in; the reader gets `end` after those that wait."""
        self._end = self._end or end
        self._send.close()

    def close(self) -> None:
        """Drop everything."""
        self._send.close()
        self._receive.close()

"""The DevTools protocol over any transport: calls, replies, events, flat sessions.

Owns the one map of pending calls; whatever ends a connection, a session or a target fails at once what waits
on it. Must not know how the browser was started or what a page is for.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import structlog
import trio

from supervisors.chrome import messages
from supervisors.chrome.errors import (
    CallTimeout,
    ConnectionClosed,
    MessageTooLarge,
    TargetCrashed,
    TargetDetached,
)
from supervisors.chrome.events import EVENTS_MAX, Event, EventStream, T
from supervisors.chrome.messages import MESSAGE_MAX_BYTES, Incoming, Outgoing
from supervisors.chrome.pending import Failure, Pending
from supervisors.chrome.transports import TransportClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisors.chrome.transports import Transport

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 30.0
QUEUE_MAX = 64
"""Messages that may wait for a slow browser before callers wait too."""

ANSWERED_AFTER_A_CRASH = ("Page.navigate", "Page.reload", "Page.close", "Fetch.", "Target.", "Browser.")
"""Methods that the browser process answers though the target's renderer is dead."""


class Connection:
    """One DevTools connection. `run` must run, in a task of its own, for anything to be answered.

    Args:
        transport: carries the messages; `run` closes it.
        last_words: tells what the browser wrote last, for errors.
    """

    def __init__(self, transport: Transport, *, last_words: Callable[[], str] = str) -> None:
        self._transport = transport
        self._last_words = last_words
        self._next_id = 0
        self._pending: dict[int, Pending] = {}
        self._queue: collections.deque[bytes] = collections.deque()
        self._queued = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        self._callbacks: dict[tuple[str | None, str], list[Callable[[Event], None]]] = {}
        self._streams: dict[EventStream[Any], str | None] = {}
        self._targets: dict[str, str] = {}
        self._crashed: set[str] = set()
        self._closed: Failure | None = None
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._encoder = msgspec.json.Encoder()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed is not None

    async def ended(self) -> None:
        """Wait for the end of `run`; any number of tasks may."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """End `run`, which closes the transport; return when it has."""
        self._scope.cancel()
        await self._ended.wait()

    async def run(self) -> None:
        """Read and write until the other side is gone or this is cancelled; then fail all that waits."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    nursery.cancel_scope.cancel()
        finally:
            self._close()
            with trio.move_on_after(1, shield=True):
                await self._transport.aclose()
            self._ended.set()

    async def _read(self) -> None:
        while True:
            try:
                message = await self._transport.receive()
            except TransportClosed:
                return
            try:
                self._dispatch(messages.decode(message))
            except msgspec.MsgspecError as error:
                log.error("devtools_message_malformed", error=str(error), size_bytes=len(message))  # noqa: TRY400
                return

    async def _write(self) -> None:
        while True:
            while not self._queue:
                self._queued = trio.Event()
                await self._queued.wait()
            message = self._queue.popleft()
            self._room.unpark()
            try:
                await self._transport.send(message)
            except TransportClosed:
                return  # the reader still gets what Chrome said before it went, and then the end

    def _close(self) -> None:
        last_words = self._last_words()
        self._closed = lambda: ConnectionClosed(last_words)
        for pending in self._pending.values():
            pending.settle(self._closed)
        for stream in self._streams:
            stream.finish(self._closed())
        self._room.unpark_all()

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        session_id: str | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Call a DevTools method and return its result.

        Args:
            method: such as "Target.getTargets".
            params: its parameters.
            session_id: the target's session; None: the browser itself.
            timeout_s: seconds to wait, from now, the way to the browser included; `math.inf`: for ever.

        Raises:
            ConnectionClosed, TargetDetached, TargetCrashed: nobody is there to answer, or will be.
            ContextDestroyed: the page navigated while it worked on the call.
            DevToolsError: Chrome refused.
            CallTimeout: no answer in time.
            MessageTooLarge: it cannot be sent, being larger than 96 MiB.

        A cancelled or timed-out call may still be carried out; its answer is dropped.
        """
        (result,) = await self.call_all((method, params), session_id=session_id, timeout_s=timeout_s)
        return result

    async def call_all(
        self,
        *calls: tuple[str, dict[str, Any] | None],
        session_id: str | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """Call methods one after the other without waiting in between; return their results, in their order.

        Chrome begins them in this order. Whatever becomes of one, the later ones are called, too: it is for
        what is wanted all the same. Arguments and errors as for `call`; the first that failed is raised, a
        timeout of all of them as that of the first that was not answered.
        """
        waiting: dict[int, Pending] = {}
        with trio.move_on_after(timeout_s):
            try:
                for method, params in calls:
                    while len(self._queue) >= QUEUE_MAX and self._closed is None:
                        await self._room.park()
                    call_id = self._enqueue(method, params, session_id)
                    waiting[call_id] = self._pending[call_id] = Pending(method, session_id)
                for pending in waiting.values():
                    await pending.done.wait()
            finally:
                for call_id in waiting:
                    del self._pending[call_id]
            return [pending.result() for pending in waiting.values()]
        unanswered = [pending.method for pending in waiting.values() if not pending.done.is_set()]
        raise CallTimeout([*unanswered, calls[-1][0]][0], timeout_s)

    def post(
        self, method: str, params: dict[str, Any] | None = None, *, session_id: str | None = None
    ) -> None:
        """Call a method whose answer, good or bad, is of no interest; never waits, so event callbacks may."""
        with contextlib.suppress(ConnectionClosed, TargetCrashed):
            self._enqueue(method, params, session_id)

    def _enqueue(self, method: str, params: dict[str, Any] | None, session_id: str | None) -> int:
        if self._closed is not None:
            raise self._closed()
        if session_id in self._crashed and not method.startswith(ANSWERED_AFTER_A_CRASH):
            raise TargetCrashed
        self._next_id += 1
        message = self._encoder.encode(Outgoing(self._next_id, method, params or {}, session_id))
        if len(message) > MESSAGE_MAX_BYTES:
            raise MessageTooLarge(method, len(message))
        self._queue.append(message)
        self._queued.set()
        return self._next_id

    def subscribe(
        self, callback: Callable[[Event], None], *methods: str, session_id: str | None = None
    ) -> Callable[[], None]:
        """Have `callback` called, in the reading task, for each event of these methods; returns the undoing.

        The callback must be quick and must not raise: replies wait for it. It sees an event before any reply
        that Chrome sent later is handed out.
        """
        for method in methods:
            self._callbacks.setdefault((session_id, method), []).append(callback)

        def unsubscribe() -> None:
            for method in methods:
                with contextlib.suppress(KeyError, ValueError):
                    self._callbacks[session_id, method].remove(callback)

        return unsubscribe

    @contextlib.contextmanager
    def events(
        self,
        pick: Callable[[Event], T | None],
        *methods: str,
        session_id: str | None = None,
        events_max: int = EVENTS_MAX,
        weigh: Callable[[T], int] | None = None,
        weight_max: int | None = None,
    ) -> Iterator[EventStream[T]]:
        """Collect events of these methods, from now on, for one reader.

        Args:
            pick: makes of an event what the reader gets; None leaves the event out.
            methods: such as "Runtime.bindingCalled".
            session_id: the target's session; None: the browser itself.
            events_max: how many may wait; when one more comes the stream ends with EventsOverflowed.
            weigh, weight_max: what one of them weighs, and what those that wait may weigh together.
        """
        stream = EventStream(pick, events_max, weigh, weight_max)
        if self._closed is not None:
            stream.finish(self._closed())
        unsubscribe = self.subscribe(stream.put, *methods, session_id=session_id)
        self._streams[stream] = session_id
        try:
            yield stream
        finally:
            del self._streams[stream]
            unsubscribe()
            stream.close()

    def _dispatch(self, message: Incoming) -> None:
        if message.id is not None:
            pending = self._pending.get(message.id)
            if pending is not None:
                pending.settle(message.result if message.error is None else message.error)
            return
        if message.method is None:
            return
        if message.method == "Inspector.targetCrashed" and message.session_id in self._crashed:
            return  # the browser has told of this crash before; the page may be loading again by now
        track = self._TRACKED.get(message.method)
        callbacks = self._callbacks.get((message.session_id, message.method))
        if track is None and not callbacks:
            return  # nobody wants it: not even decoded
        event = Event(message.method, msgspec.json.decode(message.params), message.session_id)
        if track is not None:
            track(self, event)
        for callback in tuple(callbacks or ()):
            callback(event)

    def _attached(self, event: Event) -> None:
        self._targets[event.params["sessionId"]] = event.params["targetInfo"]["targetId"]

    def _detached(self, event: Event) -> None:
        session_id = event.params["sessionId"]
        self._targets.pop(session_id, None)
        self._crashed.discard(session_id)
        self._fail(session_id, TargetDetached)
        for stream, of_session in self._streams.items():
            if of_session == session_id:
                stream.finish(TargetDetached())

    def _session_crashed(self, event: Event) -> None:
        if event.session_id is not None:
            self._crash(event.session_id)

    def _target_crashed(self, event: Event) -> None:
        for session_id, target_id in self._targets.items():
            if target_id == event.params["targetId"] and session_id not in self._crashed:
                self._crash(session_id)

    def _crash(self, session_id: str) -> None:
        self._crashed.add(session_id)
        self._fail(session_id, TargetCrashed)

    def _revived(self, event: Event) -> None:
        if event.session_id is not None:
            self._crashed.discard(event.session_id)

    def _fail(self, session_id: str, failure: Failure) -> None:
        for pending in self._pending.values():
            if pending.session_id == session_id:
                pending.settle(failure)

    _TRACKED: ClassVar[dict[str, Callable[[Connection, Event], None]]] = {
        "Target.attachedToTarget": _attached,
        "Target.detachedFromTarget": _detached,
        "Target.targetCrashed": _target_crashed,
        "Inspector.targetCrashed": _session_crashed,
        "Inspector.targetReloadedAfterCrash": _revived,
    }

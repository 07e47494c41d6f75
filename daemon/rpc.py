"""One connection: requests in, answers and notifications out.

A handler that need not wait is answered inline; one that must is a task of the connection's nursery. Owns
order and end: batches, what may be under way at once, who is given up. Which handler is called stands in
`daemon.dispatch`, what leaves in `daemon.outgoing`, which connections there are in `daemon.server`.
"""

import math
import select
import time
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Final

import structlog
import trio
from trio.abc import Stream

from daemon.access import Peer
from daemon.dispatch import Answer, Call, Gathering, Reply, Routes, Then, dispatch, refusal
from daemon.outgoing import Limits, Outgoing, linger
from daemon.tallies import Tallies
from protocol.errors import RpcError
from protocol.jsonrpc import (
    Batch,
    Decoder,
    Incoming,
    Invalid,
    Notification,
    Request,
    TooLong,
    encode_error,
    encode_result,
)
from supervisors.faults import reached

MOST_SUBSCRIPTIONS: Final = 1000
"""Of one connection: each costs a task, and a look at every commit."""

_GRACE_S: Final = 2.0
"""How long requests under way may go on when their client is gone: what was asked and left is still done."""

_LINGER_S: Final = 5.0
"""How long a refused client's input is thrown away, so that it comes to read why."""

_HANG_UP_CHECK_S: Final = 1.0

_TURN_S: Final = 0.005
"""How long one client's requests are answered inline before everybody else has a turn."""

_log = structlog.get_logger()


class Connection:
    """One client. Made by the server, which runs `serve`; handlers use `notify` and the subscriptions."""

    def __init__(
        self,
        stream: Stream,
        peer: Peer,
        known: Routes,
        limits: Limits,
        tallies: Tallies,
        *,
        refusing: Callable[[], bool],
    ) -> None:
        self.peer = peer  # replaced when the lists of [access] change
        self._stream = stream
        self._routes = known
        self._limits = limits
        self._tallies = tallies
        self._refusing = refusing
        self._reading = trio.CancelScope()
        self._outgoing = Outgoing(
            stream,
            limit_bytes=limits.send_queue_bytes,
            stall_s=limits.stall_s,
            on_lost=self._lost,
        )
        self._under_way: set[trio.CancelScope] = set()
        self._done = trio.lowlevel.ParkingLot()
        self._subscriptions: dict[int, trio.CancelScope] = {}
        self._last_subscription = 0
        self._closing = False
        self._cut_short = False
        self._turn_ends = 0.0
        self._nursery: trio.Nursery
        self._poll = None
        if isinstance(stream, trio.SocketStream):
            self._poll = select.poll()
            self._poll.register(stream.socket.fileno(), 0)

    async def notify(self, *lines: bytes) -> None:
        """Send notifications, as encoded lines, in order.

        Waits while much is queued for this client: a replay of any length fills no queue, and one who is slow
        delays nobody but itself. One who takes nothing at all is disconnected by the queue's own clock.
        """
        await trio.lowlevel.checkpoint()
        for line in lines:
            if not self._outgoing.has_room(len(line)):
                await self._outgoing.room(len(line))
            self._outgoing.put(line)
        self._outgoing.flush()

    def tell(self, subscription: int, lines: bytes) -> bool:
        """Send notifications of a subscription, as encoded lines, as far as the socket takes them, now.

        False, and nothing is sent, where it has ended, or much is queued before them.
        """
        return subscription in self._subscriptions and self._outgoing.tell(lines)

    def open_subscription(self) -> tuple[int, trio.CancelScope]:
        """Number a subscription; its pump runs in the scope, which is cancelled when it is to end.

        Raises INVALID_PARAMS where the connection has as many as it may.
        """
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise RpcError(
                "INVALID_PARAMS",
                f"The connection has {MOST_SUBSCRIPTIONS} subscriptions",
                action="Name several sessions in one, or end some with events.unsubscribe.",
            )
        self._last_subscription += 1
        scope = self._subscriptions[self._last_subscription] = trio.CancelScope()
        return self._last_subscription, scope

    def close_subscription(self, number: int) -> bool:
        """End a subscription; False when there is none of this number."""
        scope = self._subscriptions.pop(number, None)
        if scope is not None:
            scope.cancel()
        return scope is not None

    async def idle(self) -> None:
        """Wait until no request is under way."""
        while self._under_way:
            await self._done.park()

    def close(self) -> None:
        """Read no more; answer what is under way with SHUTTING_DOWN, send what is queued, and end."""
        self._closing = True
        self._reading.cancel()
        self._done.unpark_all()

    async def serve(self) -> None:
        """Serve the client until it leaves, is given up or is closed; the stream is closed in any case.

        On cancellation requests under way are cancelled and nothing more is sent.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._outgoing.run)
                refused = await self._read()
                await self._finish(refused=refused)
                self._nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(self._stream)

    def _lost(self, event: str | None) -> None:
        if event is not None:
            _log.warning(event, pid=self.peer.pid, uid=self.peer.uid)
        self._reading.cancel()

    async def _read(self) -> bool:
        """Take requests until there are no more; True when the client broke the rules of the wire."""
        decoder = Decoder(self._limits.max_message_bytes)
        with self._reading:
            while True:
                try:
                    data = await self._stream.receive_some()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self._outgoing.lose(None)
                    return False
                if not data:
                    return False
                self._turn_ends = time.perf_counter() + _TURN_S
                for incoming in decoder.feed(bytes(data)):
                    if type(incoming) is Request:  # the usual, and in no coroutine of its own
                        now = time.perf_counter()
                        if (
                            now >= self._turn_ends
                            or self._outgoing.crowded
                            or len(self._under_way) >= self._limits.max_in_flight
                        ):
                            await self._room()
                            now = time.perf_counter()
                        self._begin(incoming, self._send, now)
                    elif isinstance(incoming, TooLong):
                        self._outgoing.put(encode_error(None, incoming.error))
                        return True
                    else:
                        await self._take(incoming)
                self._outgoing.flush()
                # While others have their turn the client may ask again: then nobody waits for its socket.
                await trio.lowlevel.checkpoint()
        return False

    async def _take(self, incoming: Incoming) -> None:
        match incoming:
            case Request() | Notification():
                await self._room()
                self._begin(incoming, self._send, time.perf_counter())
            case Invalid(id=id_, error=error):
                self._outgoing.put(encode_error(id_, error))
            case Batch(items=items):
                batch = Gathering(
                    len(items),
                    self._send,
                    limit_bytes=self._limits.send_queue_bytes,
                    overflowed=lambda: self._outgoing.lose("batch_answers_overflowed"),
                )
                for item in items:
                    if isinstance(item, Invalid):
                        batch.add(encode_error(item.id, item.error), ())
                        continue
                    await self._room()
                    self._begin(item, batch.add, time.perf_counter())

    def _begin(self, request: Request | Notification, answer: Answer, began: float) -> None:
        """Carry a request out: at once, or as a task if its handler is a coroutine."""
        try:
            call = Call(self, self.peer, request.id if type(request) is Request else None)
            result = dispatch(self._routes, request, call, refusing=self._refusing())
            if type(result) is CoroutineType:
                scope = trio.CancelScope()
                self._under_way.add(scope)
                self._nursery.start_soon(self._complete, request, result, scope, began, answer)
                return
            line, then = _encoded(request, result)
        except Exception as error:  # noqa: BLE001  the boundary of one request
            answer(self._refused(request, error, began), ())
            return
        self._tallies.answered(request.method, began, None)
        answer(line, then)

    async def _complete(
        self,
        request: Request | Notification,
        handling: Coroutine[Any, Any, object],
        scope: trio.CancelScope,
        began: float,
        answer: Answer,
    ) -> None:
        then: tuple[Then, ...] = ()
        try:
            try:
                with scope:
                    line, then = _encoded(request, await handling)
                if scope.cancelled_caught:
                    line = self._refused(request, RpcError("SHUTTING_DOWN"), began)
                else:
                    self._tallies.answered(request.method, began, None)
            except Exception as error:  # noqa: BLE001  the same boundary
                line = self._refused(request, error, began)
            if line is not None and not self._outgoing.spares_half(len(line)):
                await self._outgoing.room(len(line))
            reached("reply.made")
            answer(line, then)
        finally:
            self._under_way.discard(scope)
            self._done.unpark_all()
        if self._under_way:
            self._outgoing.wake()  # whoever else is done by then leaves in the same send
        else:
            self._outgoing.flush()
        reached("reply.sent")

    def _refused(self, request: Request | Notification, error: Exception, began: float) -> bytes | None:
        refused = refusal(error, "request_failed", self.peer.uid, request)
        line = None
        if isinstance(request, Request):
            try:
                line = encode_error(request.id, refused)
            except Exception as defect:  # noqa: BLE001  the same boundary: no line can be made of it
                refused = refusal(defect, "request_failed", self.peer.uid, request)
                line = encode_error(request.id, refused)
        self._tallies.answered(request.method, began, refused.code)
        return line

    def _send(self, line: bytes | None, then: tuple[Then, ...]) -> None:
        if line is not None:
            self._outgoing.put(line)
        for following in then:
            self._nursery.start_soon(self._follow, following)

    async def _follow(self, then: Then) -> None:
        """Run what follows a reply; a client whose task fails is closed, so that it comes again.

        What is under way is answered where that takes no longer than when a client has left.
        """
        try:
            await then()
        except Exception as error:  # noqa: BLE001  the same boundary
            code = refusal(error, "notifications_failed", self.peer.uid).code
            _log.warning("subscription_ended", code=code, pid=self.peer.pid, uid=self.peer.uid)
            self._cut_short = True
            self._reading.cancel()

    async def _room(self) -> None:
        """Wait until less is under way than may be, what was answered is read, and others had their turn."""
        if time.perf_counter() >= self._turn_ends:
            self._outgoing.flush()
            await trio.lowlevel.checkpoint()
            self._turn_ends = time.perf_counter() + _TURN_S
        if self._outgoing.crowded:
            await self._outgoing.relief()
        if len(self._under_way) >= self._limits.max_in_flight:
            self._outgoing.flush()
        while len(self._under_way) >= self._limits.max_in_flight:
            await self._change()

    async def _change(self) -> None:
        """Wait until a request is done; when the client is gone, give it up."""
        with trio.move_on_after(_HANG_UP_CHECK_S):
            await self._done.park()
        if self._hung_up():
            self._outgoing.lose(None)

    def _hung_up(self) -> bool:
        """Whether the client has closed both directions; one that has only ended its own still reads."""
        return self._poll is not None and any(
            flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, flags in self._poll.poll(0)
        )

    async def _finish(self, *, refused: bool) -> None:
        for number in list(self._subscriptions):
            self.close_subscription(number)
        if not refused and not self._closing:
            if self._hung_up():
                self._outgoing.lose(None)
            with trio.move_on_after(_GRACE_S if self._cut_short else math.inf):
                while self._under_way and not self._outgoing.lost and not self._closing:
                    await self._change()
        if self._closing:
            for scope in list(self._under_way):
                scope.cancel()
            await self.idle()
        await self._outgoing.drained()
        if refused and not self._outgoing.lost:
            await linger(self._stream, _LINGER_S)
        self._outgoing.lose(None)
        await trio.aclose_forcefully(self._stream)
        with trio.move_on_after(_GRACE_S):
            await self.idle()


def _encoded(request: Request | Notification, result: object) -> tuple[bytes | None, tuple[Then, ...]]:
    """Return the line that answers a request, None for a notification, and what is to be run after it."""
    then: tuple[Then, ...] = ()
    if type(result) is Reply:
        then = (result.then,)
        result = result.result
    return (encode_result(request.id, result) if type(request) is Request else None), then

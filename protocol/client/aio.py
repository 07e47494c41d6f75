"""The client for trio: calls run side by side on one connection, events come by `async for`."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import trio

from protocol import events
from protocol.errors import RpcError
from protocol.jsonrpc import ClientDecoder, Response, Told, encode_request

from . import again
from .errors import CallTimeout, ConnectionLost, DaemonUnreachable
from .feed import Event, Feed
from .locate import socket_candidates

_OUTBOX = 64  # requests on their way to the socket; callers beyond that wait
_UNSUBSCRIBE_S = 2


@asynccontextmanager
async def connect(path: str | None = None) -> AsyncIterator["Client"]:
    """Connect to the daemon at `path`, `$WASUP_SOCKET` or the usual places, for the length of the block.

    Raises DaemonUnreachable, with the paths tried. Leaving the block closes the connection; exceptions of
    the block come out as they are, in no group.
    """
    tried = []
    for candidate in socket_candidates(path, os.environ):
        try:
            stream = await trio.open_unix_socket(candidate)
        except OSError as error:
            tried.append((candidate, error.strerror or str(error)))
            continue
        async with client_over(stream) as client:
            yield client
        return
    raise DaemonUnreachable(tried)


@asynccontextmanager
async def client_over(stream: trio.abc.Stream) -> AsyncIterator["Client"]:
    """Be a client over a stream that is connected to the daemon; it is closed with the block."""
    client = Client(stream)
    failure: Exception | None = None
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(client._read)
        nursery.start_soon(client._write)
        try:
            yield client
        except Exception as error:  # noqa: BLE001 - the nursery would wrap it in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def follow(
    path: str | None = None,
    *,
    sessions: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    after: int | None = None,
) -> AsyncIterator["Following"]:
    """Be told of events for the length of the block, across restarts of the daemon.

    As `connect` and `subscribe`, on a connection of its own: when that is lost it connects anew, as soon as
    there is a daemon, and goes on behind the last event that was taken, without a gap or a repeat. Raises
    DaemonUnreachable or RpcError where the first attempt fails; later on iterating raises an RpcError that
    will not pass by itself, such as CURSOR_EXPIRED.
    """
    feed = Feed(sessions, types, after)
    # Nothing waits between the connection and the consumer: an event that was not taken is asked for again.
    telling, told = trio.open_memory_channel[Event](0)
    following = Following(told)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(following._keep_on, path, feed, telling)
            yield following
        except Exception as error:  # noqa: BLE001 - the nursery would wrap it in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Call:
    """A request that waits for its answer; `answered` is given the result before anything else is read."""

    def __init__(self, answered: Callable[[Any], None] | None) -> None:
        self.answered = answered
        self.done = trio.Event()
        self.response: Response | None = None


class Client:
    """A connection to the daemon; made by `connect`. Any number of tasks may call at the same time."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._ids = itertools.count(1)
        self._pending: dict[int, _Call] = {}
        self._subscriptions: dict[int, Subscription] = {}
        # When the outbox is full, callers wait: the daemon does not read.
        self._outbox, self._leaving = trio.open_memory_channel[bytes](_OUTBOX)
        self._lost: str | None = None
        self._refusal: RpcError | None = None

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        /,
        *,
        within_s: float | None = None,
        **named: Any,
    ) -> Any:
        """Call a method, its params given as a mapping or by name; return its result as plain JSON values.

        Raises RpcError where the daemon refuses, ConnectionLost, and CallTimeout after `within_s` seconds.
        (A `timeout` is the method's own parameter.) A call that is cancelled or times out is forgotten
        here, and carried out by the daemon all the same.
        """
        given = {**(params or {}), **named}
        with trio.move_on_after(float("inf") if within_s is None else within_s):
            return await self._ask(method, given)
        raise CallTimeout(method, within_s or 0)

    @asynccontextmanager
    async def subscribe(
        self,
        *,
        sessions: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        after: int | None = None,
    ) -> AsyncIterator["Subscription"]:
        """Be told of events for the length of the block: of some sessions or types, or all.

        With `after` (a seq) what followed that event comes first. No event is lost or repeated, however
        slowly they are taken: see `feed`.
        """
        async with self._subscribed(Feed(sessions, types, after)) as subscription:
            yield subscription

    @asynccontextmanager
    async def _subscribed(self, feed: Feed) -> AsyncIterator["Subscription"]:
        subscription = Subscription(self, feed)
        await subscription._open()
        try:
            yield subscription
        finally:
            with trio.move_on_after(_UNSUBSCRIBE_S, shield=True), suppress(RpcError, ConnectionLost):
                await subscription._close()

    async def _ask(self, method: str, params: object, answered: Callable[[Any], None] | None = None) -> Any:
        number = next(self._ids)
        call = _Call(answered)
        if self._lost is not None:
            raise self._gone()
        self._pending[number] = call
        try:
            await self._outbox.send(encode_request(number, method, params))
            await call.done.wait()
        finally:
            self._pending.pop(number, None)
        if call.response is None:
            raise self._gone()
        if call.response.error is not None:
            raise call.response.error
        return call.response.result

    async def _write(self) -> None:
        """Send requests whole: a caller that is cancelled must not leave half a line behind."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for line in self._leaving:
                await self._stream.send_all(line)
        async for _ in self._leaving:
            pass  # the reader finds the end of the connection, and why; nobody may wait here until then

    async def _read(self) -> None:
        reason = "it was closed here"
        decoder = ClientDecoder()
        try:
            while data := await self._stream.receive_some():
                for incoming in decoder.feed(bytes(data)):
                    self._take(incoming)
            reason = "the daemon closed it"
        except (trio.BrokenResourceError, trio.ClosedResourceError, ValueError) as error:
            reason = str(error.__cause__ or error)
        finally:
            self._lost = reason
            for call in self._pending.values():
                call.done.set()
            for subscription in self._subscriptions.values():
                subscription._wake()

    def _take(self, incoming: Response | Told) -> None:
        match incoming:
            case Response(id=None, error=RpcError() as error):
                self._refusal = error
            case Response(id=int() as number):
                call = self._pending.pop(number, None)
                if call is not None:
                    if call.answered is not None and incoming.error is None:
                        call.answered(incoming.result)
                    call.response = incoming
                    call.done.set()
            case Told(method=events.NOTIFICATION, params={"subscription": number, "event": event}):
                subscription = self._subscriptions.get(number)
                if subscription is not None:
                    subscription._told(event)

    def _gone(self) -> ConnectionLost:
        return ConnectionLost(self._lost or "", self._refusal)


class Subscription:
    """The events of one subscription, in order: iterate over it, from one task at a time.

    `cursor` is the seq of the last event that was taken: a later `subscribe(after=cursor)` goes on there.
    Raises ConnectionLost when the connection is gone and every event that came has been taken.
    """

    def __init__(self, client: Client, feed: Feed) -> None:
        self._client = client
        self._feed = feed
        self._news = trio.Event()

    @property
    def cursor(self) -> int:
        return self._feed.cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while not self._feed:
            if self._feed.lagging:
                await self._catch_up()
            elif self._client._lost is not None:
                raise self._client._gone()
            else:
                self._news = trio.Event()
                await self._news.wait()
        return self._feed.take()

    async def _open(self) -> None:
        await self._client._ask("events.subscribe", self._feed.subscription(), self._opened)

    def _opened(self, result: dict[str, Any]) -> None:
        self._feed.opened(result)
        self._client._subscriptions[result["subscription"]] = self

    async def _close(self) -> None:
        number = self._feed.number
        if number is not None:
            self._feed.number = None
            del self._client._subscriptions[number]
            await self._client._ask("events.unsubscribe", {"subscription": number})

    async def _catch_up(self) -> None:
        await self._close()
        if self._feed.caught_up(await self._client._ask("events.list", self._feed.page())):
            await self._open()

    def _told(self, event: Event) -> None:
        self._feed.told(event)
        self._wake()

    def _wake(self) -> None:
        self._news.set()


class Following:
    """Events across restarts of the daemon; made by `follow`. Iterate over it, from one task at a time.

    `cursor` is the seq of the last event that was taken, 0 before the first: keep it with your results, and
    a later `follow(after=cursor)` goes on there.
    """

    def __init__(self, told: trio.MemoryReceiveChannel[Event]) -> None:
        self._told = told
        self._failure: Exception | None = None
        self.cursor = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self._told.receive()
        except trio.EndOfChannel:
            if self._failure is None:
                raise StopAsyncIteration from None
            raise self._failure from None
        self.cursor = event["seq"]
        return event

    async def _keep_on(
        self,
        path: str | None,
        feed: Feed,
        telling: trio.MemorySendChannel[Event],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Pass events on until cancelled; started is told once the first subscription is open."""
        waits, started = again.delays(), False
        async with telling:
            while True:
                try:
                    async with connect(path) as client, client._subscribed(feed) as subscription:
                        waits = again.delays()
                        if not started:
                            started = True
                            self.cursor = feed.cursor
                            task_status.started()
                        async for event in subscription:
                            await telling.send(event)
                except again.LOST as error:
                    if not started:
                        raise
                    if not again.passes(error):
                        self._failure = error
                        return
                await trio.sleep(next(waits))
                feed = feed.renewed()

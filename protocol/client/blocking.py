"""The client for programs without an event loop: one call at a time, plain sockets, no threads."""

import itertools
import os
import socket
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from protocol import events
from protocol.errors import RpcError
from protocol.jsonrpc import ClientDecoder, Response, Told, encode_request

from . import again
from .errors import CallTimeout, ConnectionLost, DaemonUnreachable
from .feed import Event, Feed
from .locate import socket_candidates

_CHUNK = 65536
_UNSUBSCRIBE_S = 2


def connect(path: str | None = None) -> "Client":
    """Connect to the daemon at `path`, `$WASUP_SOCKET` or the usual places; the result is a context manager.

    Raises DaemonUnreachable, with the paths tried.
    """
    tried = []
    for candidate in socket_candidates(path, os.environ):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(candidate)
        except OSError as error:
            connection.close()
            tried.append((candidate, error.strerror or str(error)))
        else:
            return Client(connection)
    raise DaemonUnreachable(tried)


def follow(
    path: str | None = None,
    *,
    sessions: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    after: int | None = None,
) -> Generator[Event, None, None]:
    """Be told of events from now on, or of those after `after` (a seq), across restarts of the daemon.

    As `connect` and `Client.events`, on a connection of its own: when that is lost it connects anew, as soon
    as there is a daemon, and goes on behind the last event that was taken, without a gap or a repeat. Raises
    DaemonUnreachable or RpcError where the first attempt fails; later on iterating raises an RpcError that
    will not pass by itself, such as CURSOR_EXPIRED. `close`, or leaving a `for` over it, ends the connection.
    """
    feed = Feed(sessions, types, after)
    client = connect(path)
    try:
        client._subscribe(feed)
    except BaseException:
        client.close()
        raise
    return _keep_on(path, client, feed)


def _keep_on(path: str | None, client: "Client", feed: Feed) -> Generator[Event, None, None]:
    waits = again.delays()
    try:
        while True:
            try:
                if client._lost is not None:
                    feed = feed.renewed()
                    client = connect(path)
                    client._subscribe(feed)
                waits = again.delays()
                yield from client._iterate(feed)
            except again.LOST as error:
                if not again.passes(error):
                    raise
                client.close()
            time.sleep(next(waits))
    finally:
        client.close()


class Client:
    """A connection to the daemon; made by `connect`. For one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = ClientDecoder()
        self._unread: deque[Response | Told] = deque()
        self._ids = itertools.count(1)
        self._feeds: dict[int, Feed] = {}
        self._lost: str | None = None
        self._refusal: RpcError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; its subscriptions end with it."""
        self._lose("it was closed here")

    def call(
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
        (A `timeout` is the method's own parameter.) A call that times out is carried out all the same.
        """
        return self.request(method, {**(params or {}), **named}, within_s=within_s)

    def request(self, method: str, params: object, *, within_s: float | None = None) -> Any:
        """Send params of any shape, as they are; else as `call`."""
        return self._ask(method, params, within_s)

    def events(
        self,
        *,
        sessions: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        after: int | None = None,
    ) -> Generator[Event, None, None]:
        """Be told of events from now on, of some sessions or types, or all.

        Iterate over what is returned; its `close` ends the subscription, as leaving a `for` over it does.
        With `after` (a seq) what followed that event comes first. No event is lost or repeated, however
        slowly they are taken, as long as the daemon keeps the connection; the iterator raises
        ConnectionLost when it is gone. Calls may be made while iterating.
        """
        feed = Feed(sessions, types, after)
        self._subscribe(feed)
        return self._iterate(feed)

    def _iterate(self, feed: Feed) -> Generator[Event, None, None]:
        try:
            while True:
                while not feed:
                    if feed.lagging:
                        self._catch_up(feed)
                    else:
                        self._take(self._next(None))
                yield feed.take()
        finally:
            with suppress(RpcError, ConnectionLost, CallTimeout):
                self._unsubscribe(feed)

    def _subscribe(self, feed: Feed) -> None:
        result = self._ask("events.subscribe", feed.subscription(), None)
        feed.opened(result)
        self._feeds[result["subscription"]] = feed

    def _unsubscribe(self, feed: Feed) -> None:
        number = feed.number
        if number is not None:
            feed.number = None
            del self._feeds[number]
            self._ask("events.unsubscribe", {"subscription": number}, _UNSUBSCRIBE_S)

    def _catch_up(self, feed: Feed) -> None:
        self._unsubscribe(feed)
        if feed.caught_up(self._ask("events.list", feed.page(), None)):
            self._subscribe(feed)

    def _ask(self, method: str, params: object, within_s: float | None) -> Any:
        deadline = None if within_s is None else time.monotonic() + within_s
        number = next(self._ids)
        try:
            self._send(encode_request(number, method, params), deadline)
            while True:
                incoming = self._next(deadline)
                if isinstance(incoming, Response) and incoming.id == number:
                    break
                self._take(incoming)
        except TimeoutError:
            raise CallTimeout(method, within_s or 0) from None
        if incoming.error is not None:
            raise incoming.error
        return incoming.result

    def _take(self, incoming: Response | Told) -> None:
        match incoming:
            case Response(id=None, error=RpcError() as error):
                self._refusal = error
            case Response():
                pass  # to a call that timed out
            case Told(method=events.NOTIFICATION, params={"subscription": number, "event": event}):
                feed = self._feeds.get(number)
                if feed is not None:
                    feed.told(event)

    def _send(self, line: bytes, deadline: float | None) -> None:
        if self._lost is not None:
            raise self._gone()
        self._arm(deadline)
        try:
            self._socket.sendall(line)
        except TimeoutError:
            self._lose("a request could not be sent in time")  # half a line may have left
            raise
        except OSError:
            pass  # reading finds the end of the connection, and why

    def _next(self, deadline: float | None) -> Response | Told:
        while not self._unread:
            if self._lost is not None:
                raise self._gone()
            self._arm(deadline)
            try:
                data = self._socket.recv(_CHUNK)
                if not data:
                    self._lose("the daemon closed it")
                self._unread.extend(self._decoder.feed(data))
            except TimeoutError:
                raise
            except (OSError, ValueError) as error:
                self._lose(str(error))
        return self._unread.popleft()

    def _arm(self, deadline: float | None) -> None:
        """Have the socket give up at the deadline; raises TimeoutError where it has passed."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._socket.close()

    def _gone(self) -> ConnectionLost:
        return ConnectionLost(self._lost or "", self._refusal)

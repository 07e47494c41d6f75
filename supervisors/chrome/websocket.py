"""DevTools messages over a WebSocket: to a browser that listens on a port, here or on another machine.

Knows nothing of what the messages say, nor of how the browser came to listen.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec
import trio
import trio_websocket

from supervisors.chrome.errors import BrowserUnavailable, BrowserUnreachable
from supervisors.chrome.transports import READ_BYTES, TransportClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_websocket import WebSocketConnection

MESSAGE_MAX_CHARACTERS: Final = 256 << 20
"""No browser sends more: kSendBufferSizeForDevTools, devtools_http_handler.cc (Chromium 156)."""
CONNECT_TIMEOUT_S: Final = 20.0
CLOSE_TIMEOUT_S: Final = 0.5
PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}

# A machine that vanishes says nothing. The kernel asks it, which a long transfer neither delays nor deceives,
# as it would a ping that waits its turn: after 15 s of silence, every 5 s, 3 times.
KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)

REFUSED_ACTION: Final = (
    "Check [browser] endpoint; Chrome itself answers only to localhost and to addresses written as numbers."
)


class WebSocketTransport:
    """DevTools messages, each a WebSocket text; see `transports.Transport`.

    `run` must run, in a task of its own, until `aclose` has returned. Pings are answered by it.

    Args:
        stream: to the browser's port, TLS included; owned from here on.
        host: what to call the other side in the request.
        resource: the path, and the query if there is one.
    """

    def __init__(self, stream: trio.abc.Stream, host: str, resource: str) -> None:
        self._stream = stream
        self._host = host
        self._resource = resource
        self._socket: WebSocketConnection | None = None
        self._scope = trio.CancelScope()
        self._settled = trio.Event()
        self._refusal: str | None = None

    async def run(self) -> None:
        """Carry messages until the other side is gone, `aclose` is called or this is cancelled."""
        try:
            with self._scope:
                await self._carry()
        except* trio_websocket.ConnectionRejected as group:
            self._refusal = _refusal(group.exceptions[0])
        except* trio_websocket.ConnectionClosed:
            pass  # `receive` tells
        finally:
            self._settled.set()
            await trio.aclose_forcefully(self._stream)

    async def _carry(self) -> None:
        async with trio.open_nursery() as nursery:
            self._socket = await trio_websocket.wrap_client_stream(
                _Reading(nursery),  # type: ignore[arg-type]  # all that is called of a nursery
                self._stream,  # type: ignore[arg-type]  # any Stream does
                self._host,
                self._resource,
                max_message_size=MESSAGE_MAX_CHARACTERS,
                receive_buffer_size=READ_BYTES,
            )
            self._settled.set()

    async def opened(self) -> None:
        """Wait for the handshake; sets no deadline.

        Raises:
            BrowserUnavailable: the other side speaks, but refuses.
            BrowserUnreachable: it hung up.
        """
        await self._settled.wait()
        if self._refusal is not None:
            raise BrowserUnavailable(
                f"The browser at {self._host} refuses the connection ({self._refusal}).", REFUSED_ACTION
            )
        if self._socket is None:
            raise BrowserUnreachable(self._host, "it hung up")

    async def send(self, message: bytes) -> None:
        if self._socket is None:
            raise TransportClosed
        try:
            await self._socket.send_message(message.decode())
        except trio_websocket.ConnectionClosed as error:
            raise TransportClosed from error

    async def receive(self) -> bytes:
        if self._socket is None:
            raise TransportClosed
        try:
            message = await self._socket.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise TransportClosed from error
        return message.encode() if isinstance(message, str) else message

    async def aclose(self) -> None:
        try:
            if self._socket is not None:
                with trio.move_on_after(CLOSE_TIMEOUT_S):
                    await self._socket.aclose()
        finally:
            self._scope.cancel()


class _Reading:
    """A nursery for the library's reading task, whose end ends it all.

    Without it a browser that hangs up instead of answering the handshake is waited for (trio-websocket 0.12).
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        await task()
        self._nursery.cancel_scope.cancel()


async def dial(url: str) -> WebSocketTransport:
    """Return a transport to a WebSocket's address, whose `run` must be started next; sets no deadline.

    Raises:
        BrowserUnreachable: nobody answers there.
    """
    parts = urlsplit(url)
    try:
        stream = await _connect(parts)
    except OSError as error:
        raise BrowserUnreachable(origin(url), _first_words(error)) from error
    resource = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return WebSocketTransport(stream, parts.netloc.rpartition("@")[2], resource)


async def _connect(parts: SplitResult) -> trio.abc.Stream:
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    stream = await trio.open_tcp_stream(host, port)
    for option in KEEP_ALIVE:
        stream.setsockopt(*option)
    if parts.scheme != "wss":
        return stream
    secured = trio.SSLStream(
        stream, ssl.create_default_context(), server_hostname=host, https_compatible=True
    )
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            raise OSError(str(error.__cause__ or error)) from error
        raise
    return secured


async def find_socket(endpoint: str) -> str:
    """Return the address of a browser's WebSocket.

    Args:
        endpoint: that address itself (`ws`, `wss`), which is returned as it is; or that of the browser's
            debugging port (`http`, `https`), which is asked. Chrome gives its socket a new address at every
            start, so only the port's stays the same.

    Raises:
        BrowserUnreachable: nobody answers there.
        BrowserUnavailable: whoever answers is no browser, or refuses.

    Sets no deadline; a request that is cancelled may go on for 20 s in a thread of its own.
    """
    parts = urlsplit(endpoint)
    if parts.scheme in ("ws", "wss"):
        return endpoint
    try:
        status, body = await trio.to_thread.run_sync(_get_version, parts, abandon_on_cancel=True)
    except (OSError, http.client.HTTPException) as error:
        raise BrowserUnreachable(origin(endpoint), _first_words(error)) from error
    try:
        found = urlsplit(msgspec.json.decode(body, type=dict[str, str])["webSocketDebuggerUrl"])
    except (msgspec.MsgspecError, KeyError) as error:
        words = body[:200].decode(errors="replace").strip()
        raise BrowserUnavailable(
            f"{origin(endpoint)} is no debugging port of a browser ({status}: {words!r}).", REFUSED_ACTION
        ) from error
    # Chrome writes the host that it was asked by, which a proxy in between may have changed.
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, found.path, found.query, ""))


def _get_version(parts: SplitResult) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/json/version")
        response = connection.getresponse()
        return response.status, response.read(1 << 16)
    finally:
        connection.close()


def origin(endpoint: str) -> str:
    """Return scheme, host and port of an address, fit for logs: the other parts may be secrets."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _refusal(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, trio_websocket.ConnectionRejected):
        return str(error)
    words = (error.body or b"")[:200].decode(errors="replace").strip()
    return f"{error.status_code}: {words}" if words else str(error.status_code)


def _first_words(error: BaseException) -> str:
    """Return what an error says; trio's of several addresses hides it in its cause."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    said = cause if isinstance(cause, OSError) else error
    return (said.strerror if isinstance(said, OSError) else None) or str(said) or type(said).__name__

"""The metrics for Prometheus, over HTTP, where `[metrics] listen` says: a Unix socket or a loopback port.

Just enough of HTTP/1.1 (RFC 9112) for one GET a connection. On the Unix socket a caller needs a role and sees
what it may see, as on the channel; behind a port nobody knows who asks: sessions with lists of who may see
them are left out there.
"""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog
import trio

from daemon.access import Credentials, Peer, allows, peer_credentials
from daemon.listener import Listener, ListenError, bind

__all__ = ["Exposition", "bind_metrics"]

_MOST_REQUEST_BYTES: Final = 8192
_MOST_AT_ONCE: Final = 4
_PATIENCE_S: Final = 30.0
_BACK_OFF_S: Final = 0.1

_log = structlog.get_logger(__name__)


async def bind_metrics(listen: str) -> "Listener | trio.SocketListener":
    """Listen where the setting says: `unix:/path`, or `host:port` of the loopback interface.

    Raises:
        ListenError: the system refuses.
    """
    if listen.startswith("unix:"):
        return bind(Path(listen.removeprefix("unix:")))
    host, _, port = listen.rpartition(":")
    try:
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await sock.bind((host.strip("[]"), int(port)))
        sock.listen(_MOST_AT_ONCE)
    except OSError as error:
        raise ListenError(f"cannot listen on {listen}: {error.strerror} (see [metrics] listen)") from error
    return trio.SocketListener(sock)


async def _accepted(listener: "Listener | trio.SocketListener") -> trio.SocketStream:
    while True:
        try:
            return await listener.accept()
        except OSError as error:  # no descriptors left, or a caller who has gone: it passes
            _log.warning("metrics_delayed", error=error.strerror)
            await trio.sleep(_BACK_OFF_S)


class Exposition:
    """Answers `GET /metrics`; `text` makes the text for a caller, `role_of` says who one is."""

    def __init__(
        self,
        text: Callable[[Peer | None], Awaitable[str]],
        content_type: str,
        role_of: Callable[[Credentials], Peer],
    ) -> None:
        self._text = text
        self._content_type = content_type
        self._role_of = role_of
        self._room = trio.Semaphore(_MOST_AT_ONCE)

    async def serve(
        self,
        listener: "Listener | trio.SocketListener",
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer until cancelled; then the listener is closed. At most four are answered at once."""
        async with trio.open_nursery() as nursery:
            try:
                task_status.started()
                while True:
                    await self._room.acquire()
                    nursery.start_soon(self._answer, await _accepted(listener))
            finally:
                if isinstance(listener, Listener):
                    listener.close()
                else:
                    listener.socket.close()

    async def _answer(self, stream: trio.SocketStream) -> None:
        try:
            with trio.move_on_after(_PATIENCE_S):
                await self._exchange(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except Exception:  # noqa: BLE001  # as on the channel: one request is no reason to end the others
            _log.exception("metrics_failed")
        finally:
            await trio.aclose_forcefully(stream)
            self._room.release()

    async def _exchange(self, stream: trio.SocketStream) -> None:
        peer: Peer | None = None
        if stream.socket.family == socket.AF_UNIX:
            peer = self._role_of(peer_credentials(stream.socket))
        request = b""
        while b"\r\n\r\n" not in request:
            data = await stream.receive_some(_MOST_REQUEST_BYTES)
            request += data
            if not data or len(request) > _MOST_REQUEST_BYTES:
                await self._send(stream, "400 Bad Request", "")
                return
        method, _, rest = request.partition(b"\r\n")[0].partition(b" ")
        target, _, version = rest.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            await self._send(stream, "400 Bad Request", "")
        elif method not in (b"GET", b"HEAD"):
            await self._send(stream, "405 Method Not Allowed", "", allow="GET, HEAD")
        elif target.partition(b"?")[0] != b"/metrics":
            await self._send(stream, "404 Not Found", "The metrics are at /metrics\n")
        elif peer is not None and not allows(peer.role, "reader"):
            await self._send(stream, "403 Forbidden", "This needs a role in [access]\n")
        else:
            text = await self._text(peer)
            await self._send(stream, "200 OK", text, content_type=self._content_type, head=method == b"HEAD")

    async def _send(
        self,
        stream: trio.SocketStream,
        status: str,
        text: str,
        *,
        content_type: str = "text/plain; charset=utf-8",
        allow: str | None = None,
        head: bool = False,
    ) -> None:
        body = text.encode()
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if allow is not None:
            lines.append(f"Allow: {allow}")
        await stream.send_all("\r\n".join([*lines, "", ""]).encode() + (b"" if head else body))
        await stream.send_eof()

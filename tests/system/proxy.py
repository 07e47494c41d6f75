"""A small real HTTP proxy on loopback: CONNECT, with Basic credentials; it counts, and can go away."""

import base64
from contextlib import suppress

import trio


class Proxy:
    """`serve` it; tunnels to `host` lead to `port` on loopback, others nowhere.

    `tunnels` are the hosts that were asked for with the right credentials, `refused` how often they were
    wrong or missing. Without `credentials` (`user:password`) it asks for none.
    """

    def __init__(self, host: str, port: int, credentials: str | None) -> None:
        self.credentials = credentials
        self.port = 0
        self.tunnels: list[str] = []
        self.refused = 0
        self._host = host
        self._target = port
        self._serving = trio.CancelScope()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve on the same port as before, until `stop`; that ends all tunnels."""
        with trio.CancelScope() as self._serving:
            (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            task_status.started()
            await trio.serve_listeners(self._attend, [listener])

    def stop(self) -> None:
        """Go away."""
        self._serving.cancel()

    async def _attend(self, client: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = await client.receive_some(65536)
                    if not data:
                        return
                    head += data
                await self._answer(client, head.decode("latin-1"))

    async def _answer(self, client: trio.SocketStream, head: str) -> None:
        method, target, _ = head.split(" ", 2)
        if self.credentials is not None:
            wanted = base64.b64encode(self.credentials.encode()).decode()
            if f"proxy-authorization: basic {wanted}".lower() not in head.lower():
                self.refused += 1
                await client.send_all(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="office"\r\nContent-Length: 0\r\n'
                    b"Connection: close\r\n\r\n"
                )
                return
        self.tunnels.append(target)
        if method != "CONNECT" or target != f"{self._host}:443":
            await client.send_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        async with await trio.open_tcp_stream("127.0.0.1", self._target) as server:
            await client.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, client, server, nursery.cancel_scope)
                nursery.start_soon(_pass_on, server, client, nursery.cancel_scope)


async def _pass_on(source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for data in source:
            await sink.send_all(data)
    both.cancel()

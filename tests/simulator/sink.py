"""A listener to which every host but WhatsApp's is mapped: it answers nobody and remembers who was called."""

from dataclasses import dataclass

import trio


@dataclass(frozen=True)
class Call:
    """Somebody tried to reach `host` (from the TLS greeting or the HTTP Host line; empty if neither)."""

    host: str
    detail: str


class Sink:
    """Collects the calls; `serve` runs until it is cancelled."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.port = 0

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen on an ephemeral loopback port."""
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()
            await trio.serve_listeners(self._answer, listeners, handler_nursery=nursery)

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                with trio.move_on_after(5):
                    greeting = await stream.receive_some(65536)
                    if greeting:
                        self.calls.append(identify(greeting))
            except trio.BrokenResourceError:
                pass


def identify(greeting: bytes) -> Call:
    """Who was meant, from the first bytes of a connection."""
    if greeting[:1] == b"\x16":
        return Call(server_name(greeting), "TLS")
    first, *headers = greeting.decode("latin-1").split("\r\n")
    for line in headers:
        if line.lower().startswith("host:"):
            return Call(line[5:].strip(), first)
    return Call("", first[:80])


def server_name(hello: bytes) -> str:
    """The server name in a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3), or an empty string."""
    try:
        at = 5 + 4 + 2 + 32
        at += 1 + hello[at]
        at += 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 1 + hello[at]
        end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 2
        while at + 4 <= end:
            kind, size = (
                int.from_bytes(hello[at : at + 2], "big"),
                int.from_bytes(hello[at + 2 : at + 4], "big"),
            )
            if kind == 0:
                length = int.from_bytes(hello[at + 7 : at + 9], "big")
                return hello[at + 9 : at + 9 + length].decode("ascii")
            at += 4 + size
    except (IndexError, UnicodeDecodeError):
        pass
    return ""

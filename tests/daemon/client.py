"""A client for tests: what it sends is what is written, what it gets is what comes."""

from typing import Any

import msgspec
import trio
from trio.abc import HalfCloseableStream


class Client:
    """One connection, seen from the other side."""

    def __init__(self, stream: HalfCloseableStream) -> None:
        self.stream = stream
        self._received = bytearray()

    async def send(self, message: object) -> None:
        """Send one message, as JSON or, if it is bytes, as it is."""
        await self.stream.send_all(
            message if isinstance(message, bytes) else msgspec.json.encode(message) + b"\n"
        )

    async def ask(self, method: str, request_id: object = 1, **params: object) -> None:
        """Send one request."""
        await self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})

    async def line(self) -> Any:
        """Return the next message; fails if it does not come, or the connection ends."""
        with trio.fail_after(20):
            while b"\n" not in self._received:
                data = await self.stream.receive_some(65536)
                assert data, f"the connection ended after {bytes(self._received)!r}"
                self._received += data
        line, _, rest = self._received.partition(b"\n")
        self._received = rest
        return msgspec.json.decode(line)

    async def call(self, method: str, request_id: object = 1, **params: object) -> Any:
        """Send one request and return the next message."""
        await self.ask(method, request_id, **params)
        return await self.line()

    async def rest(self) -> bytes:
        """Return everything until the end of the connection."""
        with trio.fail_after(20):
            while data := await self.stream.receive_some(65536):
                self._received += data
        return bytes(self._received)

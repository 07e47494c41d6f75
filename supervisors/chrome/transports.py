"""How DevTools messages travel: whole JSON texts, in order, both ways.

Knows nothing of what the messages say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from typing import Final

READ_BYTES: Final = 1 << 18


class TransportClosed(Exception):
    """The other side is gone, or this side was closed."""


class Transport(Protocol):
    """What `devtools.Connection` needs: one reading task, one writing task."""

    async def send(self, message: bytes) -> None:
        """Send one message whole; wait while the other side is slow.

        A cancellation may leave half a message on the way: the transport is of no use afterwards.

        Raises:
            TransportClosed: the other side is gone.
        """

    async def receive(self) -> bytes:
        """Wait for the next whole message; a cancellation loses nothing.

        Raises:
            TransportClosed: the other side is gone; what it had sent was given out before.
        """

    async def aclose(self) -> None:
        """Close both ways; those who wait get TransportClosed. Repeating it is harmless."""


class PipeTransport:
    """NUL-separated JSON on two pipes, as `--remote-debugging-pipe` has it on Chrome's fds 3 and 4.

    Args:
        read_fd: the reading end of the pipe that Chrome writes to; owned from here on.
        write_fd: the writing end of the pipe that Chrome reads; owned from here on.

    Source: content/browser/devtools/devtools_pipe_handler.cc (Chromium 156).
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._reader = trio.lowlevel.FdStream(read_fd)
        self._writer = trio.lowlevel.FdStream(write_fd)
        self._chunks: list[bytes] = []
        self._messages: list[bytes] = []  # newest first: the next one is popped off the end

    async def send(self, message: bytes) -> None:
        try:
            await self._writer.send_all(message + b"\0")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise TransportClosed from error

    async def receive(self) -> bytes:
        while not self._messages:
            try:
                data = await self._reader.receive_some(READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise TransportClosed from error
            if not data:
                raise TransportClosed
            self._take(bytes(data))
        return self._messages.pop()

    def _take(self, data: bytes) -> None:
        """Split at NULs; a message that came in many chunks is joined once, at its end."""
        first, *rest = data.split(b"\0")
        self._chunks.append(first)
        if rest:
            whole = [b"".join(self._chunks), *rest[:-1]]
            self._chunks = [rest[-1]]
            self._messages = [message for message in reversed(whole) if message]

    def close(self) -> None:
        """Close both pipes at once; a Chrome that is still there ends itself."""
        self._reader.close()
        self._writer.close()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

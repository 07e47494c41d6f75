"""What leaves on one connection: a bounded queue of lines, and the task that sends it.

Lines that have gathered leave in one send. Owns the two limits on a client that does not read: bytes, time.
Knows nothing of requests.

When the queue is full: `put` gives the client up; `room` waits before it, and so it is never filled; `relief`
lets one who still reads catch up before more is put. A client that takes nothing for `stall_s` while
something waits for it is given up in any case.
"""

import os
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio
from trio.abc import HalfCloseableStream, Stream

_JOINED_BYTES: Final = 256 * 1024
"""Lines are joined up to this size; beyond it the copy costs more than the call it saves."""

_PIECE_BYTES: Final = 64 * 1024
"""What a client has to take within `stall_s`."""

LOW_WATER_BYTES: Final = 256 * 1024
"""Below this much waiting there is room for those who wait for it."""

_READING_S: Final = 1.0
"""A client that took something so lately counts as reading."""


@attrs.frozen(kw_only=True)
class Limits:
    """What clients may take up: `[rpc]`, and how long one may read nothing."""

    max_message_bytes: int = 32 * 2**20
    max_connections: int = 50
    max_in_flight: int = 1024
    stall_s: float = 15.0

    @property
    def send_queue_bytes(self) -> int:
        """How much may wait for a client behind what is being sent to it."""
        return max(self.max_message_bytes, 2**20)


class Outgoing:
    """The lines that wait to be sent on `stream`."""

    def __init__(
        self, stream: Stream, *, limit_bytes: int, stall_s: float, on_lost: Callable[[str | None], None]
    ) -> None:
        """Make an empty queue.

        Args:
            stream: where lines go; its owner closes it.
            limit_bytes: how much may wait behind what is being sent; a single line may be larger.
            stall_s: how long the client may take for the next 64 KiB.
            on_lost: called once, when the client is given up (with an event for the log) or gone (with None):
                end the connection.
        """
        self._stream = stream
        self._fd = stream.socket.fileno() if isinstance(stream, trio.SocketStream) else None
        self._limit = limit_bytes
        self._stall_s = stall_s
        self._on_lost = on_lost
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._sending = False
        self._last_progress = 0.0
        self._writer = trio.lowlevel.ParkingLot()
        self._progress = trio.lowlevel.ParkingLot()
        self.lost = False

    def put(self, line: bytes) -> None:
        """Queue a line, to leave with the next `flush` or `wake`; the client is given up if it is full."""
        if self.lost:
            return
        if self._lines and self._bytes + len(line) > self._limit:
            self.lose("send_queue_overflowed")
            return
        self._lines.append(line)
        self._bytes += len(line)

    def spares_half(self, size: int) -> bool:
        """Whether a line of `size` bytes leaves half of the queue to those who cannot wait."""
        return not self._lines or self._bytes + size <= self._limit // 2

    async def room(self, size: int) -> None:
        """Wait until a line of `size` bytes finds little before it, or the client is lost."""
        while not self.has_room(size) and not self.lost:
            self.wake()
            await self._progress.park()
            await trio.lowlevel.checkpoint_if_cancelled()  # it may have been after the room was made

    def has_room(self, size: int) -> bool:
        """Whether a line of `size` bytes finds little before it."""
        return not self._lines or self._bytes + size <= LOW_WATER_BYTES

    @property
    def crowded(self) -> bool:
        """Whether more than half of the queue is taken: time to wait for `relief`."""
        return self._bytes > self._limit // 2

    async def relief(self) -> None:
        """Wait while the queue is crowded and the client reads; for one who does not there is no waiting."""
        if not self._sending:
            self._last_progress = trio.current_time()  # until now nothing waited for the client
        self.wake()
        await trio.lowlevel.checkpoint()
        while self.crowded and trio.current_time() - self._last_progress < _READING_S:
            with trio.move_on_after(_READING_S):
                await self._progress.park()

    def flush(self) -> None:
        """Send what is queued as far as the socket takes it at once; the writer sends the rest."""
        if self._sending or not self._lines:
            return
        if self._fd is None or self._bytes > _JOINED_BYTES:
            self.wake()
            return
        self._write(self._fd, self._gathered())

    def tell(self, data: bytes) -> bool:
        """Send lines now, behind what is queued, as far as the socket takes them; then the writer goes on.

        False, and nothing is sent, where much is queued before them.
        """
        if not self._lines and not self._sending and self._fd is not None and not self.lost:
            self._write(self._fd, data)
        elif self.has_room(len(data)):
            self.put(data)
            self.flush()
        else:
            return False
        return True

    def _write(self, fd: int, data: bytes) -> None:
        try:
            sent = os.write(fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lose(None)
            return
        if sent < len(data):
            self._lines.appendleft(data[sent:])
            self._bytes += len(data) - sent
            self.wake()

    def wake(self) -> None:
        """Have the writer send what is queued, and whatever is queued until its turn comes."""
        self._writer.unpark()

    async def drained(self) -> None:
        """Wait until everything queued has been sent, or the client is lost."""
        while (self._lines or self._sending) and not self.lost:
            self.wake()
            await self._progress.park()

    def lose(self, event: str | None) -> None:
        """Give the client up: drop what waits, take no more, and have the connection end."""
        if self.lost:
            return
        self.lost = True
        self._lines.clear()
        self._bytes = 0
        self._progress.unpark_all()
        self._on_lost(event)

    async def run(self) -> None:
        """Send what is queued until the client is lost; on cancellation a line may be half sent."""
        while not self.lost:
            if not self._lines:
                await self._writer.park()
                continue
            self._sending = True
            try:
                await self._send(self._gathered())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.lose(None)
            finally:
                self._sending = False
            self._progress.unpark_all()

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            self._last_progress = trio.current_time()  # all that came before has been taken
            with trio.move_on_after(self._stall_s) as stall:
                await self._stream.send_all(view[start : start + _PIECE_BYTES])
            if stall.cancelled_caught:
                self.lose("client_stalled")
                return

    def _gathered(self) -> bytes:
        """Take the first line, and with it as many of the following as are worth joining."""
        if self._bytes <= _JOINED_BYTES:
            data = b"".join(self._lines)
            self._lines.clear()
            self._bytes = 0
            return data
        first = self._lines.popleft()
        size = len(first)
        taken = [first]
        while self._lines and size + len(self._lines[0]) <= _JOINED_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        self._bytes -= size
        return b"".join(taken)


async def linger(stream: Stream, seconds: float) -> None:
    """End our direction and throw away what still comes, until the client ends its own or the time is over.

    A socket closed with unread input resets its peer, which then may fail in sending before it reads why.
    """
    with trio.move_on_after(seconds):
        try:
            if isinstance(stream, HalfCloseableStream):
                await stream.send_eof()
            while await stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

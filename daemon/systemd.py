"""What systemd and the daemon tell each other: sd_notify(3) and sd_listen_fds(3).

Owns the datagrams of the notify socket and the socket that is handed over. Both protocols are a few lines,
documented and stable (https://systemd.io/PORTABILITY_AND_STABILITY/); systemd's own Python library would have
to be compiled.
"""

import contextlib
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import structlog
import trio

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START
_STATUS_EVERY_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Notifier:
    """Tells systemd how the daemon is; without a systemd that listens it tells nobody."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Read from the environment where systemd listens, and how often it wants to hear."""
        self._ready = False
        self._address = env.get("NOTIFY_SOCKET", "")
        watched = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "") if watched and self._address else ""
        self.watchdog_s: Final = int(usec) / 1e6 if usec.isdecimal() and int(usec) else math.inf
        """Seconds of silence after which systemd ends the daemon."""

    async def tell(self, *lines: str) -> None:
        """Send assignments such as `READY=1`; waits for room. A systemd that is not there is not missed."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                await sock.sendto("\n".join(lines).encode(), address)
            except OSError as error:
                _log.warning("systemd_not_told", error=error.strerror)

    async def ready(self) -> None:
        """Say that clients are answered."""
        self._ready = True
        await self.tell("READY=1")

    @contextlib.asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Say that the configuration is being read again, and afterwards that it has been."""
        if self._ready:
            await self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        yield
        if self._ready:
            await self.ready()

    async def feed_watchdog(self, answers: Callable[[], Awaitable[bool]]) -> None:
        """Tell systemd that the daemon is alive as often as it wants to hear, while `answers` is true.

        A check that takes longer than it may counts as a refusal. Returns at once where nobody watches.
        """
        if math.isinf(self.watchdog_s):
            return
        every_s = self.watchdog_s / 3
        while True:
            next_at = trio.current_time() + every_s
            with trio.move_on_at(next_at) as late:
                if await answers():
                    await self.tell("WATCHDOG=1")
                else:
                    _log.error("watchdog_not_fed", watchdog_s=self.watchdog_s)
            if late.cancelled_caught:
                _log.error("watchdog_not_fed", watchdog_s=self.watchdog_s, reason="no answer in time")
            await trio.sleep_until(next_at)

    async def keep_status(self, status: Callable[[], str]) -> None:
        """Keep what `systemctl status` shows of the daemon up to date, to the second."""
        told = ""
        while self._address:
            now = status()
            if now != told:
                await self.tell(f"STATUS={now}")
                told = now
            await trio.sleep(_STATUS_EVERY_S)


def inherited_socket(env: Mapping[str, str]) -> socket.socket | None:
    """Take over the listening socket that systemd holds for the daemon; None where there is none.

    Raises:
        ValueError: what was handed over is not one listening Unix stream socket.
    """
    if env.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = int(env.get("LISTEN_FDS", "0"))
    if count == 0:
        return None
    for fd in range(_FIRST_FD, _FIRST_FD + count):
        os.set_inheritable(fd, False)
    try:
        sock = socket.socket(fileno=_FIRST_FD)
    except OSError as error:
        raise ValueError(f"systemd handed over no socket: {error.strerror}") from error
    kind = (count, sock.family, sock.type, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    if kind != (1, socket.AF_UNIX, socket.SOCK_STREAM, 1):
        sock.detach()
        raise ValueError("systemd handed over something else than one listening Unix stream socket")
    return sock

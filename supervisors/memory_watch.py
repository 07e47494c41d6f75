"""Sessions that grow towards `[browser] memory_limit`: told, and given a new browser when they are quiet.

One that is beyond it gets a new browser at once: the kernel holds the limit only where it has the memory
controller of version 2 and the daemon may use it.
"""

from collections.abc import Iterable
from typing import Final

import structlog
import trio

from protocol.errors import RpcError
from supervisors import memory
from supervisors.session import Life, Session
from supervisors.settings import SupervisorSettings

_log = structlog.get_logger(__name__)

MEMORY_LIMIT: Final = "MEMORY_LIMIT"
PROBES: Final = 4
"""Memory is measured every so many `[liveness] probe_interval`; what is beyond the limit is seen at each."""
SAMPLED: Final = 10
"""How many browsers are measured at a time without a limit: for what a new one is expected to take."""
PATIENCE_S: Final = 600.0
"""How long a restart waits for a quiet moment."""
PAUSE_S: Final = 900.0
"""How long a session that was restarted for it is left alone: what it needs it needs."""
SHARE: Final = 0.9
"""The share of the limit at which it counts as reached: at all of it the kernel ends processes."""


class MemoryWatch:
    """Measures browsers; what it finds goes to `sizes`."""

    def __init__(self, settings: SupervisorSettings, sizes: memory.Sizes) -> None:
        self._most = settings.browser.memory_limit
        self._limit = settings.browser.memory_limit * SHARE
        self._every_s = settings.liveness.probe_interval
        self._sizes = sizes
        self._over: dict[str, float] = {}  # since when a session is over the limit
        self._restarted: dict[str, float] = {}
        self._next = 0

    async def run(self, sessions: Iterable[Session]) -> None:
        """Watch; never returns."""
        while True:
            for _ in range(PROBES):
                await trio.sleep(self._every_s)
                if self._most:
                    await self._hold(sessions)
            connected = [each for each in sessions if each.state.status == "connected"]
            if not self._limit and len(connected) > SAMPLED:
                self._next = (self._next + SAMPLED) % len(connected)
                connected = (connected + connected)[self._next : self._next + SAMPLED]
            known = {session.id for session in sessions}
            self._over = {id_: since for id_, since in self._over.items() if id_ in known}
            self._restarted = {id_: at for id_, at in self._restarted.items() if id_ in known}
            lives = [(each, each.life, each.life.pid) for each in connected if each.life is not None]
            sizes = await memory.measure([pid for _, _, pid in lives if pid is not None])
            for session, life, pid in lives:
                size = None if pid is None else sizes.get(pid)
                if size is not None and session.life is life:
                    await self._judge(session, life, size)

    async def _hold(self, sessions: Iterable[Session]) -> None:
        """End the browsers that are beyond the limit, whatever they are at."""
        lives = [(each, each.life, each.life.pid) for each in sessions if each.life is not None]
        held = await memory.held([pid for _, _, pid in lives if pid is not None])
        for session, life, pid in lives:
            size = 0 if pid is None else held[pid]
            if size > self._most and session.life is life:
                _log.warning("memory_limit_exceeded", session_id=session.id, bytes=size)
                life.end(MEMORY_LIMIT, f"it took {size >> 20} MiB, more than [browser] memory_limit")

    async def _judge(self, session: Session, life: Life, size: int) -> None:
        self._sizes.note(size)
        if not self._limit or size < self._limit:
            self._over.pop(session.id, None)
            return
        now = trio.current_time()
        if now - self._restarted.get(session.id, -PAUSE_S) < PAUSE_S:
            return
        if session.id not in self._over:
            self._over[session.id] = now
            _log.warning("memory_limit_reached", session_id=session.id, bytes=size)
            session.journal.alerted(
                "memory",
                f"The browser takes {size >> 20} MiB, {SHARE:.0%} of [browser] memory_limit or more: "
                "it is restarted when nothing is being sent",
            )
        try:
            sending = await session.journal.is_sending()
        except RpcError:  # the record cannot be read now
            sending = True
        if now - self._over[session.id] >= PATIENCE_S or not sending:
            del self._over[session.id]
            self._restarted[session.id] = now
            if session.life is life:
                life.end(MEMORY_LIMIT)

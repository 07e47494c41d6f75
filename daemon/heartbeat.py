"""Whether the daemon really answers: what its watchdog is fed on.

A loop that turns is not enough: a request must come back through a connection and its handler, the store must
take a write and give it back, and no client may wait at the socket unaccepted.
"""

from typing import Final

import apsw
import trio

from daemon.journal import now_ms
from daemon.listener import Listener
from daemon.server import Server
from daemon.service import Service
from daemon.store import StoreError
from protocol.errors import RpcError

_ACCEPT_S: Final = 1.0
_STORE_S: Final = 5.0
"""A store that takes longer is asked whether it is at work."""


async def answers(service: Service, server: Server, listener: Listener) -> bool:
    """Return whether all parts answer; waits for each as long as it takes. A daemon that stops does."""
    await service.nursery.start(_report)
    good = await _replies(server) and await _takes_and_gives(service) and await accepts(listener)
    return good or service.stopping.is_set()


async def _report(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()


async def _replies(server: Server) -> bool:
    try:
        return await server.probe()
    except OSError:  # no descriptors left: nobody else is let in either
        return False


async def _takes_and_gives(service: Service) -> bool:
    """Write and read. A refusal is an answer; a large store takes nothing while it is checked.

    Nor while it is written anew, or loses a large session: that takes as long as it takes, and begins anew
    in a daemon that was ended for it.
    """
    if service.store.checking:
        return True
    now = now_ms()

    def write(db: apsw.Connection) -> None:
        db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('heartbeat', ?)", (now,))

    def read(db: apsw.Connection) -> bool:
        return bool(db.execute("SELECT value FROM meta WHERE name = 'heartbeat'").get == now)

    try:
        with trio.move_on_after(_STORE_S):
            await service.store.write(write)
            return await service.store.read(read)
    except (RpcError, StoreError):
        return True
    return service.store.at_work


async def accepts(listener: Listener) -> bool:
    """Return whether those who wait at the socket are let in."""
    accepted = listener.accepted
    if listener.waited_for:
        await trio.sleep(_ACCEPT_S)
    return not listener.waited_for or listener.accepted > accepted

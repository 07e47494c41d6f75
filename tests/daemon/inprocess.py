"""The whole daemon in this process, without browsers, and callers of any account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from daemon import main
from daemon.access import Credentials
from daemon.config import Config, parse
from protocol.client.aio import Client, connect
from supervisors import machine
from supervisors.journal import ConnectionFacts
from supervisors.launches import Turn
from supervisors.machine import Died
from supervisors.session import Session


class LinkedLife:
    """A life without a browser, which is connected at once."""

    pid = None
    page = None

    def __init__(self, session: Session, _find_workplace: object, turn: Turn) -> None:
        self._session = session
        self._turn = turn
        self._over = trio.Event()

    async def run(self) -> Died:
        self._session.give(machine.Admitted())
        self.link()
        try:
            await self._over.wait()
        finally:
            self._turn.close()
        return Died("BROWSER_CRASHED")

    def link(self) -> None:
        number = sum(self._session.id.encode())  # another for each
        self._session.connect(ConnectionFacts(phone_number=f"+4915{number}"))

    def end(self, _cause: str, _detail: str | None = None) -> None:
        self._over.set()

    def reconnect(self) -> None:
        pass

    def end_loop(self) -> None:
        pass

    def replace_page(self) -> None:
        pass

    def take_over(self) -> None:
        pass

    def symptom(self) -> machine.Broke:
        return machine.Broke(machine.PAGE_HUNG)

    def send_outgoing(self) -> None:
        pass


class Daemon:
    """A running daemon; `as_user` connects as whoever a test wants to be."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._next = Credentials(pid=1, uid=0, gid=0)

    def credentials(self, _socket: object) -> Credentials:
        return self._next

    def next_is(self, uid: int, *groups: int) -> None:
        """Whoever connects next is this user."""
        self._next = Credentials(pid=1, uid=uid, gid=uid, groups=frozenset(groups))

    @asynccontextmanager
    async def as_user(self, uid: int, *groups: int) -> AsyncIterator[Client]:
        """Connect as this user; 0 is admin."""
        self.next_is(uid, *groups)
        async with connect(str(self.config.rpc.socket)) as client:
            assert (await client.call("daemon.whoami"))["uid"] == uid  # it has been let in as such
            yield client


@asynccontextmanager
async def daemon_in(
    directory: Path, monkeypatch: pytest.MonkeyPatch, settings: str = ""
) -> AsyncIterator[Daemon]:
    """Run a daemon with all of its files in the directory; `settings` is more TOML for it."""

    async def no_browser(_fleet: object) -> None:
        pass

    file = directory / "config.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{directory}/state"\n[rpc]\nsocket = "{directory}/wasup.sock"\n'
        f'[log]\nlevel = "error"\nformat = "json"\n{settings}\n'
    )
    config = parse(file.read_text(), {}, file=file)
    daemon = Daemon(config)
    monkeypatch.setattr("supervisors.fleet.Incarnation", LinkedLife)
    monkeypatch.setattr("daemon.main._look_for_browser", no_browser)
    monkeypatch.setattr("daemon.server.peer_credentials", daemon.credentials)
    monkeypatch.setattr("daemon.exposition.peer_credentials", daemon.credentials)
    async with trio.open_nursery() as nursery:
        with trio.fail_after(60):
            await nursery.start(main.run, config)
            yield daemon
            async with daemon.as_user(0) as admin:
                await admin.call("daemon.shutdown")

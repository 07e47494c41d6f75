"""What the daemon tells systemd, what it takes from it, and what its watchdog is fed on."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from daemon import heartbeat, main
from daemon.access import Access
from daemon.config import parse
from daemon.listener import bind
from daemon.outgoing import Limits
from daemon.server import Server
from daemon.systemd import Notifier, inherited_socket


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd would listen on, and the environment that it would give."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def heard(manager: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(manager.recv(4096).decode())
        except BlockingIOError:
            return lines


async def test_without_systemd_nobody_is_told_and_nothing_is_missed() -> None:
    notifier = Notifier({})
    await notifier.ready()
    await notifier.feed_watchdog(lambda: pytest.fail("nobody watches"))
    await notifier.keep_status(lambda: "Sessions: none")
    await Notifier({"NOTIFY_SOCKET": "/nonexistent"}).tell("READY=1")
    await Notifier({"NOTIFY_SOCKET": "@nonexistent"}).tell("READY=1")


async def test_a_reload_is_told_once_the_daemon_is_ready(manager: socket.socket) -> None:
    notifier = Notifier(os.environ)
    async with notifier.reloading():
        pass
    assert heard(manager) == []
    await notifier.ready()
    async with notifier.reloading():
        (ready, reloading) = heard(manager)
    assert ready == "READY=1"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard(manager) == ["READY=1"]


async def test_the_watchdog_is_fed_only_while_the_daemon_answers(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    notifier = Notifier({**os.environ, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    fed = []

    async def answers() -> bool:
        fed.append(heard(manager))
        if len(fed) == 4:
            await trio.sleep_forever()
        return len(fed) != 2

    with trio.move_on_after(55):
        await notifier.feed_watchdog(answers)
    assert fed == [[], ["WATCHDOG=1"], [], ["WATCHDOG=1"], [], ["WATCHDOG=1"]]


async def test_the_watchdog_of_another_process_is_not_ours() -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    await notifier.feed_watchdog(lambda: pytest.fail("it is not asked"))


async def test_the_daemon_tells_when_it_is_ready_how_it_is_and_when_it_stops(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    config = parse(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[rpc]\nsocket = "{tmp_path}/sock"\n', os.environ
    )
    listening = trio.socket.from_stdlib_socket(manager)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(main.run, config)
            told: set[str] = set()
            while not told >= {"READY=1", "STATUS=Sessions: none", "WATCHDOG=1"}:
                told.add((await listening.recv(4096)).decode())
            os.kill(os.getpid(), 15)
            while "STOPPING=1" not in told:
                told.add((await listening.recv(4096)).decode())


async def test_a_server_that_refuses_does_not_answer() -> None:
    server = Server({}, access=Access(), limits=Limits())
    server.refuse()
    assert not await server.probe()


async def test_a_client_who_waits_unaccepted_is_noticed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    listener = bind(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as client:
        assert await heartbeat.accepts(listener)
        client.connect(str(tmp_path / "sock"))
        assert not await heartbeat.accepts(listener)
        await trio.aclose_forcefully(await listener.accept())
        assert await heartbeat.accepts(listener)
    listener.close()


def test_sockets_for_another_process_are_left_alone() -> None:
    assert inherited_socket({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    assert inherited_socket({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) is None


def test_what_is_not_a_listening_socket_is_refused(tmp_path: Path) -> None:
    """`$$` of the shell is the pid of what it becomes."""
    (tmp_path / "config.toml").write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n')
    command = (
        f"exec env LISTEN_PID=$$ LISTEN_FDS=1 {sys.executable} -m daemon --config {tmp_path}/config.toml "
        "3<>/dev/null"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 1
    assert "ListenStream= in wasupd.socket" in done.stderr

"""The blocking client, in a thread of its own, against a real Unix socket."""

import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.client import feed
from protocol.client.blocking import Client, connect
from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError
from protocol.jsonrpc import encode_error

from .daemon_double import DaemonDouble, open_fds


@asynccontextmanager
async def listening(daemon: DaemonDouble, path: Path) -> AsyncIterator[None]:
    """The double at a socket; nothing may take longer than a few seconds, nothing may stay open."""
    fds = open_fds()
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, daemon.serve, [trio.SocketListener(listener)])
                yield
                nursery.cancel_scope.cancel()
    assert open_fds() == fds


async def use(daemon: DaemonDouble, directory: Path, script: Callable[[Client], Any]) -> Any:
    """Return what `script` returns, run in a thread with a client of the double."""
    path = directory / "wasup.sock"

    def run() -> Any:
        with connect(str(path)) as client:
            return script(client)

    async with listening(daemon, path):
        return await trio.to_thread.run_sync(run)


def seqs(events: Any, count: int) -> list[int]:
    return [event["seq"] for event in itertools.islice(events, count)]


async def test_a_call_returns_the_result(tmp_path: Path) -> None:
    def script(client: Client) -> object:
        assert client.call("echo") == {}
        return client.call("echo", {"sessionId": "x" * 200_000}, timeout=3, within_s=5)

    assert await use(DaemonDouble(), tmp_path, script) == {"sessionId": "x" * 200_000, "timeout": 3}


async def test_a_refusal_is_raised(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        with pytest.raises(RpcError) as refused:
            client.call("nothing.there")
        assert refused.value.code == "METHOD_NOT_FOUND"
        assert client.call("echo", n=1) == {"n": 1}

    await use(DaemonDouble(), tmp_path, script)


async def test_a_call_has_a_deadline_and_its_late_answer_is_ignored(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        with pytest.raises(CallTimeout, match=r"hold within 0\.01 s"):
            client.call("hold", within_s=0.01)
        with pytest.raises(CallTimeout):
            client.call("echo", within_s=0)
        client.call("release")
        assert client.call("echo", n=1) == {"n": 1}

    daemon = DaemonDouble()
    await use(daemon, tmp_path, script)
    assert [method for method, _ in daemon.asked] == ["hold", "release", "echo"]


async def test_a_lost_connection_is_told(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        events = client.events()
        client.call("happen")
        with pytest.raises(ConnectionLost, match="the daemon closed it"):
            client.call("drop")
        with pytest.raises(ConnectionLost):
            client.call("echo")
        assert seqs(events, 1) == [1]
        with pytest.raises(ConnectionLost):
            next(events)

    await use(DaemonDouble(), tmp_path, script)


async def test_a_client_that_was_closed_says_so(tmp_path: Path) -> None:
    client = await use(DaemonDouble(), tmp_path, lambda client: client)
    with pytest.raises(ConnectionLost, match="closed here"):
        client.call("echo")


def test_a_refused_connection_says_why() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours) as client:
        theirs.sendall(encode_error(None, RpcError("TOO_MANY_CONNECTIONS")))
        theirs.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionLost, match="TOO_MANY_CONNECTIONS"):
            client.call("echo")


def test_a_daemon_that_talks_nonsense_is_left() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours) as client:
        theirs.sendall(b"hello\n")
        with pytest.raises(ConnectionLost, match="malformed"):
            client.call("echo")


def test_half_a_request_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours) as client:
        with pytest.raises(CallTimeout):
            client.call("echo", {"data": "x" * 2_000_000}, within_s=2)  # more than the socket holds
        with pytest.raises(ConnectionLost, match="could not be sent in time"):
            client.call("echo", within_s=20)


async def test_events_come_in_order_from_the_moment_of_the_call(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        client.call("happen")
        events = client.events(types=["session.connecting"])
        replayed = client.events(after=0, sessions=["a"])
        client.call("happen")
        client.call("happen")
        assert seqs(events, 2) == [2, 3]
        assert seqs(replayed, 3) == [1, 2, 3]
        for each in (events, replayed):
            each.close()
        client.call("happen")

    daemon = DaemonDouble()
    await use(daemon, tmp_path, script)
    methods = [method for method, _ in daemon.asked]
    assert methods.count("events.unsubscribe") == 2
    assert daemon.asked[1][1] == {"types": ["session.connecting"]}
    assert daemon.asked[2][1] == {"sessions": ["a"], "after": 0}


async def test_a_slow_consumer_misses_nothing_and_may_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_WAITING", 5)
    monkeypatch.setattr(feed, "PAGE", 3)

    def script(client: Client) -> None:
        taken = []
        for event in client.events(after=0):
            taken.append(event["seq"])
            client.call("happen" if len(taken) < 60 else "echo")
            if len(taken) == 99:
                break
        assert taken == list(range(1, 100))

    daemon = DaemonDouble()
    daemon.happen(40)
    await use(daemon, tmp_path, script)
    assert "events.list" in {method for method, _ in daemon.asked}


def test_an_unreachable_daemon_is_told_with_the_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fds = open_fds()
    nowhere = str(tmp_path / "wasup.sock")
    monkeypatch.setenv("WASUP_SOCKET", nowhere)
    with pytest.raises(DaemonUnreachable, match="No such file") as unreachable:
        connect()
    assert [path for path, _ in unreachable.value.tried] == [nowhere]
    with pytest.raises(DaemonUnreachable, match="too long"):
        connect("/" + "x" * 200)
    assert open_fds() == fds

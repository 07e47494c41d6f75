"""How connections and the server end: clients that leave, defects, stops."""

import os
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from daemon.listener import bind
from daemon.outgoing import Limits
from tests.daemon.client import Client
from tests.daemon.serving import OWN, Served, code_of

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_requests_of_a_client_that_is_gone_are_given_up_after_a_grace(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    daemon = Served(Limits())
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.server.serve_stream, theirs, OWN)
        client = Client(ours)
        await client.ask("session.wait", sessionId="s", status="connected")
        await client.ask("events.subscribe")
        await client.line()
        for connection in daemon.server._connections:
            connection._outgoing.lose(None)
    assert (daemon.started, daemon.finished) == (1, 0)
    assert trio.current_time() == pytest.approx(2)


async def test_what_was_asked_is_done_though_the_client_left_at_once(daemon: Served, tmp_path: Path) -> None:
    daemon.release.set()
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        for _ in range(3):
            await client.send(
                {
                    "jsonrpc": "2.0",
                    "method": "session.wait",
                    "params": {"sessionId": "s", "status": "connected"},
                }
            )
        await client.stream.aclose()
        while daemon.finished < 3 or daemon.server.connections:
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_a_reset_in_the_middle_of_a_reply_hurts_nobody_else(daemon: Served, tmp_path: Path) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        other = await connect()
        for _ in range(20):
            client = await connect()
            await client.ask("message.list", sessionId="s")
            await client.ask("session.qr", sessionId="s")
            await client.stream.receive_some(10)
            await client.ask("session.list")
            await client.stream.aclose()
            assert "result" in await other.call("session.list")
        while daemon.server.connections > 1:
            await trio.testing.wait_all_tasks_blocked(0.01)
        await other.stream.aclose()


async def test_a_defect_in_a_connection_ends_that_one_only(
    daemon: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        good = await connect()
        await good.call("session.list")
        monkeypatch.setattr("daemon.rpc.Decoder", lambda _limit: 1 / 0)
        with structlog.testing.capture_logs() as lines:
            bad = await connect()
            assert await bad.rest() == b""
            while daemon.server.connections > 1:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert [line["event"] for line in lines] == ["connection_failed"]
        assert "result" in await good.call("session.list")
        await good.stream.aclose()
        await bad.stream.aclose()


async def test_a_stop_answers_what_is_under_way_and_refuses_what_is_new(
    autojump_clock: trio.testing.MockClock, daemon: Served
) -> None:
    async with daemon.connect() as client, trio.open_nursery() as nursery:
        await client.ask("session.wait", "done", sessionId="s", status="connected")
        await client.ask("events.subscribe", "subscribed")
        assert (await client.line())["id"] == "subscribed"
        nursery.start_soon(daemon.server.stop, 5)
        await trio.testing.wait_all_tasks_blocked()
        assert code_of(await client.call("session.list")) == (-32050, "SHUTTING_DOWN")
        daemon.release.set()
        assert (await client.line())["result"] == {"status": "s"}
        assert await client.rest() == b""
    assert trio.current_time() == 0
    assert daemon.server.connections == 0


async def test_a_stop_has_a_deadline(autojump_clock: trio.testing.MockClock, daemon: Served) -> None:
    async with daemon.connect() as client, daemon.connect_unbuffered() as deaf:
        await client.ask("session.wait", "cut", sessionId="s", status="connected")
        await deaf.ask("session.list")
        await daemon.server.stop(5)
        answer = await client.line()
        assert (answer["id"], *code_of(answer)) == ("cut", -32050, "SHUTTING_DOWN")
        assert trio.current_time() == pytest.approx(7)


async def test_one_who_has_said_all_and_waits_for_the_answer_is_told_of_a_stop(
    autojump_clock: trio.testing.MockClock, daemon: Served
) -> None:
    async with daemon.connect() as client:
        await client.ask("session.wait", "cut", sessionId="s", status="connected")
        await client.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        await daemon.server.stop(3)
        answer = await client.line()
        assert (answer["id"], *code_of(answer)) == ("cut", -32050, "SHUTTING_DOWN")
        assert trio.current_time() == pytest.approx(3)


async def test_a_stopped_server_returns_and_leaves_no_socket(daemon: Served, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = bind(path)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.server.serve, listener)
            client = Client(await trio.open_unix_socket(path))
            assert "result" in await client.call("session.list")
            await daemon.server.stop(5)
            assert await client.rest() == b""
            assert list(tmp_path.iterdir()) == []
            await client.stream.aclose()


async def test_the_kernel_says_who_asks(daemon: Served, tmp_path: Path) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        answer = await client.call("daemon.whoami")
        assert answer["result"] == {"uid": os.geteuid(), "role": "admin"}
        assert daemon.calls[0].peer.pid == os.getpid()
        await client.stream.aclose()

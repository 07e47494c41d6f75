"""What one client may take up: long lines, connections, requests under way, answers that are not read."""

import itertools
from pathlib import Path

import msgspec
import pytest
import structlog
import trio
import trio.testing

from daemon.outgoing import Limits
from tests.daemon.serving import Served, code_of

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_a_line_beyond_the_limit_is_answered_and_the_connection_closed() -> None:
    daemon = Served(Limits(max_message_bytes=1024))
    async with daemon.connect() as client:
        await client.ask("session.list", "before")
        await client.ask("session.wait", "waiting", sessionId="s", status="connected")
        await client.send(b"x" * 1024)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"x\n")
        assert (await client.line())["id"] == "before"
        assert code_of(await client.line()) == (-32600, "INVALID_REQUEST")
        assert await client.rest() == b""


async def test_a_line_of_33_mib_is_sent_in_full_and_its_refusal_read(daemon: Served, tmp_path: Path) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        await client.send(b" " * (33 * 2**20) + b"\n")
        await client.ask("session.list")
        assert code_of(await client.line()) == (-32600, "INVALID_REQUEST")
        assert await client.rest() == b""
        await client.stream.aclose()
        client = await connect()
        await client.send(b" " * (31 * 2**20))
        assert "result" in await client.call("session.list")
        await client.stream.aclose()


async def test_half_a_line_at_the_end_is_dropped_quietly(daemon: Served) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            await client.send(b'{"jsonrpc":"2.0","id":1,"method":"session.list"}')
            await client.stream.send_eof()
            assert await client.rest() == b""
    assert lines == []


@pytest.mark.parametrize("real", [True, False])
async def test_who_ends_its_direction_still_gets_what_it_asked_for(
    daemon: Served, tmp_path: Path, real: bool
) -> None:
    async with daemon.listening(tmp_path / "s") as connect, daemon.connect() as in_memory:
        client = await connect() if real else in_memory
        await client.ask("session.wait", 1, sessionId="s", status="connected")
        await client.ask("session.list", 2)
        await client.ask("events.subscribe", 3)
        await client.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked(0.01)
        daemon.release.set()
        answers = [msgspec.json.decode(line) for line in (await client.rest()).splitlines()]
        assert sorted(answer["id"] for answer in answers) == [1, 2, 3]
        await client.stream.aclose()


async def test_a_connection_too_many_is_told_so_and_closed(tmp_path: Path) -> None:
    daemon = Served(Limits(max_connections=2))
    async with daemon.listening(tmp_path / "s") as connect:
        with structlog.testing.capture_logs() as lines:
            clients = [await connect() for _ in range(3)]
            answer = await clients[2].line()
            assert code_of(answer) == (-32027, "TOO_MANY_CONNECTIONS")
            assert answer["id"] is None
            assert await clients[2].rest() == b""
            assert lines[0]["event"] == "connection_refused"
        for client in clients[:2]:
            assert "result" in await client.call("session.list")
        await clients[0].stream.aclose()
        await clients[2].stream.aclose()
        while daemon.server.connections > 1:
            await trio.testing.wait_all_tasks_blocked(0.01)
        client = await connect()
        assert "result" in await client.call("session.list")
        await client.stream.aclose()
        await clients[1].stream.aclose()


async def test_with_enough_under_way_no_more_is_read_until_some_is_done() -> None:
    daemon = Served(Limits(max_in_flight=2))
    async with daemon.connect() as client:
        for number in range(5):
            await client.ask("session.wait", number, sessionId="s", status="connected")
        await client.ask("session.list", "last")
        await trio.testing.wait_all_tasks_blocked()
        assert daemon.started == 2
        daemon.release.set()
        assert {(await client.line())["id"] for _ in range(6)} == {0, 1, 2, 3, 4, "last"}


async def test_a_batch_counts_for_its_items() -> None:
    daemon = Served(Limits(max_in_flight=2))
    async with daemon.connect() as client:
        item = {
            "jsonrpc": "2.0",
            "method": "session.wait",
            "params": {"sessionId": "s", "status": "connected"},
        }
        await client.send([{**item, "id": number} for number in range(5)])
        await trio.testing.wait_all_tasks_blocked()
        assert daemon.started == 2
        daemon.release.set()
        assert len(await client.line()) == 5


async def test_a_client_that_asks_and_never_reads_is_disconnected_and_slows_nobody(tmp_path: Path) -> None:
    daemon = Served(Limits(max_message_bytes=2**20))
    async with daemon.listening(tmp_path / "s") as connect:
        deaf, other = await connect(), await connect()

        async def pester() -> None:
            while True:
                await deaf.ask("session.qr", sessionId="a")
                assert "result" in await other.call("session.list")

        with structlog.testing.capture_logs() as lines, pytest.raises(trio.BrokenResourceError):
            await pester()
        assert [line["event"] for line in lines] == ["send_queue_overflowed"]
        await deaf.stream.aclose()
        await other.stream.aclose()


@pytest.mark.parametrize("sizes", [[100_000], [100_000] * 5 + [500_000] * 2], ids=["alike", "larger ones"])
async def test_one_who_asks_for_much_at_once_and_reads_is_served(tmp_path: Path, sizes: list[int]) -> None:
    daemon = Served(Limits(max_message_bytes=2**20))
    daemon.code_bytes = itertools.cycle(sizes)
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        request = {"jsonrpc": "2.0", "id": 1, "method": "session.qr", "params": {"sessionId": "a"}}
        await client.send(b"".join(msgspec.json.encode(request) + b"\n" for _ in range(300)))
        for _ in range(300):
            assert "result" in await client.line()
        await client.stream.aclose()


async def test_a_batch_whose_answers_would_fill_memory_is_given_up() -> None:
    daemon = Served(Limits(max_message_bytes=2**20))
    request = {"jsonrpc": "2.0", "id": 1, "method": "session.qr", "params": {"sessionId": "a"}}
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            await client.send([request] * 100)
            assert await client.rest() == b""
    assert [line["event"] for line in lines] == ["batch_answers_overflowed"]


async def test_many_quick_requests_of_one_leave_others_their_turn(
    daemon: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.rpc._TURN_S", 0.0)
    async with daemon.connect() as greedy, daemon.connect() as other:
        request = {"jsonrpc": "2.0", "method": "daemon.whoami"}
        await greedy.send([request] * 1000)
        await other.call("daemon.whoami", "other")
        place = [call.request_id for call in daemon.calls].index("other")
        assert place < 100


async def test_large_replies_wait_for_one_who_reads_slowly(tmp_path: Path) -> None:
    daemon = Served(Limits(max_message_bytes=2**20))
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        for number in range(10):
            await client.ask("message.list", number, sessionId="s")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sorted([(await client.line())["id"] for _ in range(10)]) == list(range(10))
        await client.stream.aclose()


@pytest.mark.parametrize("real", [True, False])
async def test_many_replies_at_the_same_time_wait_for_one_who_reads(tmp_path: Path, real: bool) -> None:
    """Each of them small: together they would fill the queue, and who had asked was disconnected."""
    daemon = Served(Limits(max_message_bytes=2**20))
    async with daemon.listening(tmp_path / "s") as connect, daemon.connect() as in_memory:
        client = await connect() if real else in_memory
        for number in range(20):
            await client.ask("session.incidents", number, sessionId="s")
        await trio.testing.wait_all_tasks_blocked(0.01)
        daemon.release.set()
        assert sorted([(await client.line())["id"] for _ in range(20)]) == list(range(20))
        await client.stream.aclose()


async def test_a_request_that_had_to_wait_for_its_turn_has_not_taken_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the metrics: whoever asks for too much at once would make quick methods look slow."""
    clock = [1000.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    daemon = Served(Limits(max_in_flight=1))
    async with daemon.connect() as client:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "session.wait"}
        waiting = {**asked, "params": {"sessionId": "s", "status": "connected"}}
        listing = {**asked, "id": 2, "method": "session.list"}
        await client.send(b"".join(msgspec.json.encode(each) + b"\n" for each in (waiting, listing)))
        await trio.testing.wait_all_tasks_blocked()
        clock[0] += 60
        daemon.release.set()
        assert {(await client.line())["id"], (await client.line())["id"]} == {1, 2}
        took = daemon.server._tallies.requests
        assert (took["session.wait"].sum_s, took["session.list"].sum_s) == (60, 0)

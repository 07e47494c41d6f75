"""One connection and all of them: every documented answer, every limit, every way to end."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import trio
import trio.testing

from daemon.access import Access, Credentials, Principals
from daemon.dispatch import Call, Reply
from daemon.listener import bind
from daemon.outgoing import Limits
from daemon.server import Server
from protocol.errors import RpcError
from protocol.jsonrpc import encode_notification
from protocol.methods import METHODS
from tests.daemon.client import Client

_ACCESS = Access(
    operator=Principals(uids=frozenset({200})), reader=Principals(uids=frozenset({300})), own_uid=os.geteuid()
)
_OWN = Credentials(pid=1, uid=os.geteuid(), gid=0)


class _Daemon:
    """Handlers that do as a test says, and the server that calls them."""

    def __init__(self, limits: Limits) -> None:
        self.release = trio.Event()
        self.started = 0
        self.finished = 0
        self.calls: list[Call] = []
        self.events: list[bytes] = []
        self.server = Server(
            {
                "daemon.whoami": self.whoami,
                "session.list": lambda _call, params: {"limit": params.limit},
                "session.wait": self.wait,
                "session.get": self.crash,
                "session.status": self.crash_later,
                "session.qr": lambda _call, _params: {"qrText": "x" * 100_000},
                "message.list": self.large,
                "rpc.discover": lambda _call, _params: object(),
                "events.subscribe": self.subscribe,
                "events.unsubscribe": lambda call, params: call.connection.close_subscription(
                    params.subscription
                ),
                "daemon.shutdown": lambda _call, _params: {"stopping": True},
                "session.delete": lambda _call, _params: {"deleted": True},
                "session.stop": lambda _call, _params: {"status": "inactive"},
            },
            access=_ACCESS,
            limits=limits,
        )

    def whoami(self, call: Call, _params: Any) -> object:
        self.calls.append(call)
        return {"uid": call.peer.uid, "role": call.peer.role or "none"}

    async def wait(self, _call: Call, params: Any) -> object:
        self.started += 1
        if params.session_id == "refused":
            async with trio.open_nursery():
                raise RpcError("SESSION_NOT_FOUND")
        await self.release.wait()
        self.finished += 1
        return {"status": params.session_id}

    def crash(self, _call: Call, _params: Any) -> object:
        raise ZeroDivisionError

    async def crash_later(self, _call: Call, params: Any) -> object:
        await trio.lowlevel.checkpoint()
        return self.crash(_call, params)

    async def large(self, _call: Call, _params: Any) -> object:
        await trio.lowlevel.checkpoint()
        return {"messages": "x" * 2_000_000}

    def subscribe(self, call: Call, params: Any) -> Reply:
        number, scope = call.connection.open_subscription()

        async def pump() -> None:
            if params.after == 13:
                raise ZeroDivisionError
            with scope:
                for line in self.events:
                    await call.connection.notify(line)
                await trio.sleep_forever()

        return Reply({"subscription": number}, pump)

    def connect(self, credentials: Credentials = _OWN) -> AbstractAsyncContextManager[Client]:
        """Serve a client over memory streams."""
        return self._connected(credentials, trio.testing.memory_stream_pair)

    def connect_unbuffered(self) -> AbstractAsyncContextManager[Client]:
        """The same, over streams that take a byte when it is received and not before."""
        return self._connected(_OWN, trio.testing.lockstep_stream_pair)

    @asynccontextmanager
    async def _connected(self, credentials: Credentials, pair: Callable[[], Any]) -> AsyncIterator[Client]:
        ours, theirs = pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.serve_stream, theirs, credentials)
            await trio.testing.wait_all_tasks_blocked()
            yield Client(ours)
            await ours.aclose()
            self.release.set()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[Callable[[], Any]]:
        """Serve on a real socket; gives what connects to it."""
        listener = bind(path)

        async def connect() -> Client:
            return Client(await trio.open_unix_socket(path))

        async with trio.open_nursery() as nursery:
            await nursery.start(self.server.serve, listener)
            with trio.fail_after(30):
                yield connect
            nursery.cancel_scope.cancel()
        assert not path.exists()


@pytest.fixture
def daemon() -> _Daemon:
    return _Daemon(Limits())


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted, not opened
    yield
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208  # counted, not opened


def _code(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["data"]["code"]


async def test_a_request_is_answered_with_its_id(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        for request_id in (1, "a", None, 1.5):
            answer = await client.call("session.list", request_id, limit=3)
            assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {"limit": 3}}


async def test_what_is_wrong_with_a_request_is_said_and_the_connection_goes_on(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        for line, number, request_id in (
            (b"{nonsense\n", -32700, None),
            (b'"\xff"\n', -32700, None),
            (b'{"jsonrpc":"1.0","id":7,"method":"x"}\n', -32600, 7),
            (b"[]\n", -32600, None),
            (b"1\n", -32600, None),
        ):
            await client.send(line)
            answer = await client.line()
            assert (answer["error"]["code"], answer["id"]) == (number, request_id)
        answer = await client.call("session.lits")
        assert _code(answer) == (-32601, "METHOD_NOT_FOUND")
        assert "session.list" in answer["error"]["data"]["details"]["action"]
        assert _code(await client.call("session.restart", sessionId="a")) == (-32601, "METHOD_NOT_FOUND")
        answer = await client.call("session.list", limt=1)
        assert _code(answer) == (-32602, "INVALID_PARAMS")
        assert answer["error"]["data"]["details"]["path"] == "$.limt"
        answer = await client.call("session.delete")
        assert answer["error"]["data"]["details"]["path"] == "$.sessionId"
        answer = await client.call("session.list", limit="three")
        assert answer["error"]["data"]["details"]["path"] == "$.limit"
        await client.send({"jsonrpc": "2.0", "id": 1, "method": "session.list", "params": [1]})
        assert _code(await client.line()) == (-32602, "INVALID_PARAMS")
        assert "result" in await client.call("session.list")


async def test_requests_may_come_in_pieces_and_many_at_once(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        line = b'{"jsonrpc":"2.0","id":%d,"method":"session.list"}\r\n\n'
        for start in range(0, len(line % 1), 7):
            await client.send((line % 1)[start : start + 7])
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.line())["id"] == 1
        await client.send(b"".join(line % number for number in range(500)))
        assert [(await client.line())["id"] for _ in range(500)] == list(range(500))


async def test_answers_may_overtake_each_other(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        await client.ask("session.wait", "slow", sessionId="s", status="connected")
        await client.ask("session.wait", "refused", sessionId="refused", status="connected")
        await client.ask("session.list", "quick")
        assert {(await client.line())["id"], (await client.line())["id"]} == {"quick", "refused"}
        daemon.release.set()
        assert await client.line() == {"jsonrpc": "2.0", "id": "slow", "result": {"status": "s"}}


async def test_a_handler_that_fails_is_an_internal_error_and_logged(daemon: _Daemon) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            for method in ("session.get", "session.status"):
                assert _code(await client.call(method, "r", sessionId="a")) == (-32603, "INTERNAL_ERROR")
            assert _code(await client.call("rpc.discover", "r")) == (-32603, "INTERNAL_ERROR")
            assert "result" in await client.call("session.list")
    assert [(line["event"], line["method"], line["request_id"]) for line in lines] == [
        ("request_failed", "session.get", "r"),
        ("request_failed", "session.status", "r"),
        ("request_failed", "rpc.discover", "r"),
    ]
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)


async def test_notifications_are_carried_out_and_not_answered(daemon: _Daemon) -> None:
    with structlog.testing.capture_logs():
        async with daemon.connect() as client:
            for method in ("daemon.whoami", "no.such", "session.get", "session.wait", "session.status"):
                await client.send({"jsonrpc": "2.0", "method": method, "params": {"sessionId": "a"}})
            await client.send({"jsonrpc": "2.0", "method": "daemon.whoami"})
            assert (await client.call("session.list", "only"))["id"] == "only"
    assert [call.request_id for call in daemon.calls] == [None]


async def test_a_batch_is_answered_in_one_array_when_all_is_done(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        wait = {"sessionId": "s", "status": "connected"}
        await client.send(
            [
                {"jsonrpc": "2.0", "id": 1, "method": "session.wait", "params": wait},
                {"jsonrpc": "2.0", "method": "session.list"},
                {"jsonrpc": "2.0", "method": "session.wait", "params": wait},
                {"jsonrpc": "2.0", "id": 2, "method": "session.list"},
                {"jsonrpc": "2.0", "id": 3, "method": "no.such"},
                7,
            ]
        )
        assert (await client.call("session.list", "meanwhile"))["id"] == "meanwhile"
        daemon.release.set()
        answers = await client.line()
    assert sorted((answer["id"] for answer in answers), key=str) == [1, 2, 3, None]


async def test_a_batch_of_notifications_is_not_answered(daemon: _Daemon) -> None:
    async with daemon.connect() as client:
        await client.send([{"jsonrpc": "2.0", "method": "daemon.whoami"}] * 3)
        assert (await client.call("session.list", "only"))["id"] == "only"
    assert len(daemon.calls) == 3


@pytest.mark.parametrize(
    ("uid", "allowed"),
    [
        (0, {"daemon.whoami", "session.list", "session.stop", "daemon.shutdown"}),
        (200, {"daemon.whoami", "session.list", "session.stop"}),
        (300, {"daemon.whoami", "session.list"}),
        (400, {"daemon.whoami"}),
    ],
)
async def test_a_role_may_do_what_its_row_says(daemon: _Daemon, uid: int, allowed: set[str]) -> None:
    async with daemon.connect(Credentials(pid=1, uid=uid, gid=1)) as client:
        for method in ("daemon.whoami", "session.list", "session.stop", "daemon.shutdown"):
            answer = await client.call(method, **({"sessionId": "a"} if method == "session.stop" else {}))
            assert ("result" in answer) == (method in allowed)
            if method not in allowed:
                assert _code(answer) == (-32030, "FORBIDDEN")
                details = answer["error"]["data"]["details"]
                assert details["required"] == METHODS[method].role
                assert "action" in details
        if uid == 400:
            assert (await client.call("daemon.whoami"))["result"]["role"] == "none"


async def test_new_lists_of_access_hold_for_those_who_are_connected(daemon: _Daemon) -> None:
    async with daemon.connect(Credentials(pid=1, uid=300, gid=1)) as client:
        daemon.server.set_access(Access(own_uid=1))
        assert _code(await client.call("session.list")) == (-32030, "FORBIDDEN")
        daemon.server.set_access(Access(admin=Principals(gids=frozenset({1})), own_uid=1))
        assert "result" in await client.call("daemon.shutdown")


def test_a_handler_of_a_method_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown methods: session\.fly"):
        Server({"session.fly": lambda _call, _params: None}, access=_ACCESS, limits=Limits())


async def test_a_line_beyond_the_limit_is_answered_and_the_connection_closed() -> None:
    daemon = _Daemon(Limits(max_message_bytes=1024))
    async with daemon.connect() as client:
        await client.ask("session.list", "before")
        await client.ask("session.wait", "waiting", sessionId="s", status="connected")
        await client.send(b"x" * 1024)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"x\n")
        assert (await client.line())["id"] == "before"
        assert _code(await client.line()) == (-32600, "INVALID_REQUEST")
        assert await client.rest() == b""


async def test_a_line_of_33_mib_is_sent_in_full_and_its_refusal_read(daemon: _Daemon, tmp_path: Path) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        await client.send(b" " * (33 * 2**20) + b"\n")
        await client.ask("session.list")
        assert _code(await client.line()) == (-32600, "INVALID_REQUEST")
        assert await client.rest() == b""
        await client.stream.aclose()
        client = await connect()
        await client.send(b" " * (31 * 2**20))
        assert "result" in await client.call("session.list")
        await client.stream.aclose()


async def test_half_a_line_at_the_end_is_dropped_quietly(daemon: _Daemon) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            await client.send(b'{"jsonrpc":"2.0","id":1,"method":"session.list"}')
            await client.stream.send_eof()
            assert await client.rest() == b""
    assert lines == []


@pytest.mark.parametrize("real", [True, False])
async def test_who_ends_its_direction_still_gets_what_it_asked_for(
    daemon: _Daemon, tmp_path: Path, real: bool
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
    daemon = _Daemon(Limits(max_connections=2))
    async with daemon.listening(tmp_path / "s") as connect:
        with structlog.testing.capture_logs() as lines:
            clients = [await connect() for _ in range(3)]
            answer = await clients[2].line()
            assert _code(answer) == (-32027, "TOO_MANY_CONNECTIONS")
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
    daemon = _Daemon(Limits(max_in_flight=2))
    async with daemon.connect() as client:
        for number in range(5):
            await client.ask("session.wait", number, sessionId="s", status="connected")
        await client.ask("session.list", "last")
        await trio.testing.wait_all_tasks_blocked()
        assert daemon.started == 2
        daemon.release.set()
        assert {(await client.line())["id"] for _ in range(6)} == {0, 1, 2, 3, 4, "last"}


async def test_a_batch_counts_for_its_items() -> None:
    daemon = _Daemon(Limits(max_in_flight=2))
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
    daemon = _Daemon(Limits(max_message_bytes=2**20))
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


async def test_one_who_asks_for_much_at_once_and_reads_is_served(tmp_path: Path) -> None:
    daemon = _Daemon(Limits(max_message_bytes=2**20))
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        request = {"jsonrpc": "2.0", "id": 1, "method": "session.qr", "params": {"sessionId": "a"}}
        await client.send(b"".join(msgspec.json.encode(request) + b"\n" for _ in range(300)))
        for _ in range(300):
            assert "result" in await client.line()
        await client.stream.aclose()


async def test_a_batch_whose_answers_would_fill_memory_is_given_up() -> None:
    daemon = _Daemon(Limits(max_message_bytes=2**20))
    request = {"jsonrpc": "2.0", "id": 1, "method": "session.qr", "params": {"sessionId": "a"}}
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            await client.send([request] * 100)
            assert await client.rest() == b""
    assert [line["event"] for line in lines] == ["batch_answers_overflowed"]


async def test_many_quick_requests_of_one_leave_others_their_turn(
    daemon: _Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.rpc._TURN_S", 0.0)
    async with daemon.connect() as greedy, daemon.connect() as other:
        request = {"jsonrpc": "2.0", "method": "daemon.whoami"}
        await greedy.send([request] * 1000)
        await other.call("daemon.whoami", "other")
        place = [call.request_id for call in daemon.calls].index("other")
        assert place < 100


async def test_large_replies_wait_for_one_who_reads_slowly(tmp_path: Path) -> None:
    daemon = _Daemon(Limits(max_message_bytes=2**20))
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        for number in range(10):
            await client.ask("message.list", number, sessionId="s")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sorted([(await client.line())["id"] for _ in range(10)]) == list(range(10))
        await client.stream.aclose()


async def test_the_answer_to_a_subscription_comes_before_its_first_notification(daemon: _Daemon) -> None:
    daemon.events = [encode_notification("event", {"seq": number}) for number in range(3)]
    async with daemon.connect() as client:
        assert (await client.call("events.subscribe"))["result"] == {"subscription": 1}
        assert [(await client.line())["params"]["seq"] for _ in range(3)] == [0, 1, 2]
        request = {"jsonrpc": "2.0", "id": 2, "method": "events.subscribe"}
        await client.send([request, {**request, "method": "session.list", "id": 3}])
        assert len(await client.line()) == 2
        assert [(await client.line())["params"]["seq"] for _ in range(3)] == [0, 1, 2]
        assert (await client.call("events.unsubscribe", subscription=2))["result"] is True
        assert (await client.call("events.unsubscribe", subscription=2))["result"] is False


async def test_a_replay_of_any_length_reaches_one_who_reads(tmp_path: Path) -> None:
    daemon = _Daemon(Limits(max_message_bytes=2**20))
    daemon.events = [encode_notification("event", {"seq": n, "pad": "x" * 1000}) for n in range(10_000)]
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        await client.call("events.subscribe")
        assert [(await client.line())["params"]["seq"] for _ in daemon.events] == list(range(10_000))
        await client.stream.aclose()


async def test_a_subscriber_that_never_reads_is_disconnected(
    autojump_clock: trio.testing.MockClock, daemon: _Daemon
) -> None:
    daemon.events = [encode_notification("event", {"pad": "x" * 1000})] * 10_000
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect_unbuffered() as client:
            await client.call("events.subscribe")
            await trio.sleep(Limits().stall_s - 1)
            assert daemon.server.connections == 1
            await trio.sleep(2)
            assert daemon.server.connections == 0
    assert [line["event"] for line in lines] == ["client_stalled"]


async def test_a_subscriber_that_reads_slowly_is_not(
    autojump_clock: trio.testing.MockClock, daemon: _Daemon
) -> None:
    daemon.events = [encode_notification("event", {"pad": "x" * 60_000})] * 100
    async with daemon.connect_unbuffered() as client:
        await client.call("events.subscribe")
        for _ in daemon.events:
            await trio.sleep(10)
            await client.line()
        assert daemon.server.connections == 1


async def test_a_subscription_that_fails_ends_the_connection(daemon: _Daemon) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            assert "result" in await client.call("events.subscribe", after=13)
            assert await client.rest() == b""
    assert [line["event"] for line in lines] == ["notifications_failed"]


async def test_requests_of_a_client_that_is_gone_are_given_up_after_a_grace(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    daemon = _Daemon(Limits())
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.server.serve_stream, theirs, _OWN)
        client = Client(ours)
        await client.ask("session.wait", sessionId="s", status="connected")
        await client.ask("events.subscribe")
        await client.line()
        for connection in daemon.server._connections:
            connection._outgoing.lose(None)
    assert (daemon.started, daemon.finished) == (1, 0)
    assert trio.current_time() == pytest.approx(2)


async def test_what_was_asked_is_done_though_the_client_left_at_once(daemon: _Daemon, tmp_path: Path) -> None:
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


async def test_a_reset_in_the_middle_of_a_reply_hurts_nobody_else(daemon: _Daemon, tmp_path: Path) -> None:
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
    daemon: _Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    autojump_clock: trio.testing.MockClock, daemon: _Daemon
) -> None:
    async with daemon.connect() as client, trio.open_nursery() as nursery:
        await client.ask("session.wait", "done", sessionId="s", status="connected")
        await client.ask("events.subscribe", "subscribed")
        assert (await client.line())["id"] == "subscribed"
        nursery.start_soon(daemon.server.stop, 5)
        await trio.testing.wait_all_tasks_blocked()
        assert _code(await client.call("session.list")) == (-32050, "SHUTTING_DOWN")
        daemon.release.set()
        assert (await client.line())["result"] == {"status": "s"}
        assert await client.rest() == b""
    assert trio.current_time() == 0
    assert daemon.server.connections == 0


async def test_a_stop_has_a_deadline(autojump_clock: trio.testing.MockClock, daemon: _Daemon) -> None:
    async with daemon.connect() as client, daemon.connect_unbuffered() as deaf:
        await client.ask("session.wait", "cut", sessionId="s", status="connected")
        await deaf.ask("session.list")
        await daemon.server.stop(5)
        answer = await client.line()
        assert (answer["id"], *_code(answer)) == ("cut", -32050, "SHUTTING_DOWN")
        assert trio.current_time() == pytest.approx(7)


async def test_a_stopped_server_returns_and_leaves_no_socket(daemon: _Daemon, tmp_path: Path) -> None:
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


async def test_the_kernel_says_who_asks(daemon: _Daemon, tmp_path: Path) -> None:
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        answer = await client.call("daemon.whoami")
        assert answer["result"] == {"uid": os.geteuid(), "role": "admin"}
        assert daemon.calls[0].peer.pid == os.getpid()
        await client.stream.aclose()

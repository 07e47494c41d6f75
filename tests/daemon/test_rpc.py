"""Requests and their answers: batches, notifications, roles, what is wrong with a request."""

import pytest
import structlog
import trio
import trio.testing

from daemon.access import Access, Credentials, Principals
from daemon.outgoing import Limits
from daemon.server import Server
from protocol.methods import METHODS
from tests.daemon.serving import ACCESS, Served, code_of

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_a_request_is_answered_with_its_id(daemon: Served) -> None:
    async with daemon.connect() as client:
        for request_id in (1, "a", None, 1.5):
            answer = await client.call("session.list", request_id, limit=3)
            assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {"limit": 3}}


async def test_what_is_wrong_with_a_request_is_said_and_the_connection_goes_on(daemon: Served) -> None:
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
        assert code_of(answer) == (-32601, "METHOD_NOT_FOUND")
        assert "session.list" in answer["error"]["data"]["details"]["action"]
        assert code_of(await client.call("session.restart", sessionId="a")) == (-32601, "METHOD_NOT_FOUND")
        answer = await client.call("session.list", limt=1)
        assert code_of(answer) == (-32602, "INVALID_PARAMS")
        assert answer["error"]["data"]["details"]["path"] == "$.limt"
        answer = await client.call("session.delete")
        assert answer["error"]["data"]["details"]["path"] == "$.sessionId"
        answer = await client.call("session.list", limit="three")
        assert answer["error"]["data"]["details"]["path"] == "$.limit"
        await client.send({"jsonrpc": "2.0", "id": 1, "method": "session.list", "params": [1]})
        assert code_of(await client.line()) == (-32602, "INVALID_PARAMS")
        assert "result" in await client.call("session.list")


async def test_requests_may_come_in_pieces_and_many_at_once(daemon: Served) -> None:
    async with daemon.connect() as client:
        line = b'{"jsonrpc":"2.0","id":%d,"method":"session.list"}\r\n\n'
        for start in range(0, len(line % 1), 7):
            await client.send((line % 1)[start : start + 7])
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.line())["id"] == 1
        await client.send(b"".join(line % number for number in range(500)))
        assert [(await client.line())["id"] for _ in range(500)] == list(range(500))


async def test_answers_may_overtake_each_other(daemon: Served) -> None:
    async with daemon.connect() as client:
        await client.ask("session.wait", "slow", sessionId="s", status="connected")
        await client.ask("session.wait", "refused", sessionId="refused", status="connected")
        await client.ask("session.list", "quick")
        assert {(await client.line())["id"], (await client.line())["id"]} == {"quick", "refused"}
        daemon.release.set()
        assert await client.line() == {"jsonrpc": "2.0", "id": "slow", "result": {"status": "s"}}


async def test_a_handler_that_fails_is_an_internal_error_and_logged(daemon: Served) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            for method in ("session.get", "session.status"):
                assert code_of(await client.call(method, "r", sessionId="a")) == (-32603, "INTERNAL_ERROR")
            assert code_of(await client.call("rpc.discover", "r")) == (-32603, "INTERNAL_ERROR")
            assert "result" in await client.call("session.list")
    assert [(line["event"], line["method"], line["request_id"]) for line in lines] == [
        ("request_failed", "session.get", "r"),
        ("request_failed", "session.status", "r"),
        ("request_failed", "rpc.discover", "r"),
    ]
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)


async def test_an_error_that_cannot_be_told_costs_its_request_alone(daemon: Served) -> None:
    """Found by the request fuzzer, whose page said half a character: the connection was closed."""
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            await client.ask("session.wait", "other", sessionId="s", status="connected")
            answer = await client.call("session.wait", "r", sessionId="untellable", status="connected")
            assert code_of(answer) == (-32603, "INTERNAL_ERROR")
            daemon.release.set()
            assert (await client.line())["id"] == "other"
    assert [(line["event"], line["method"], line["request_id"]) for line in lines] == [
        ("request_failed", "session.wait", "r")
    ]


async def test_notifications_are_carried_out_and_not_answered(daemon: Served) -> None:
    with structlog.testing.capture_logs():
        async with daemon.connect() as client:
            for method in ("daemon.whoami", "no.such", "session.get", "session.wait", "session.status"):
                await client.send({"jsonrpc": "2.0", "method": method, "params": {"sessionId": "a"}})
            await client.send({"jsonrpc": "2.0", "method": "daemon.whoami"})
            assert (await client.call("session.list", "only"))["id"] == "only"
    assert [call.request_id for call in daemon.calls] == [None]


async def test_a_batch_is_answered_in_one_array_when_all_is_done(daemon: Served) -> None:
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


async def test_a_batch_of_notifications_is_not_answered(daemon: Served) -> None:
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
async def test_a_role_may_do_what_its_row_says(daemon: Served, uid: int, allowed: set[str]) -> None:
    async with daemon.connect(Credentials(pid=1, uid=uid, gid=1)) as client:
        for method in ("daemon.whoami", "session.list", "session.stop", "daemon.shutdown"):
            answer = await client.call(method, **({"sessionId": "a"} if method == "session.stop" else {}))
            assert ("result" in answer) == (method in allowed)
            if method not in allowed:
                assert code_of(answer) == (-32030, "FORBIDDEN")
                details = answer["error"]["data"]["details"]
                assert details["required"] == METHODS[method].role
                assert "action" in details
        if uid == 400:
            assert (await client.call("daemon.whoami"))["result"]["role"] == "none"


async def test_new_lists_of_access_hold_for_those_who_are_connected(daemon: Served) -> None:
    async with daemon.connect(Credentials(pid=1, uid=300, gid=1)) as client:
        daemon.server.set_access(Access(own_uid=1))
        assert code_of(await client.call("session.list")) == (-32030, "FORBIDDEN")
        daemon.server.set_access(Access(admin=Principals(gids=frozenset({1})), own_uid=1))
        assert "result" in await client.call("daemon.shutdown")


def test_a_handler_of_a_method_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown methods: session\.fly"):
        Server({"session.fly": lambda _call, _params: None}, access=ACCESS, limits=Limits())

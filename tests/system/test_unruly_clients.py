"""Clients that do not behave, and disturb nobody."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from protocol.errors import RpcError
from tests.system.wasupd import Caller, Wasupd


@asynccontextmanager
async def raw(wasupd: Wasupd) -> AsyncIterator["Raw"]:
    stream = await trio.open_unix_socket(str(wasupd.socket))
    async with stream:
        yield Raw(stream)


class Raw:
    """Bytes, as any program may send them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._heard = b""

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hear(self) -> dict[str, object]:
        with trio.fail_after(30):
            while b"\n" not in self._heard:
                data = await self.stream.receive_some()
                assert data, "the daemon hung up"
                self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    async def is_closed(self) -> bool:
        with trio.fail_after(30):
            try:
                while await self.stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        return True


def _code(answer: dict[str, object]) -> tuple[object, object]:
    error = answer["error"]
    assert isinstance(error, dict)
    return error["code"], error["data"]["code"]


async def test_wrong_and_missing_parameters_are_named(call: Caller) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"name": "x", "nam": "y"}, "$.nam"),
        ({}, "$.name"),
        ({"name": 7}, "$.name"),
        ({"name": "x", "settings": {"autoReconnekt": True}}, "$.settings.autoReconnekt"),
    ]
    for params, path in wrong:
        with pytest.raises(RpcError) as refusal:
            await call("session.create", **params)
        assert (refusal.value.code, refusal.value.details["path"]) == ("INVALID_PARAMS", path)
    with pytest.raises(RpcError) as refusal:
        await call("session.creat", name="x")
    assert refusal.value.code == "METHOD_NOT_FOUND"
    assert "session.create" in str(refusal.value.details["action"])


async def test_unruly_clients_disturb_nobody(wasupd: Wasupd, call: Caller) -> None:
    async with raw(wasupd) as client:
        await client.say(b"this is no JSON\n")
        assert _code(await client.hear()) == (-32700, "PARSE_ERROR")
        await client.say(b'{"jsonrpc":"2.0","id":7,"method":"daemon.whoami"}\n')
        assert (await client.hear())["id"] == 7
        await client.say(b'{"jsonrpc":"2.0","id":8,"method":"daemon.who')  # half a line, then gone
    async with raw(wasupd) as client:
        await client.say(b'{"jsonrpc":"2.0","id":9,"method":"daemon.whoami","params":["')
        piece = b"x" * 2**20
        for _ in range(33):
            await client.say(piece)
        assert _code(await client.hear()) == (-32600, "INVALID_REQUEST")
        assert await client.is_closed()
    assert (await call("daemon.whoami"))["role"] == "admin"


@pytest.mark.parametrize("settings", [{"rpc.max_connections": 3}], indirect=True)
async def test_one_connection_too_many(wasupd: Wasupd, call: Caller) -> None:
    assert (await call("daemon.whoami"))["role"] == "admin"
    async with raw(wasupd) as second, raw(wasupd) as third:
        for client in (second, third):
            await client.say(b'{"jsonrpc":"2.0","id":1,"method":"daemon.whoami"}\n')
            assert "result" in await client.hear()
        async with raw(wasupd) as fourth:
            refused = await fourth.hear()
            assert (refused["id"], _code(refused)) == (None, (-32027, "TOO_MANY_CONNECTIONS"))
            assert await fourth.is_closed()
    assert (await call("daemon.whoami"))["role"] == "admin"


async def test_a_client_that_never_reads_is_cut_off_alone(wasupd: Wasupd, call: Caller) -> None:
    """It asks without end and takes no answer; others are answered all the while."""
    request = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n' * 100
    async with raw(wasupd) as deaf, trio.open_nursery() as nursery:

        async def pour() -> None:
            try:
                while True:
                    await deaf.say(request)
            except trio.BrokenResourceError:
                nursery.cancel_scope.cancel()

        nursery.start_soon(pour)
        with trio.fail_after(60):
            while True:
                assert (await call("daemon.whoami"))["uid"] == os.getuid()
                await trio.lowlevel.checkpoint()

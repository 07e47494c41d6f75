"""`message.send` by tag: which session it is that sends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocol.client.aio import Client
from protocol.errors import RpcError

from .inprocess import daemon_in


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as connected:
        yield connected


async def create(client: Client, session_id: str, *tags: str, started: bool = True) -> None:
    await client.call("session.create", name=session_id, id=session_id, settings={"tags": [*tags]})
    if started:
        await client.call("session.start", sessionId=session_id, wait=True)


async def send(client: Client, **where: str) -> dict[str, Any]:
    message: dict[str, Any] = await client.call("message.send", where, to="+4915110000001", text="hello")
    return message


async def test_the_connected_session_with_the_shortest_queue_sends(client: Client) -> None:
    """Nothing leaves here, so that each message makes a queue longer."""
    for session_id in ("a", "b", "c"):
        await create(client, session_id, "shop", "eu")
    await create(client, "idle", "shop", started=False)
    await create(client, "other", "desk")
    for session_id, queued in (("a", 3), ("b", 1), ("c", 2)):
        for _ in range(queued):
            await send(client, sessionId=session_id)
    chosen = [(await send(client, tag="shop"))["sessionId"] for _ in range(6)]
    assert chosen[0] == "b"
    assert sorted(chosen) == ["a", "b", "b", "b", "c", "c"]
    assert (await client.call("session.get", sessionId="idle"))["messageQueue"] == 0
    await client.call("session.stop", sessionId="a")
    assert (await send(client, tag="eu"))["sessionId"] != "a"


async def test_without_one_that_could_it_is_refused(client: Client) -> None:
    await create(client, "idle", "shop", started=False)
    with pytest.raises(RpcError, match="SESSION_NOT_CONNECTED"):
        await send(client, tag="shop")
    with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
        await send(client, tag="nothing")

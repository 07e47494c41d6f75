"""A daemon whose disk is really full: it says so, answers what it can, and goes on when there is room."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.errors import RpcError
from tests.system.conftest import ADA
from tests.system.wasupd import Caller, Wasupd
from tests.tmpfs import mounted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, for the daemon's state alone."""
    with mounted(tmp_path / "state", "8m") as directory:
        yield directory


@pytest.fixture
async def wasupd(disk: Path, tmp_path: Path) -> AsyncIterator[Wasupd]:
    """A running daemon; no session of it is linked, so that no browser is needed."""
    async with trio.open_nursery() as nursery:
        daemon = Wasupd(tmp_path, [], {})
        try:
            await daemon.start()
            nursery.start_soon(daemon.drain)
            yield daemon
            assert await daemon.end() == 0
        finally:
            with trio.CancelScope(shield=True):
                if daemon.process is not None:
                    daemon.process.kill()
                    await daemon.process.wait()
            nursery.cancel_scope.cancel()


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 1):
            with suppress(OSError):
                while file.write(b"\x00" * size):
                    pass
    return ballast


async def refused(call: Caller, method: str, **params: Any) -> str:
    with pytest.raises(RpcError) as caught:
        await call(method, **params)
    return caught.value.code


async def send_until_refused(call: Caller, accepted: list[str]) -> str:
    """Send until there is no room left in the store's own files either; return the refusal."""
    for _ in range(5000):
        try:
            accepted.append((await call.send("shop", ADA, "x" * 4000))["id"])
        except RpcError as error:
            return error.code
    raise AssertionError("the disk does not fill up")


async def everything(call: Caller, session_id: str) -> list[str]:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await call("message.list", sessionId=session_id, limit=1000, **cursor)
        found += [message["id"] for message in page["messages"]]
        if page["next"] is None:
            return found[::-1]
        cursor = {"cursor": page["next"]}


async def test_a_full_disk_is_said_and_survived(wasupd: Wasupd, call: Caller, disk: Path) -> None:
    await call.create("shop")
    await call.create("desk")
    accepted = [(await call.send("shop", ADA, "before"))["id"]]
    ballast = fill(disk)
    assert await send_until_refused(call, accepted) == "STORE_FULL"
    assert await refused(call, "session.start", sessionId="desk") == "STORE_FULL"
    assert await refused(call, "session.create", name="another") == "STORE_FULL"
    assert await refused(call, "daemon.backup") == "STORE_FULL"
    image = {"data": "AAAA" * 1000, "mimetype": "image/png"}
    assert await refused(call, "message.send", sessionId="shop", to=ADA, image=image) == "STORE_FULL"
    assert not list((disk / "sessions").rglob("media/*"))
    assert not list((disk / "backups").glob("*"))

    # what is only read goes on
    assert await everything(call, "shop") == accepted
    assert (await call("session.status", sessionId="desk"))["status"] == "inactive"
    health = await call("daemon.health")
    codes = [problem["code"] for problem in health["problems"]]
    assert (health["status"], "STORE_FULL" in codes, "BACKUP_FAILED" in codes) == ("degraded", True, True)
    assert health["store"]["freeBytes"] < 2**20

    ballast.unlink()
    with trio.fail_after(30):
        while "STORE_FULL" in [each["code"] for each in (await call("daemon.health"))["problems"]]:
            pass
    accepted.append((await call.send("shop", ADA, "after"))["id"])
    assert await everything(call, "shop") == accepted
    log = await call("events.list", types=["message.queued"], sessions=["shop"], limit=1000)
    assert log["events"][0]["data"]["message"]["id"] == accepted[0]


@pytest.mark.chrome
async def test_no_browser_is_started_on_a_full_disk(wasupd: Wasupd, call: Caller, disk: Path) -> None:
    """It says why, and spends no restart on it; there is still room for the store to note that."""
    await call.create("shop")
    await call("session.start", sessionId="shop")
    await call.wait("shop", "disconnected")  # there is no WhatsApp here
    pid = await call.pid("shop")
    ballast = fill(disk)
    os.truncate(ballast, ballast.stat().st_size - 700_000)
    os.kill(pid, signal.SIGKILL)
    with trio.fail_after(30):
        while (await call("session.status", sessionId="shop"))["reason"] != "BROWSER_UNAVAILABLE":
            pass
    problems = (await call("daemon.health"))["problems"]
    (problem,) = [each for each in problems if each.get("sessionId") == "shop"]
    assert "full" in problem["message"]
    assert "Free space" in problem["action"]


async def test_what_was_accepted_survives_a_full_disk_and_a_kill(wasupd: Wasupd, disk: Path) -> None:
    accepted: list[str] = []
    async with wasupd.client() as call:
        await call.create("shop")
        ballast = fill(disk)
        assert await send_until_refused(call, accepted) == "STORE_FULL"
    assert wasupd.process is not None
    wasupd.process.kill()
    await wasupd.process.wait()
    ballast.unlink()
    await wasupd.start()
    async with wasupd.client() as call:
        assert await everything(call, "shop") == accepted
        await call.send("shop", ADA, "after")


async def test_the_daemon_ends_in_order_on_a_full_disk(wasupd: Wasupd, disk: Path) -> None:
    async with wasupd.client() as call:
        await call.create("shop")
        fill(disk)
        assert await send_until_refused(call, []) == "STORE_FULL"

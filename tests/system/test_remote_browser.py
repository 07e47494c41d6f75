"""A Chrome that somebody else runs: sessions live in it, and outlive it where its profile does."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.errors import RpcError
from supervisors.chrome import flags
from supervisors.chrome.identity import user_agent
from supervisors.chrome.locate import locate
from tests.simulator import Simulator
from tests.system.conftest import ADA, DESK, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


class Elsewhere:
    """A Chrome with a port and a profile of its own, which can be started again and again."""

    def __init__(self, directory: Path, chrome_args: list[str]) -> None:
        self._profile = directory / "elsewhere"
        self._chrome_args = chrome_args
        self._process: trio.Process | None = None
        self.port = 0

    async def start(self) -> None:
        """Start it, on the same port as before."""
        browser = await locate("auto")
        line = flags.arguments(
            browser,
            self._profile,
            sandbox=os.geteuid() != 0,
            user_agent=user_agent(browser),
            listening=True,
            extra_args=self._chrome_args,
        )
        line[line.index("--remote-debugging-port=0")] = f"--remote-debugging-port={self.port}"
        said = self._profile / "DevToolsActivePort"
        said.unlink(missing_ok=True)
        self._process = await trio.lowlevel.open_process(
            line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        with trio.fail_after(30):
            while not said.exists() or len(said.read_text().splitlines()) < 2:  # noqa: ASYNC110  # a file
                await trio.sleep(0.05)
        self.port = int(said.read_text().splitlines()[0])

    async def kill(self) -> None:
        """End it at once, with all of its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def pages(self) -> list[str]:
        """The addresses of its open pages, as its port tells them."""
        targets: list[dict[str, Any]] = await _ask(self.port, "/json/list")
        return sorted(target["url"] for target in targets if target["type"] == "page")


async def _ask(port: int, path: str) -> Any:
    import json
    from urllib.request import urlopen

    def ask() -> Any:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:  # our own
            return json.load(response)

    return await trio.to_thread.run_sync(ask)


@asynccontextmanager
async def running(directory: Path, sim: Simulator) -> AsyncIterator[Elsewhere]:
    chrome = Elsewhere(directory, sim.chrome_args)
    try:
        await chrome.start()
        yield chrome
    finally:
        with trio.CancelScope(shield=True):
            await chrome.kill()


@pytest.fixture
async def elsewhere(sim: Simulator, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    async with running(tmp_path, sim) as chrome:
        yield chrome


@pytest.fixture
def settings(elsewhere: Elsewhere) -> dict[str, object]:
    return {
        "browser.path": "/nonexistent/no-browser-is-needed-here",
        "browser.extra_args": [],
        "browser.transport": "websocket",
        "browser.endpoint": f"http://127.0.0.1:{elsewhere.port}",
        "restart.max_restarts": 1000,
    }


async def test_a_session_lives_in_it_and_comes_back_with_it(
    sim: Simulator, elsewhere: Elsewhere, wasupd: Wasupd, call: Caller
) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    assert (await call.send("shop", ADA, "hello", wait="delivered"))["status"] == "delivered"
    assert (await call("session.get", sessionId="shop"))["process"] is None
    async with call.client.subscribe() as events:
        shop.receive(ADA, "hello shop")
        await until(events, "message.received")
        await elsewhere.kill()
        seen = await until(events, "session.disconnected")
        assert seen[-1]["data"]["reason"] == "BROWSER_CRASHED"
        shop.receive(ADA, "while it was away")
        await elsewhere.start()
        seen = await until(events, "session.recovered", "message.received")
    assert "session.qr" not in [event["type"] for event in seen]
    assert (await call.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"

    assert await call("session.stop", sessionId="shop") == {"status": "inactive"}
    with trio.fail_after(10):
        while await elsewhere.pages() != ["about:blank"]:  # noqa: ASYNC110  # it is in another process
            await trio.sleep(0.05)
    assert await call.start("shop") == "connected"


async def test_it_is_one_session_s_alone(sim: Simulator, elsewhere: Elsewhere, call: Caller) -> None:
    await call.create("shop")
    await call.create("desk")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    with pytest.raises(RpcError) as refusal:
        await call("session.start", sessionId="desk", wait=True, timeout=20)
    assert refusal.value.code == "BROWSER_UNAVAILABLE"
    assert "shop" in refusal.value.message
    assert "{session}" in str(refusal.value.details["action"])
    await call("session.stop", sessionId="desk")
    # When the first is gone the second may have the browser, without the first one's login.
    await call("session.delete", sessionId="shop")
    await call.link("desk", sim.phone(DESK))
    assert (await call("session.get", sessionId="desk"))["phoneNumber"] == DESK


async def test_a_killed_daemon_finds_its_page_again(
    sim: Simulator, elsewhere: Elsewhere, wasupd: Wasupd
) -> None:
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", sim.phone(SHOP))
    assert await wasupd.end(signal.SIGKILL) == -signal.SIGKILL
    assert f"{sim.url}" in await elsewhere.pages()
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        async with call.client.subscribe(after=0) as events:
            await until(events, "session.connected", "daemon.started", "session.connected")
        assert (await elsewhere.pages()).count(sim.url) == 1
        nursery.cancel_scope.cancel()

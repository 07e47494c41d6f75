"""A session's own proxy, in a real Chrome: used, told nobody, and when it fails that is the network."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from protocol.errors import RpcError
from tests.processes import children
from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.proxy import Proxy
from tests.system.wasupd import Caller, Wasupd, until

PASSWORD = "s3cret w0rd"  # noqa: S105  a test's


@pytest.fixture
async def proxy(sim: Simulator) -> AsyncIterator[Proxy]:
    """A proxy that leads to the simulator, for those who know the password."""
    async with trio.open_nursery() as nursery:
        proxy = Proxy("web.whatsapp.com", sim.port, f"ada:{PASSWORD}")
        await nursery.start(proxy.serve)
        yield proxy
        nursery.cancel_scope.cancel()


@pytest.mark.chrome
@pytest.mark.parametrize("settings", [{"liveness.probe_interval": 0.5}], indirect=True)
async def test_a_proxy_with_credentials(sim: Simulator, wasupd: Wasupd, call: Caller, proxy: Proxy) -> None:
    shop = sim.phone(SHOP)
    given = f"http://ada:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{proxy.port}"
    settings = {"proxy": given, "reconnectInterval": 1000, "maxReconnectAttempts": 1000}
    created = await call.create("shop", settings=settings)
    shown = created["settings"]["proxy"]
    assert shown == f"http://ada:***@127.0.0.1:{proxy.port}"
    await call.link("shop", shop)
    await call.send("shop", ADA, "through it", wait="delivered")
    assert set(proxy.tunnels) == {"web.whatsapp.com:443"}

    # Given back as it is shown, it keeps its password; a new browser uses it.
    updated = await call("session.update", sessionId="shop", settings={"proxy": shown, "markRead": True})
    assert updated["settings"]["proxy"] == shown
    tunnels = len(proxy.tunnels)
    await call("session.restart", sessionId="shop", wait=True, timeout=45)
    assert len(proxy.tunnels) > tunnels
    pid = await call.pid("shop")

    async with call.client.subscribe(sessions=["shop"]) as events, trio.open_nursery() as nursery:
        children(pid, "renderer")[0].kill()
        await until(events, "session.recovered")
        newest = (await call("session.incidents", sessionId="shop"))["incidents"][0]
        assert (newest["kind"], newest["action"]) == ("PAGE_CRASHED", "RELOADED")
        await call("session.restart", sessionId="shop", wait=True, timeout=45)  # a new budget
        pid = await call.pid("shop")
        proxy.stop()
        await until(events, "session.disconnected", reason="NETWORK")
        await call("session.reload", sessionId="shop")
        await until(events, "session.disconnected", reason="NETWORK")
        newest = (await call("session.incidents", sessionId="shop"))["incidents"][0]
        assert (newest["kind"], newest["detail"]) == ("NETWORK", "net::ERR_PROXY_CONNECTION_FAILED")
        proxy.credentials = "ada:another"
        await nursery.start(proxy.serve)
        refused = proxy.refused
        await call("session.reload", sessionId="shop")
        await until(events, "session.disconnected", reason="NETWORK")
        assert proxy.refused > refused
        proxy.credentials = f"ada:{PASSWORD}"
        await until(events, "session.recovered")
        nursery.cancel_scope.cancel()
    assert await call.pid("shop") == pid
    found = await call("session.get", sessionId="shop")
    assert found["restarts"]["count"] == 0

    told = json.dumps([found, await call("events.list", limit=1000)])
    words = [" ".join(process.info["cmdline"]) for process in wasupd.browsers()]
    assert f"--proxy-server=http://127.0.0.1:{proxy.port} " in words[0]
    for text in (told, wasupd.log.read_text(), *words):
        assert PASSWORD not in text
        assert PASSWORD.replace(" ", "%20") not in text


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://user:word@localhost:1", "SOCKS"),
        ("http://user:***@localhost:1", "give it again"),
        ("http://localhost:1/path", "Nothing may follow"),
        ("http://localhost:99999", "not the address"),
        ("http://:3128", "a host"),
    ],
)
async def test_proxies_that_could_not_work_are_refused(call: Caller, proxy: str, words: str) -> None:
    with pytest.raises(RpcError) as refusal:
        await call.create("shop", settings={"proxy": proxy})
    assert refusal.value.code == "INVALID_PARAMS"
    assert refusal.value.details["path"] == "$.settings.proxy"
    assert words in refusal.value.details["problem"]
    assert "word@" not in str(refusal.value.details)


async def test_a_browser_elsewhere_has_its_own(tmp_path: Path) -> None:
    elsewhere = {"browser.endpoint": "http://127.0.0.1:1/{session}", "browser.transport": "websocket"}
    daemon = Wasupd(tmp_path, [], elsewhere)
    await daemon.start()
    async with daemon.client() as call:
        with pytest.raises(RpcError) as refusal:
            await call.create("shop", settings={"proxy": "http://localhost:3128"})
    assert "endpoint" in refusal.value.details["problem"]
    assert await daemon.end() == 0

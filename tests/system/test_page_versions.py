"""WhatsApp's page kept at a stored version, in a real Chrome: whatever the site has by now."""

import json
from typing import Any

import pytest
import trio

from protocol.errors import RpcError
from tests.processes import children
from tests.simulator import Config, Simulator
from tests.simulator.phone import Phone
from tests.system.conftest import ADA, SHOP
from tests.system.proxy import Proxy
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

OLD, NEW = "2.3000.1040000000", "2.3000.1040000001"
QUICK = {"liveness.probe_interval": 0.3, "liveness.connect_timeout": 12, "liveness.probe_timeout": 3}


async def version(call: Caller) -> str:
    """Which page the session has, as that says itself."""
    found: str = (await call("session.get", sessionId="shop"))["connectionInfo"]["clientVersion"]
    return found


async def linked(sim: Simulator, call: Caller, **settings: object) -> Phone:
    shop = sim.phone(SHOP)
    await call.create("shop", settings={"reconnectInterval": 1000, **settings})
    await call.link("shop", shop)
    return shop


async def again(call: Caller, verb: str = "restart") -> None:
    """Have the page loaded again, and wait until the session is connected."""
    answer = await call(f"session.{verb}", sessionId="shop", wait=True, timeout=45)
    assert answer["status"] == "connected"


async def kept(call: Caller) -> dict[str, bool]:
    """What is kept, and which of it sessions are to have."""
    return {page["version"]: page["inUse"] for page in (await call("page.list"))["pages"]}


async def problems(call: Caller) -> dict[str, str]:
    """The messages of the problems that daemon.health tells, by their codes."""
    return {each["code"]: each["message"] for each in (await call("daemon.health"))["problems"]}


def documents(sim: Simulator) -> int:
    """How often the site was asked for the page."""
    return sum(request.path == "/" for request in sim.requests)


@pytest.mark.parametrize(
    "settings", [QUICK, {**QUICK, "browser.transport": "websocket"}], indirect=True, ids=["pipe", "websocket"]
)
async def test_a_session_keeps_its_page_until_it_is_updated(
    sim: Simulator, wasupd: Wasupd, call: Caller
) -> None:
    shop = await linked(sim, call)
    saved = await call("page.save", sessionId="shop")
    assert (saved["version"], saved["inUse"]) == (OLD, False)
    assert await call("page.use", version=OLD) == {"inUse": OLD}
    assert (await call("daemon.health"))["page"]["keptAt"] == OLD
    pages = wasupd.directory / "state" / "pages"
    assert {path.name: path.stat().st_mode & 0o777 for path in (pages, *pages.iterdir())} == {
        "pages": 0o700, f"{OLD}.json": 0o600, "pinned": 0o600,
    }  # fmt: skip

    sim.publish(NEW)
    for verb in ("reload", "restart"):
        await again(call, verb)
        assert await version(call) == OLD
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages("reload")  # by itself
        await until(events, "session.recovered")
        assert await version(call) == OLD
        children(await call.pid("shop"), "renderer")[0].kill()
        await until(events, "session.recovered")
        assert await version(call) == OLD
        asked = documents(sim)
        shop.push_state("CONNECTED", needsUpdate=True)  # which it cannot be given
        while not any(line["event"] == "page_update_not_taken" for line in wasupd.logged()):  # noqa: ASYNC110
            await trio.sleep(0.05)  # a file
    assert await version(call) == OLD
    assert documents(sim) == asked
    kinds = {each["kind"] for each in (await call("session.incidents", sessionId="shop"))["incidents"]}
    assert "UPDATE_WANTED" not in kinds

    updated = await call("page.update", sessionId="shop")
    assert (updated["version"], updated["inUse"]) == (NEW, True)
    assert await kept(call) == {NEW: True, OLD: False}
    assert await version(call) == NEW
    sim.publish("2.3000.1040000002")
    await again(call)
    assert await version(call) == NEW
    message = await call.send("shop", ADA, "as ever", wait="delivered")
    assert [d.id for d in shop.deliveries] == [message["id"]]

    await call("page.use", version=OLD)  # and back
    await again(call, "reload")
    assert await version(call) == OLD
    with pytest.raises(RpcError) as refusal:
        await call("page.remove", version=OLD)
    assert refusal.value.code == "INVALID_PARAMS"
    await call("page.use", version="latest")
    await call("page.remove", version=OLD)
    for unknown in (OLD, "../wasup", "2.3000.7"):
        with pytest.raises(RpcError) as refusal:
            await call("page.use", version=unknown)
        assert refusal.value.code == "PAGE_NOT_STORED"
    await again(call, "reload")
    assert await version(call) == "2.3000.1040000002"


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_an_update_is_taken_once_the_page_is_kept_no_more(sim: Simulator, call: Caller) -> None:
    """Also by a session that has the version that was kept still."""
    shop = await linked(sim, call)
    await call("page.update", sessionId="shop")
    await again(call)
    sim.publish(NEW)
    await call("page.use", version="latest")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.push_state("CONNECTED", needsUpdate=True)
        await until(events, "session.recovered")
    assert await version(call) == NEW


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_the_network_fails_as_without(sim: Simulator, call: Caller) -> None:
    """A stored page does not make up for a site that cannot be reached."""
    await linked(sim, call)
    await call("page.update", sessionId="shop")
    for trouble, words in [
        ("refused", "net::ERR_CONNECTION_REFUSED"),
        ("unavailable", "status 503"),
        ("redirect", "the page's address led to"),
        ("captive", f"the page is kept at version {OLD}"),
        ("half", f"the page is kept at version {OLD}"),
        ("half_script", f"the page is kept at version {OLD}"),
    ]:
        async with call.client.subscribe(sessions=["shop"]) as events:
            sim.down(trouble)
            await until(events, "session.disconnected", reason="NETWORK")
            await call("session.restart", sessionId="shop")
            await until(events, "session.connecting")
            seen = await until(events, "session.disconnected", reason="NETWORK")
            assert "session.connected" not in [event["type"] for event in seen]
            newest = (await call("session.incidents", sessionId="shop"))["incidents"][0]
            sim.up()
            await until(events, "session.recovered")
        assert words in newest["detail"], trouble
    found = await call("session.get", sessionId="shop")
    assert (found["restarts"]["count"], found["connectionInfo"]["clientVersion"]) == (0, OLD)


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_page_that_does_not_work_is_not_kept(sim: Simulator, call: Caller) -> None:
    await linked(sim, call)
    await call("page.update", sessionId="shop")
    sim.publish(NEW)
    sim.judge(NEW, "broken")
    async with call.client.subscribe(sessions=["shop"]) as events:
        with pytest.raises(RpcError) as refusal:
            await call("page.update", sessionId="shop")
        assert (refusal.value.code, refusal.value.details["name"]) == ("PAGE_ERROR", "LIBRARY_NOT_READY")
        await until(events, "session.connected")
    assert await version(call) == OLD
    assert await kept(call) == {OLD: True}


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
@pytest.mark.parametrize("verdict", ["refused", "updating"])
async def test_a_version_that_whatsapp_refuses(sim: Simulator, call: Caller, verdict: str) -> None:
    """Said once, with the cause; a page that loads itself again for an update gets no further."""
    await linked(sim, call)
    await call("page.update", sessionId="shop")
    sim.publish(NEW)
    sim.judge(OLD, verdict)
    async with call.client.subscribe(sessions=["shop"]) as events:
        await call("session.restart", sessionId="shop")
        asked = documents(sim)
        await until(events, "session.connecting")
        (*_, alert) = await until(events, "session.alert", kind="DEPRECATED_VERSION")
    assert f"the page is kept at version {OLD}" in alert["data"]["detail"]
    assert documents(sim) - asked <= 6
    assert OLD in (await problems(call))["DEPRECATED_VERSION"]
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
    updated = await call("page.update", sessionId="shop")
    assert (updated["version"], await version(call)) == (NEW, NEW)
    assert "DEPRECATED_VERSION" not in await problems(call)


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_version_that_is_gone(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    await linked(sim, call)
    await call("page.update", sessionId="shop")
    await wasupd.end()
    (wasupd.directory / "state" / "pages" / f"{OLD}.json").unlink()
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as anew:
        nursery.start_soon(wasupd.drain)
        await anew.wait("shop", "disconnected")
        found = await anew("session.get", sessionId="shop")
        assert (found["reason"], found["restarts"]["count"]) == ("PAGE_NOT_STORED", 0)
        assert OLD in (await problems(anew))["PAGE_NOT_STORED"]
        assert documents(sim) == 2  # none since the first start, and the update
        doctor = await trio.run_process(
            [str(wasupd.program.with_name("wasupctl")), "--json", "doctor", "--config", str(wasupd.config)],
            env={"WASUP_SOCKET": str(wasupd.socket)},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        checks: list[dict[str, Any]] = json.loads(doctor.stdout)["checks"]
        (page,) = [check for check in checks if check["name"] == "page"]
        assert (page["status"], OLD in page["message"]) == ("error", True)
        await anew("page.use", version="latest")
        assert (await anew("session.start", sessionId="shop", wait=True))["status"] == "connected"
        assert "PAGE_NOT_STORED" not in await problems(anew)
        nursery.cancel_scope.cancel()


class TestServiceWorker:
    """One that answers for the page's document with what it has kept."""

    @pytest.fixture
    def simulator_config(self) -> Config:
        return Config(service_worker=True)

    async def test_it_is_passed_by(self, sim: Simulator, call: Caller) -> None:
        await linked(sim, call)
        await sim.wait_for(lambda: any(request.path == "/active" for request in sim.requests))
        sim.publish(NEW)
        await again(call, "reload")
        assert await version(call) == OLD  # it answers
        assert (await call("page.update", sessionId="shop"))["version"] == NEW
        await again(call)
        assert await version(call) == NEW


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_proxy_that_wants_credentials(sim: Simulator, call: Caller) -> None:
    async with trio.open_nursery() as nursery:
        proxy = Proxy("web.whatsapp.com", sim.port, "ada:word")
        await nursery.start(proxy.serve)
        await linked(sim, call, proxy=f"http://ada:word@127.0.0.1:{proxy.port}")
        await call("page.update", sessionId="shop")
        sim.publish(NEW)
        for verb in ("restart", "reload"):
            tunnels = len(proxy.tunnels)
            await again(call, verb)
            assert await version(call) == OLD
            assert len(proxy.tunnels) > tunnels
        await call("session.stop", sessionId="shop")
        nursery.cancel_scope.cancel()

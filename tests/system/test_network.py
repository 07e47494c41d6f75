"""Every way in which the network can fail, in a real Chrome: the browser stays, and no restart is spent."""

from typing import Any

import pytest

from tests.simulator import Simulator
from tests.simulator.phone import Phone
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, until

pytestmark = pytest.mark.chrome

QUICK = {"liveness.probe_interval": 0.3, "liveness.connect_timeout": 9, "liveness.probe_timeout": 3}
SOON = {"reconnectInterval": 1000, "maxReconnectAttempts": 1000}
# The trouble, and what the last incident says of it.
TROUBLES = [
    ("closed", "net::ERR_CONNECTION_"),
    ("refused", "net::ERR_CONNECTION_REFUSED"),
    ("tls", "net::ERR_SSL_PROTOCOL_ERROR"),
    ("dns", "net::ERR_NAME_NOT_RESOLVED"),
    ("silent", "no answer came"),
    ("captive", "another page answers"),
    ("redirect", "the page's address led to"),
    ("unavailable", "status 503"),
    ("half", "does not load to its end"),
    ("half_script", "scripts of the page could not be loaded"),
]


async def linked(sim: Simulator, call: Caller) -> Phone:
    shop = sim.phone(SHOP)
    await call.create("shop", settings=SOON)
    await call.link("shop", shop)
    return shop


async def fetched_twice(sim: Simulator) -> None:
    """Wait until the document was asked for twice more."""

    def fetched() -> int:
        return sum(request.path == "/" for request in sim.requests)

    before = fetched()
    await sim.wait_for(lambda: fetched() >= before + 2)


async def incidents(call: Caller) -> list[dict[str, Any]]:
    """The session's incidents, newest first."""
    found: list[dict[str, Any]] = (await call("session.incidents", sessionId="shop"))["incidents"]
    return found


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_the_network_fails_while_connected_and_at_a_start(sim: Simulator, call: Caller) -> None:
    """One session goes through it all: with each trouble an outage, and a new browser in the midst of it."""
    shop = await linked(sim, call)
    for trouble, words in TROUBLES:
        async with call.client.subscribe(sessions=["shop"]) as events:
            sim.down(trouble)
            await until(events, "session.disconnected", reason="NETWORK")
            # A browser that starts during the outage finds the trouble itself, and says what it is.
            await call("session.restart", sessionId="shop")
            await until(events, "session.connecting")
            await until(events, "session.disconnected", reason="NETWORK")
            pid = await call.pid("shop")
            if trouble in ("captive", "unavailable", "half"):  # they are tried again, at the interval
                await fetched_twice(sim)
            sim.up()
            await until(events, "session.recovered")
        newest, *_ = await incidents(call)
        assert (newest["kind"], newest["action"]) == ("NETWORK", "RECONNECT")
        assert words in newest["detail"]
        assert newest["recoveredAt"] is not None
        assert await call.pid("shop") == pid
        assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
    assert {i["kind"] for i in await incidents(call)} == {"NETWORK"}
    message = await call.send("shop", ADA, "still there", wait="delivered")
    assert [d.id for d in shop.deliveries] == [message["id"]]


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_page_that_loads_itself_again_and_cannot(sim: Simulator, call: Caller) -> None:
    """The document goes before the socket does: that is the network, too."""
    await linked(sim, call)
    async with call.client.subscribe(sessions=["shop"]) as events:
        sim.server.suffer("refused")
        sim.break_pages("reload")
        await until(events, "session.disconnected", reason="NETWORK")
        sim.up()
        await until(events, "session.recovered")
    assert {i["kind"] for i in await incidents(call)} == {"NETWORK"}
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0

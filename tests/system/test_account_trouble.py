"""What WhatsApp may have against an account: said once, not hammered, over when it is over."""

from typing import Any

import pytest

from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, until

pytestmark = pytest.mark.chrome


async def _incidents(call: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call("session.incidents", sessionId="shop"))["incidents"]
    return found


@pytest.mark.parametrize("settings", [{"restart.revive_after": 1}], indirect=True)
async def test_a_ban_is_an_alert_and_tried_again_later(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.push_backend_event("account_temporarily_banned")
        seen = await until(events, "session.recovered")
        for state in ("TOS_BLOCK", "SMB_TOS_BLOCK", "DEPRECATED_VERSION", "PROXYBLOCK"):
            shop.push_state(state)
            seen += await until(events, "session.recovered")
    alerts = [event["data"]["kind"] for event in seen if event["type"] == "session.alert"]
    assert alerts == ["BANNED", "TOS_BLOCK", "TOS_BLOCK", "DEPRECATED_VERSION", "PROXYBLOCK"]
    told = [event["data"]["reason"] for event in seen if event["type"] == "session.disconnected"]
    assert told == alerts
    assert "session.restarting" not in [event["type"] for event in seen]
    found = await _incidents(call)
    assert [(i["kind"], i["action"]) for i in reversed(found)] == [(kind, "WAIT") for kind in alerts]
    assert all(i["recoveredAt"] for i in found)
    assert await call.pid("shop") == pid
    message = await call.send("shop", ADA, "good again", wait="delivered")
    assert [d.id for d in shop.deliveries] == [message["id"]]


async def test_a_conflict_is_taken_back(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop", settings={"reconnectInterval": 1000})
    await call.link("shop", shop)
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.push_state("CONFLICT")
        seen = await until(events, "session.recovered")
    assert [e["data"]["reason"] for e in seen if e["type"] == "session.disconnected"] == ["CONFLICT"]
    (incident,) = await _incidents(call)
    assert (incident["kind"], incident["action"]) == ("CONFLICT", "TAKEOVER")
    assert incident["recoveredAt"] is not None


@pytest.mark.parametrize("settings", [{"whatsapp.conflict": "yield"}], indirect=True)
async def test_a_conflict_is_yielded_where_that_is_wanted(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop", settings={"reconnectInterval": 1000})
    await call.link("shop", shop)
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.push_state("CONFLICT")
        (*_, alert) = await until(events, "session.alert")
        assert alert["data"]["kind"] == "CONFLICT"
        status = await call("session.status", sessionId="shop")
        assert (status["status"], status["reason"]) == ("disconnected", "CONFLICT")
        await call("session.start", sessionId="shop", wait=True)
    assert (await call("session.status", sessionId="shop"))["status"] == "connected"
    assert [i["action"] for i in await _incidents(call)] == ["YIELDED"]


async def test_an_unlinked_account_keeps_its_history(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    message = await call.send("shop", ADA, "before", wait="delivered")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.unlink()
        await until(events, "session.qr")
    (incident,) = await _incidents(call)
    assert (incident["kind"], incident["action"], incident["recoveredAt"]) == ("LOGGED_OUT", "NEW_QR", None)
    code = await call("session.qr", sessionId="shop")
    await shop.scan_image(code["qrCode"])
    await call.wait("shop", "connected")
    (incident,) = await _incidents(call)
    assert incident["recoveredAt"] is not None
    kept = await call("message.list", sessionId="shop")
    assert [m["id"] for m in kept["messages"]] == [message["id"]]

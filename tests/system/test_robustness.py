"""What must survive: killed daemons and browsers, half-done sends."""

import os
import signal

import pytest
import trio

from protocol.errors import RpcError
from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd, until

STRANGERS = ("+4915110000011", "+4915110000012")


@pytest.mark.chrome
async def test_sigterm_ends_in_order_and_the_next_start_needs_no_qr(sim: Simulator, wasupd: Wasupd) -> None:
    shop = sim.phone(SHOP)
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", shop)
    assert await wasupd.end(signal.SIGTERM) == 0
    assert not wasupd.socket.exists()
    assert wasupd.browsers() == []
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        await call.wait("shop", "connected")
        log = await call("events.list", types=["session.status", "daemon.stopping", "daemon.started"])
        chain = [(e["type"], e["data"].get("from"), e["data"].get("to")) for e in log["events"]]
        assert chain[-5:] == [
            ("daemon.stopping", None, None),
            ("session.status", "connected", "disconnected"),
            ("daemon.started", None, None),
            ("session.status", "disconnected", "connecting"),
            ("session.status", "connecting", "connected"),
        ]
        assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
        nursery.cancel_scope.cancel()


@pytest.mark.chrome
async def test_sigkill_of_the_daemon_leaves_no_browser_and_loses_nothing(
    sim: Simulator, wasupd: Wasupd
) -> None:
    """What was accepted is sent once, under its id, whether a page had it already or not."""
    shop = sim.phone(SHOP)
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", shop)
        shop.hold_acks()
        accepted = [await call.send("shop", to, f"{to} {n}") for n in range(3) for to in (ADA, GRACE)]
        await shop.wait_for(lambda phone: len(phone.submissions) == 2)  # the first of each chat
        browsers = wasupd.browsers()
        assert browsers
    assert await wasupd.end(signal.SIGKILL) == -signal.SIGKILL
    with trio.fail_after(10):
        for process in browsers:
            await trio.to_thread.run_sync(process.wait)
    shop.receive(ADA, "while you were away")
    shop.release_acks()
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        async with call.client.subscribe(types=["message.sent", "message.received"], after=0) as events:
            seen = await until(events, *["message.sent"] * 6)
            if "message.received" not in [event["type"] for event in seen]:
                seen += await until(events, "message.received")
        sent = [e["data"]["message"]["id"] for e in seen if e["type"] == "message.sent"]
        assert sorted(sent) == sorted(message["id"] for message in accepted)
        for chat in ("4915110000001@c.us", "4915110000002@c.us"):
            wanted = [message["id"] for message in accepted if message["chatId"] == chat]
            assert [d.id for d in shop.deliveries if d.chat == chat] == wanted
        nursery.cancel_scope.cancel()


@pytest.mark.chrome
async def test_a_chrome_killed_between_sending_and_the_ack(sim: Simulator, call: Caller) -> None:
    """WhatsApp itself sends it again; the daemon asks, waits, and does not."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    shop.hold_acks()
    message = await call.send("shop", ADA, "once")
    await shop.wait_for(lambda phone: phone.submissions)
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), signal.SIGKILL)
        await until(events, "session.recovered")
        await shop.wait_for(lambda phone: len(phone.submissions) == 2)
        shop.release_acks()
        await until(events, "message.delivered")
    assert [(s.id, s.duplicate) for s in shop.submissions] == [(message["id"], False), (message["id"], True)]
    assert [d.id for d in shop.deliveries] == [message["id"]]
    assert (await call("message.get", sessionId="shop", messageId=message["id"]))["attempts"] == 1


@pytest.mark.chrome
async def test_what_came_while_chrome_was_dead_is_caught_up(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.received"]) as events:
        os.kill(await call.pid("shop"), signal.SIGKILL)
        await call.wait("shop", "disconnected", "connecting")
        for number in range(3):
            shop.receive(ADA, f"missed {number}")
        seen = await until(events, *["message.received"] * 3)
    assert [event["data"]["message"]["text"] for event in seen] == [f"missed {n}" for n in range(3)]


@pytest.mark.chrome
async def test_a_number_that_is_not_on_whatsapp(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    with pytest.raises(RpcError) as refusal:
        await call.send("shop", "+49 30 0000000", "anybody?", wait="sent")
    assert refusal.value.code == "RECIPIENT_NOT_FOUND"
    failed = refusal.value.details["message"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "RECIPIENT_NOT_FOUND")
    # The chat of a failed message is not blocked by it, nor are others.
    assert (await call.send("shop", ADA, "hello", wait="sent"))["status"] in ("sent", "delivered")


@pytest.mark.chrome
async def test_a_number_that_could_not_be_asked_for_is_none_that_is_not_on_whatsapp(
    sim: Simulator, call: Caller
) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    for stranger in STRANGERS:
        sim.world.know(stranger)
    sim.questions_lost = 1
    assert (await call.send("shop", STRANGERS[0], "hello", wait="sent"))["status"] in ("sent", "delivered")
    sim.questions_lost = 2
    with pytest.raises(RpcError) as refusal:
        await call("number.check", sessionId="shop", phoneNumber=STRANGERS[1])
    assert (refusal.value.code, refusal.value.details["message"]) == ("PAGE_ERROR", "timed out")
    assert (await call("number.check", sessionId="shop", phoneNumber=STRANGERS[1]))["exists"]


@pytest.mark.parametrize("settings", [{"browser.path": "/nonexistent/chrome"}], indirect=True)
async def test_without_a_browser_the_session_says_so(call: Caller) -> None:
    await call.create("shop")
    with pytest.raises(RpcError) as refusal:
        await call("session.start", sessionId="shop", wait=True, timeout=20)
    assert refusal.value.code == "BROWSER_UNAVAILABLE"
    assert "/nonexistent/chrome" in refusal.value.message
    assert "[browser] path" in str(refusal.value.details["action"])
    status = await call("session.status", sessionId="shop")
    assert (status["status"], status["reason"]) == ("disconnected", "BROWSER_UNAVAILABLE")


@pytest.mark.chrome
async def test_a_reaction_whose_outcome_nobody_knows(sim: Simulator, call: Caller) -> None:
    """It takes no id, so it cannot be asked about: it is not done twice, and that is said."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.received", "message.failed"]) as events:
        shop.receive(ADA, "like this")
        (event,) = await until(events, "message.received")
        target = event["data"]["message"]["key"]
        shop.hold_acks()
        content = {"messageId": target, "emoji": "👍"}
        sent = await call("message.send", sessionId="shop", to=ADA, reaction=content)
        await shop.wait_for(lambda phone: phone.submissions)
        os.kill(await call.pid("shop"), signal.SIGKILL)
        (failed,) = await until(events, "message.failed")
    message = failed["data"]["message"]
    assert (message["id"], message["error"]["code"]) == (sent["id"], "OUTCOME_UNKNOWN")
    assert len(shop.submissions) == 1

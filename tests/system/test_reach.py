"""Lists, numbers, and the page library's other functions."""

from pathlib import Path

import pytest
import trio

from protocol.errors import RpcError
from supervisors.whatsapp import library
from supervisors.whatsapp.needs import NAMES
from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd

pytestmark = pytest.mark.chrome


async def test_lists_numbers_and_functions(sim: Simulator, call: Caller) -> None:
    """One browser for all of them: each only looks."""
    shop = sim.phone(SHOP)
    team = shop.add_group("Team", [ADA, GRACE])
    await call.create("shop")
    for method, params in (
        ("chat.list", {}),
        ("number.check", {"phoneNumber": ADA}),
        ("whatsapp.functions", {}),
        ("whatsapp.call", {"function": "chat.list"}),
    ):
        with pytest.raises(RpcError) as refusal:
            await call(method, sessionId="shop", **params)
        assert refusal.value.code == "SESSION_NOT_CONNECTED"
        assert refusal.value.details["currentStatus"] == "inactive"
    await call.link("shop", shop)
    assert "FEATURES_UNAVAILABLE" not in [p["code"] for p in (await call("daemon.health"))["problems"]]

    await call.send("shop", ADA, "hello", wait="sent")
    chats = await call("chat.list", sessionId="shop")
    assert chats["total"] == len(chats["chats"])
    assert chats["chats"][0]["id"] == "4915110000001@c.us"
    assert chats["chats"][0]["lastMessageAt"] is not None
    assert team in [chat["id"] for chat in chats["chats"] if chat["isGroup"]]
    assert len((await call("chat.list", sessionId="shop", limit=1, offset=1))["chats"]) == 1

    contacts = await call("contact.list", sessionId="shop")
    names = {contact["name"]: contact["phoneNumber"] for contact in contacts["contacts"]}
    assert names["Ada"] == ADA
    groups = await call("group.list", sessionId="shop")
    (group,) = groups["groups"]
    assert (group["id"], group["subject"]) == (team, "Team")
    assert len(group["participants"]) == 3

    known = await call("number.check", sessionId="shop", phoneNumber="+49 151 1000 0001")
    assert (known["exists"], known["chatId"], known["phoneNumber"]) == (True, "4915110000001@c.us", ADA)
    unknown = await call("number.check", sessionId="shop", phoneNumber="+49 30 0000000")
    assert unknown == {"exists": False, "chatId": None, "lid": None, "phoneNumber": None}

    functions = (await call("whatsapp.functions", sessionId="shop"))["functions"]
    assert functions == sorted(functions)
    assert {name for name in NAMES if not name.startswith("whatsapp.")} <= set(functions)

    wid = await call("whatsapp.call", sessionId="shop", function="conn.getMyUserId")
    assert str(wid).endswith("@c.us")
    found = await call("whatsapp.call", sessionId="shop", function="chat.get", args=["4915110000001@c.us"])
    assert found["id"] == "4915110000001@c.us"
    with pytest.raises(RpcError) as refusal:
        await call("whatsapp.call", sessionId="shop", function="chat.markIsRead", args=["4930111@c.us"])
    assert (refusal.value.code, refusal.value.details["pageCode"]) == ("PAGE_ERROR", "chat_not_found")
    with pytest.raises(RpcError) as refusal:
        await call("whatsapp.call", sessionId="shop", function="chat.noSuchThing")
    assert refusal.value.details["pageCode"] == "NO_SUCH_FUNCTION"
    with pytest.raises(RpcError) as refusal:
        await call(
            "whatsapp.call", sessionId="shop", function="chat.constructor.constructor", args=["return 1"]
        )
    assert refusal.value.details["pageCode"] == "NO_SUCH_FUNCTION"


async def test_a_page_that_lacks_something_costs_that_alone(
    sim: Simulator, tmp_path: Path, wasupd: Wasupd
) -> None:
    """WhatsApp Web without what edits need: said in the health, and everything else works."""
    whole = library.load("auto").source
    lacking = tmp_path / "lacking.js"
    lacking.write_text(
        whole
        + "\n;(() => { const { editMessage, ...chat } = WPP.chat;"
        + " self.WPP = Object.create(WPP, { chat: { value: chat } }); })();"
    )
    assert await wasupd.end() == 0
    wasupd.config.write_text(wasupd.config.read_text() + f'\n[whatsapp]\npage_library = "{lacking}"\n')
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        await call.create("shop")
        await call.link("shop", sim.phone(SHOP))
        problems = {p["code"]: p for p in (await call("daemon.health"))["problems"]}
        assert "edit" in problems["FEATURES_UNAVAILABLE"]["message"]
        assert problems["FEATURES_UNAVAILABLE"]["sessionId"] == "shop"
        sent = await call.send("shop", ADA, "hello", wait="sent")
        with pytest.raises(RpcError) as refusal:
            await call("message.edit", sessionId="shop", messageId=sent["id"], text="x")
        assert refusal.value.code == "PAGE_ERROR"
        nursery.cancel_scope.cancel()

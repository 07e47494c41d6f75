"""What is done beside messages, by the real page library; each only changes the simulator's page."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.handlers.page_actions import TABLE
from protocol.actions import ACTIONS, ONCE
from protocol.errors import RpcError
from protocol.methods import METHODS
from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller

PAGE = Path(__file__).parents[2] / "docs" / "actions.md"

RUN = {
    "chat.typing",
    "chat.recording",
    "chat.stopTyping",
    "chat.markRead",
    "chat.markUnread",
    "chat.archive",
    "chat.unarchive",
    "chat.pin",
    "chat.unpin",
    "chat.mute",
    "chat.unmute",
    "chat.clear",
    "chat.delete",
    "message.star",
    "message.unstar",
    "contact.block",
    "contact.unblock",
    "contact.blocked",
    "group.setSubject",
    "group.setDescription",
    "group.setAnnouncement",
    "group.setRestrict",
    "group.setEphemeral",
}
"""Those that run on the simulator, below; docs/actions.md says so of each."""


@pytest.mark.chrome
async def test_actions_by_the_real_page_library(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    team = shop.add_group("Team", [ADA, GRACE])
    await call.create("shop")
    with pytest.raises(RpcError) as refusal:
        await call("chat.archive", sessionId="shop", chatId=ADA)
    assert refusal.value.code == "SESSION_NOT_CONNECTED"
    await call.link("shop", shop)
    message = await call.send("shop", ADA, "hello", wait="sent")
    ran: set[str] = set()

    async def do(method: str, **params: object) -> Any:
        ran.add(method)
        return await call(method, sessionId="shop", **params)

    async def chat() -> Any:
        chats = (await call("chat.list", sessionId="shop"))["chats"]
        return next((one for one in chats if one["id"] == "4915110000001@c.us"), None)

    for method in ("chat.typing", "chat.recording"):
        assert await do(method, chatId=ADA, duration=0.01) == {"done": True}
    await do("chat.stopTyping", chatId="+49 151 1000 0001")

    await do("chat.markUnread", chatId=ADA)
    await do("chat.markRead", chatId=ADA)
    assert (await chat())["unreadCount"] == 0

    for _again in range(2):  # what is so already is no error
        await do("chat.archive", chatId=ADA)
        await do("chat.pin", chatId=ADA)
    assert ((await chat())["archived"], (await chat())["pinned"]) == (True, True)
    await do("chat.unarchive", chatId=ADA)
    await do("chat.unpin", chatId=ADA)
    await do("chat.mute", chatId=ADA, duration=3600)
    found = await chat()
    assert (found["archived"], found["pinned"]) == (False, False)
    assert found["mutedUntil"] is not None
    await do("chat.unmute", chatId=ADA)
    assert (await chat())["mutedUntil"] is None

    async def here() -> list[Any]:
        answer = await call("whatsapp.call", sessionId="shop", function="chat.getMessages", args=[ada_id])
        return [(one["body"], one.get("star")) for one in answer]

    ada_id = "4915110000001@c.us"
    await do("message.star", messageId=message["id"])
    await do("chat.clear", chatId=ADA)
    assert await here() == [("hello", True)]
    await do("message.unstar", messageId=message["id"])
    await do("chat.clear", chatId=ADA)
    assert await here() == []
    await do("chat.delete", chatId=ADA)
    assert await chat() is None

    await do("contact.block", contactId=ADA)
    assert await do("contact.blocked") == {"contacts": [ada_id]}
    await do("contact.unblock", contactId=ADA)
    assert await do("contact.blocked") == {"contacts": []}

    await do("group.setSubject", groupId=team, subject="The team")
    await do("group.setDescription", groupId=team, description="Who does it")
    (group,) = (await call("group.list", sessionId="shop"))["groups"]
    assert (group["subject"], group["description"]) == ("The team", "Who does it")
    await do("group.setAnnouncement", groupId=team, enabled=True)
    await do("group.setRestrict", groupId=team, enabled=False)
    await do("group.setEphemeral", groupId=team, duration=86_400)

    with pytest.raises(RpcError) as refusal:
        await call("chat.archive", sessionId="shop", chatId="+49 30 0000000")
    assert refusal.value.code == "RECIPIENT_NOT_FOUND"
    with pytest.raises(RpcError) as refusal:
        await call("group.setSubject", sessionId="shop", groupId="1-2@g.us", subject="x")
    assert (refusal.value.code, refusal.value.details["pageCode"]) == ("PAGE_ERROR", "chat_not_found")
    picture = {"data": base64.b64encode(b"GIF").decode(), "path": "/etc/passwd"}
    with pytest.raises(RpcError) as refusal:
        await call("profile.setPicture", sessionId="shop", image=picture)
    assert refusal.value.code == "INVALID_PARAMS"
    assert ran == RUN

    functions = (await call("whatsapp.functions", sessionId="shop"))["functions"]
    assert {action.function for action in TABLE.values()} <= set(functions)


def test_every_action_has_its_function_and_its_row() -> None:
    names = [name for name, *_ in ACTIONS]
    assert len(names) == len(set(names))
    assert set(names) == set(TABLE)
    assert set(names) >= ONCE | RUN
    assert set(names) <= set(METHODS)
    for name in ONCE:
        assert "OUTCOME_UNKNOWN" in METHODS[name].errors


def test_the_page_says_which_were_ever_run() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \| (yes|no) \|$", PAGE.read_text(), re.MULTILINE)
    assert {name: (function, run) for name, function, run in rows} == {
        name: (action.function, "yes" if name in RUN else "no") for name, action in TABLE.items()
    }

"""Reactions, edits, revocations, forwarding, reading; messages that cannot be read, or not be sent."""

from pathlib import Path

import pytest

from tests.simulator import Phone, Simulator, SimulatorError
from tests.simulator_tests.browser import Page, PageError
from tests.simulator_tests.conftest import ADA, GRACE, linked

pytestmark = pytest.mark.chrome

CHAT = "4915110000001@c.us"
OPTIONS = {"markIsRead": False, "detectMentioned": False, "linkPreview": False, "waitForAck": True}


async def send(page: Page, id_: str, text: str = "hello") -> str:
    key = f"true_{CHAT}_{id_}"
    await page.wpp("chat.sendTextMessage", CHAT, text, {**OPTIONS, "messageId": key})
    return key


async def show(page: Page, key: str, expression: str) -> object:
    return await page.evaluate(f"(m => {expression})(WPP.whatsapp.MsgStore.get('{key}'))")


async def reactions(page: Page, phone: Phone) -> None:
    key = await send(page, "R1")
    phone.react(ADA, "R1", "👍")
    reaction = await page.event("chat.new_reaction")
    assert (reaction["msgId"], reaction["reactionText"], reaction["sender"]) == (key, "👍", CHAT)
    phone.react(ADA, "R1", "")
    assert (await page.event("chat.new_reaction"))["reactionText"] == ""
    assert phone.message("R1").reactions == {}
    entry = phone.receive(ADA, "nice?")
    received = (await page.event("chat.new_message", fromMe=False))["id"]
    assert await page.wpp("chat.sendReactionToMessage", received, "❤️") == {"sendMsgResult": "OK"}
    assert (phone.submissions[-1].kind, phone.submissions[-1].target) == ("reaction", entry.id)
    assert phone.message(entry.id).reactions == {phone.number: "❤️"}
    own = await page.event("chat.new_reaction")
    assert (own["sender"], own["reactionText"]) == (phone.wid, "❤️")
    mine = f"(async () => (await WPP.chat.getReactions('{received}')).reactionByMe.reactionText)()"
    assert await page.evaluate(mine) == "❤️"
    await page.wpp("chat.sendReactionToMessage", received, "")
    assert phone.message(entry.id).reactions == {}
    with pytest.raises(SimulatorError, match="not in the chat"):
        phone.react(GRACE, "R1", "👍")


async def edits(page: Page, phone: Phone) -> None:
    key = await send(page, "E1", "helo")
    answer = await page.wpp("chat.editMessage", key, "hello", OPTIONS)
    assert (answer["id"], answer["sendMsgResult"]) == (key, None)
    submission = phone.submissions[-1]
    assert (submission.kind, submission.target, submission.text) == ("protocol", "E1", "hello")
    assert phone.message("E1").text == "hello"
    edited = await page.event("chat.msg_edited")
    assert (edited["id"], edited["body"], edited["chat"]) == (key, "hello", CHAT)
    entry = phone.receive(ADA, "hell")
    received = (await page.event("chat.new_message", fromMe=False))["id"]
    phone.edit(ADA, entry.id, "hello too")
    edited = await page.event("chat.msg_edited")
    # Of a message that came in, the event's chat is the one it was sent to: this account.
    assert (edited["id"], edited["body"], edited["chat"]) == (received, "hello too", phone.wid)
    with pytest.raises(PageError, match="Cannot edit this message"):
        await page.wpp("chat.editMessage", received, "mine", OPTIONS)
    with pytest.raises(SimulatorError, match="not a message of"):
        phone.edit(ADA, "E1", "x")


async def revocations(page: Page, phone: Phone) -> None:
    key = await send(page, "D1", "oops")
    answer = await page.wpp("chat.deleteMessage", CHAT, key, False, True)
    assert answer == {
        "id": key, "sendMsgResult": "OK", "isRevoked": True, "isDeleted": False, "isSentByMe": True,
    }  # fmt: skip
    assert (phone.submissions[-1].kind, phone.submissions[-1].target) == ("protocol", "D1")
    assert phone.message("D1").revoked
    assert await show(page, key, "m.type") == "revoked"
    entry = phone.receive(ADA, "oops too")
    received = (await page.event("chat.new_message", fromMe=False))["id"]
    phone.revoke(ADA, entry.id)
    revoked = await page.event("chat.msg_revoke")
    assert (revoked["refId"], revoked["from"], revoked["author"]) == (received, CHAT, CHAT)
    assert (revoked["to"], revoked["type"]) == (phone.wid, "sender_revoke")
    assert await page.evaluate(f"WPP.whatsapp.MsgStore.get('{received}').type") == "revoked"
    local = await send(page, "D2", "here alone")
    answer = await page.wpp("chat.deleteMessage", CHAT, local, False, False)
    assert (answer["isRevoked"], answer["isDeleted"]) == (False, True)
    assert phone.message("D2").text == "here alone"


async def forwarding(page: Page, phone: Phone) -> None:
    entry = phone.receive_media(ADA, "image", b"not much of a picture", "image/jpeg", caption="see")
    received = (await page.event("chat.new_message", fromMe=False))["id"]
    await page.wpp("chat.forwardMessages", "4915110000002@c.us", [received], {"displayCaptionText": True})
    copy = phone.submissions[-1]
    assert (copy.kind, copy.chat, copy.text) == ("image", "4915110000002@c.us", "see")
    assert copy.content["isForwarded"] is True
    assert phone.media(copy.id) == phone.media(entry.id)
    await page.wpp("chat.forwardMessage", "4915110000002@c.us", received)
    assert phone.submissions[-1].kind == "image"


async def reading(page: Page, phone: Phone) -> None:
    ids = [phone.receive(ADA, text).id for text in ("one", "two")]
    await page.event("chat.unread_count_changed", chat=CHAT, unreadCount=2)
    assert phone.read_receipts == []
    assert await page.evaluate(
        f"WPP.chat.markIsRead('{CHAT}').then(a => [String(a.wid), a.unreadCount])"
    ) == [CHAT, 2]
    await phone.wait_for(lambda p: p.read_receipts)
    assert [(r.chat, list(r.ids)) for r in phone.read_receipts] == [(CHAT, ids)]
    counts = "(async () => (await WPP.chat.list({onlyWithUnreadMessage: true})).length)()"
    assert await page.evaluate(counts) == 0


async def hidden(page: Page, phone: Phone) -> None:
    entry = phone.receive(ADA, "secret", hidden=True)
    first = await page.event("chat.new_message")
    assert (first["type"], first.get("body")) == ("ciphertext", None)
    phone.reveal(entry.id)
    second = await page.event("chat.new_message")
    assert (second["id"], second["type"], second["body"]) == (first["id"], "chat", "secret")


async def no_sessions(page: Page, phone: Phone) -> None:
    phone.fail_sends(2)
    for _ in range(2):
        with pytest.raises(PageError, match="No sessions"):
            await send(page, "N1")
        assert await show(page, f"true_{CHAT}_N1", "m.ack") == -1
    await send(page, "N1")
    tries = [s for s in phone.submissions if s.id == "N1"]
    assert [(s.id, s.accepted, s.error) for s in tries] == [
        ("N1", False, "No sessions"),
        ("N1", False, "No sessions"),
        ("N1", True, None),
    ]
    assert [d.id for d in phone.deliveries].count("N1") == 1


async def test_actions(sim: Simulator, profile: Path) -> None:
    """All of the above in one browser, one after the other."""
    async with linked(sim, profile) as (page, phone):
        for scenario in (reading, reactions, edits, revocations, forwarding, hidden, no_sessions):
            page.events.clear()
            await scenario(page, phone)

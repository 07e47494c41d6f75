"""Direct chats that go by the hidden id of a person."""

from pathlib import Path

import pytest
import trio

from tests.simulator import Config, Simulator
from tests.simulator.wids import lid_wid
from tests.simulator_tests.browser import PageError, browser
from tests.simulator_tests.conftest import ADA, ALICE, GRACE, linked

pytestmark = pytest.mark.chrome

CHAT = "4915110000001@c.us"
LID = lid_wid(ADA)
OPTIONS = {"markIsRead": False, "detectMentioned": False, "linkPreview": False, "waitForAck": True}


@pytest.fixture
def config() -> Config:
    return Config(lid_chats=True)


async def test_all_chats(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        chats = "(async () => (await WPP.chat.list()).map(c => [String(c.id), c.formattedTitle]))()"
        assert await page.evaluate(chats) == [[LID, "Ada"], [lid_wid(GRACE), "Grace"]]
        assert await page.evaluate(f"WPP.chat.find('{CHAT}').then(c => String(c.id))") == LID
        exists = f"WPP.contact.queryWidExists('{CHAT}').then(f => [String(f.wid), String(f.lid)])"
        assert await page.evaluate(exists) == [CHAT, LID]
        wrong = f"true_{CHAT}_L0"
        with pytest.raises(PageError, match="remote ID is not same"):
            await page.wpp("chat.sendTextMessage", CHAT, "x", {**OPTIONS, "messageId": wrong})
        key = f"true_{LID}_L1"
        sent = await page.wpp("chat.sendTextMessage", CHAT, "hello", {**OPTIONS, "messageId": key})
        assert (sent["id"], sent["to"], sent["from"]) == (key, LID, phone.account.lid)
        submission = phone.submissions[-1]
        assert (submission.chat, submission.to) == (CHAT, LID)
        change = await page.event("chat.msg_ack_change", ack=2)
        assert change["ids"] == [key]
        entry = phone.receive(ADA, "hi")
        news = await page.event("chat.new_message", fromMe=False)
        assert (news["id"], news["from"]) == (f"false_{LID}_{entry.id}", LID)
        pair = "WPP.contact.getPnLidEntry('{}').then(e => [e.phoneNumber._serialized, e.lid._serialized])"
        assert await page.evaluate(pair.format(LID)) == [CHAT, LID]
        assert await page.evaluate(pair.format(CHAT)) == [CHAT, LID]
        stranger = "+4915119999999"
        phone.receive(stranger, "who?")
        assert (await page.event("chat.new_message", body="who?"))["from"] == lid_wid(stranger)
        await phone.wait_for(lambda p: len(p.receptions) == 2)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.main()
            expected = ["4915119999999@c.us", lid_wid(stranger)]
            assert await page.evaluate(pair.format(lid_wid(stranger))) == expected


async def test_one_chat(profile: Path) -> None:
    from tests.simulator import serve

    async with serve() as sim:
        sim.phone(ALICE).add_contact(GRACE, "Grace", lid_chats=True)
        async with linked(sim, profile) as (page, _):
            chats = "(async () => (await WPP.chat.list()).map(c => String(c.id)))()"
            assert await page.evaluate(chats) == [CHAT, lid_wid(GRACE)]

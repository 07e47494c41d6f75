"""Places, contacts and polls, out under a chosen id and in."""

from pathlib import Path
from typing import Any

import pytest

from tests.simulator import Phone, Simulator, SimulatorError
from tests.simulator.ledger import Submission
from tests.simulator_tests.browser import Page
from tests.simulator_tests.conftest import ADA, GRACE, linked

pytestmark = pytest.mark.chrome

CHAT = "4915110000001@c.us"
OPTIONS = {"markIsRead": False, "detectMentioned": False, "waitForAck": True}


async def sent(page: Page, phone: Phone, function: str, id_: str, *args: Any, **options: Any) -> Submission:
    key = f"true_{CHAT}_{id_}"
    options |= OPTIONS | {"messageId": key}
    args = ({**args[0], **options},) if function == "sendLocationMessage" else (*args, options)
    answer = await page.wpp(f"chat.{function}", CHAT, *args)
    assert answer["id"] == key
    assert answer["sendMsgResult"]["messageSendResult"] == "OK"
    assert phone.submissions[-1].id == id_
    return phone.submissions[-1]


async def places_contacts_polls_out(page: Page, phone: Phone) -> None:
    place = await sent(page, phone, "sendLocationMessage", "PLACE", {"lat": "52.5", "lng": 13, "name": "B"})
    assert place.kind == "location"
    assert (place.content["lat"], place.content["lng"], place.content["loc"]) == (52.5, 13, "B")
    card = await sent(
        page, phone, "sendVCardContactMessage", "CARD", {"id": "4915110000002@c.us", "name": "Grace H."}
    )
    assert (card.kind, card.content["vcardFormattedName"]) == ("vcard", "Grace H.")
    assert "waid=4915110000002:+4915110000002" in card.text
    cards = await sent(page, phone, "sendVCardContactMessage", "CARDS", [CHAT, "4915110000002@c.us"])
    assert [each["displayName"] for each in cards.content["vcardList"]] == ["Ada", "Grace"]
    assert cards.kind == "multi_vcard"
    poll = await sent(page, phone, "sendCreatePollMessage", "POLL", "When?", ["now", "later"])
    assert (poll.kind, poll.content["pollName"]) == ("poll_creation", "When?")
    assert [option["name"] for option in poll.content["pollOptions"]] == ["now", "later"]
    assert [d.kind for d in phone.deliveries] == ["location", "vcard", "multi_vcard", "poll_creation"]


async def places_contacts_polls_in(page: Page, phone: Phone) -> None:
    phone.receive_location(ADA, 52.5, 13.4, "Berlin")
    place = await page.event("chat.new_message", type="location")
    read = "(m => [m.lat, m.lng, m.loc])(WPP.whatsapp.MsgStore.get('{}'))"
    assert await page.evaluate(read.format(place["id"])) == [52.5, 13.4, "Berlin"]
    phone.receive_contact(ADA, "Grace", GRACE)
    card = await page.event("chat.new_message", type="vcard")
    assert "FN:Grace" in card["body"]
    entry = phone.receive_poll(ADA, "Tea?", ["yes", "no"], most=1)
    poll = await page.event("chat.new_message", type="poll_creation")
    plain = "[m.pollName, m.pollOptions, m.pollSelectableOptionsCount]"
    read = f"(m => {plain})(WPP.whatsapp.MsgStore.get('{poll['id']}'))"
    options = [{"name": "yes", "localId": 0}, {"name": "no", "localId": 1}]
    assert await page.evaluate(read) == ["Tea?", options, 1]
    phone.vote(ADA, entry.id, ["no"])
    response = await page.event("chat.poll_response")
    # The chosen options stand at the places of their local ids, with holes between them.
    assert response["selectedOptions"] == [None, {"name": "no", "localId": 1}]
    assert (response["msgId"], response["chatId"], response["sender"]) == (poll["id"], CHAT, CHAT)
    votes = f"(async () => (await WPP.chat.getVotes('{poll['id']}')).votes.map(v => String(v.sender)))()"
    assert await page.evaluate(votes) == [CHAT]
    phone.vote(ADA, entry.id, [])
    assert (await page.event("chat.poll_response"))["selectedOptions"] == []
    with pytest.raises(SimulatorError, match="can be answered with"):
        phone.vote(ADA, entry.id, ["perhaps"])


async def quotes_and_mentions(page: Page, phone: Phone) -> None:
    group = phone.add_group("Lab", [ADA, GRACE])
    await page.event_equal("chat.new_chat", group)
    entry = phone.receive(ADA, "who?", group=group)
    quoted = (await page.event("chat.new_message"))["id"]
    options = {
        **OPTIONS,
        "quotedMsg": quoted,
        "mentionedList": ["4915110000002@c.us"],
        "linkPreview": False,
    }
    await page.wpp("chat.sendTextMessage", group, "@4915110000002", options)
    submission = phone.submissions[-1]
    assert (submission.quoted_id, submission.mentions) == (entry.id, ("4915110000002@c.us",))
    phone.receive(GRACE, "me!", group=group, quoting=submission.id, mentions=[ADA])
    back = await page.event("chat.new_message", body="me!")
    read = "(m => [m.quotedStanzaID, m.mentionedJidList.map(String)])(WPP.whatsapp.MsgStore.get('{}'))"
    assert await page.evaluate(read.format(back["id"])) == [submission.id, [CHAT]]


async def test_kinds(sim: Simulator, profile: Path) -> None:
    """All of the above in one browser, one after the other."""
    async with linked(sim, profile) as (page, phone):
        for scenario in (places_contacts_polls_out, places_contacts_polls_in, quotes_and_mentions):
            page.events.clear()
            await scenario(page, phone)

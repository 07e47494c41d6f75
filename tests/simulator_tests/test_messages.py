"""Messages out and in, their acknowledgments, groups, and what survives a kill."""

from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator import Simulator
from tests.simulator_tests.browser import Page, PageError, browser
from tests.simulator_tests.conftest import ADA, ALICE, GRACE, linked

pytestmark = pytest.mark.chrome

CHAT = "4915110000001@c.us"
OPTIONS = {"createChat": True, "linkPreview": False, "detectMentioned": False, "markIsRead": False}


async def send(page: Page, chat: str, text: str, **options: Any) -> Any:
    return await page.wpp("chat.sendTextMessage", chat, text, OPTIONS | options)


async def texts(page: Page, chat: str = CHAT, **options: Any) -> Any:
    messages = f"await WPP.chat.getMessages('{chat}', {{count: 20, ...{options or {}}}})"
    return await page.evaluate(f"(async () => ({messages}).map(m => m.body))()")


async def test_out_under_a_chosen_id(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        key = f"true_{CHAT}_WASUP0001"
        sent = await send(page, CHAT, "hello", messageId=key, waitForAck=True)
        assert sent["id"] == key
        assert sent["sendMsgResult"]["messageSendResult"] == "OK"
        for ack in (1, 2):
            change = await page.event("chat.msg_ack_change")
            assert (change["ack"], change["chat"], change["ids"]) == (ack, CHAT, [key])
        assert phone.read(ADA) == 1
        change = await page.event("chat.msg_ack_change")
        assert (change["ack"], change["ids"]) == (3, [key])
        assert await page.evaluate(f"(async () => (await WPP.chat.getMessageById('{key}')).ack)()") == 3
        assert [(s.id, s.chat, s.text, s.duplicate) for s in phone.submissions] == [
            ("WASUP0001", CHAT, "hello", False)
        ]
        assert [(d.id, d.recipient) for d in phone.deliveries] == [("WASUP0001", ADA)]


async def test_in_and_from_the_phone(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        entry = phone.receive(ADA, "hello")
        message = await page.event("chat.new_message")
        assert message["id"] == f"false_{CHAT}_{entry.id}"
        assert (message["body"], message["from"], message["type"]) == ("hello", CHAT, "chat")
        own = phone.write(ADA, "typed on the phone")
        message = await page.event("chat.new_message", fromMe=True)
        assert (message["id"], message["from"]) == (f"true_{CHAT}_{own.id}", phone.wid)
        await phone.wait_for(lambda p: len(p.receptions) == 2)
        assert await texts(page) == ["hello", "typed on the phone"]
        stranger = phone.receive("+4915119999999", "who am I?")
        assert (await page.event("chat.new_message"))["id"] == f"false_4915119999999@c.us_{stranger.id}"


async def test_a_group(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        group = phone.add_group("Lab", [ADA, GRACE])
        await page.event_equal("chat.new_chat", group)
        entry = phone.receive(GRACE, "hello all", group=group)
        message = await page.event("chat.new_message")
        assert message["id"] == f"false_{group}_{entry.id}_4915110000002@c.us"
        assert message["author"] == "4915110000002@c.us"
        key = f"true_{group}_WASUPG1_{phone.account.lid}"
        sent = await send(page, group, "hello Grace", messageId=key)
        assert (sent["id"], sent["to"]) == (key, group)
        assert {d.recipient for d in phone.deliveries} == {ADA, GRACE}
        phone.read(group, by=ADA)
        change = await page.event("chat.msg_ack_change", ack=3)
        assert (change["chat"], change["sender"]) == (group, CHAT)
        assert change["ids"] == [f"true_{group}_WASUPG1_{CHAT}"]
        assert await page.evaluate(f"(async () => (await WPP.chat.getMessageById('{key}')).ack)()") == 2
        phone.read(group)
        await page.event("chat.msg_ack_change", ack=3)
        assert await page.evaluate(f"(async () => (await WPP.chat.getMessageById('{key}')).ack)()") == 3
        own = phone.write(group, "from the phone")
        assert (await page.event("chat.new_message", fromMe=True))[
            "id"
        ] == f"true_{group}_{own.id}_{phone.account.lid}"
        names = "(async () => (await WPP.group.getAllGroups()).map(g => g.formattedTitle))()"
        assert await page.evaluate(names) == ["Lab"]
        members = f"(async () => (await WPP.group.getParticipants('{group}')).map(p => p.id.toString()))()"
        assert await page.evaluate(members) == [phone.wid, CHAT, "4915110000002@c.us"]


async def test_a_reply(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        entry = phone.receive(ADA, "hello?")
        quoted = (await page.event("chat.new_message"))["id"]
        await send(page, CHAT, "yes", quotedMsg=quoted)
        assert phone.messages[-1].message.content["quotedStanzaID"] == entry.id
        assert phone.messages[-1].message.content["quotedMsg"] == {"type": "chat", "body": "hello?"}


async def test_who_exists(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        assert sim.know("+4915112222222") == "4915112222222@c.us"
        exists = "(async () => (await WPP.contact.queryWidExists('{}'))?.wid.toString() ?? null)()"
        assert await page.evaluate(exists.format(CHAT)) == CHAT
        assert await page.evaluate(exists.format("4915112222222@c.us")) == "4915112222222@c.us"
        assert await page.evaluate(exists.format("4915113333333@c.us")) is None
        with pytest.raises(PageError, match="No LID for user"):
            await send(page, "4915113333333@c.us", "hello?")
        with pytest.raises(PageError, match="Group metadata not found"):
            await send(page, "120363000000999999@g.us", "hello?")
        await send(page, "4915112222222@c.us", "a chat that was not there")
        assert [s.chat for s in phone.submissions] == ["4915112222222@c.us"]


async def test_the_library_refuses_by_name(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        code = (
            "(async () => {{ try {{ return await WPP.chat.{} }} catch (error) {{ return error.code }} }})()"
        )
        get = "getMessageById('true_{}_NOTHERE')"
        assert await page.evaluate(code.format(get.format(CHAT))) == "msg_not_found"
        assert await page.evaluate(code.format(get.format("4915113333333@c.us"))) == "chat_not_found"
        text = "sendTextMessage('" + CHAT + "', 'x', {{messageId: '{}'}})"
        assert (
            await page.evaluate(code.format(text.format(f"false_{CHAT}_X"))) == "message_key_is_not_from_me"
        )
        other = "message_key_remote_id_is_not_same_of_chat"
        assert await page.evaluate(code.format(text.format("true_4915110000002@c.us_X"))) == other
        assert phone.submissions == []


async def test_lists(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    group = phone.add_group("Lab", [ADA])
    phone.receive(ADA, "before there was a page")
    async with linked(sim, profile) as (page, _):
        plain = "c => [c.id.toString(), c.formattedTitle, c.unreadCount]"
        chats = f"(async () => (await WPP.chat.list()).map({plain}))()"
        assert await page.evaluate(chats) == [
            [CHAT, "Ada", 1],
            ["4915110000002@c.us", "Grace", 0],
            [group, "Lab", 0],
        ]
        contacts = (
            "(async () => (await WPP.contact.list({onlyMyContacts: true})).map(c => c.formattedName))()"
        )
        assert await page.evaluate(contacts) == ["Ada", "Grace"]
        assert await texts(page) == ["before there was a page"]
        assert not [name for name, _, _ in page.history if name == "chat.new_message"]


async def test_pages_of_history(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        ids = [f"false_{CHAT}_{phone.receive(ADA, str(i)).id}" for i in range(6)]
        await phone.wait_for(lambda p: len(p.receptions) == 6)
        assert await texts(page, count=3) == ["3", "4", "5"]
        assert await texts(page, count=2, direction="before", id=ids[3]) == ["1", "2"]
        assert await texts(page, count=2, direction="after", id=ids[3]) == ["4", "5"]
        assert await texts(page, "4915110000002@c.us") == []


async def test_while_away(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        await send(page, CHAT, "before")
    away = [phone.receive(ADA, text) for text in ("one", "two")]
    own = phone.write(ADA, "three")
    assert phone.receptions == []
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.main()
            assert await texts(page) == ["before", "one", "two", "three"]
            times = f"(async () => (await WPP.chat.getMessages('{CHAT}', {{count: 9}})).map(m => m.t))()"
            assert (await page.evaluate(times))[1:] == [entry.message.t for entry in [*away, own]]
            await phone.wait_for(lambda p: len(p.receptions) == 3)
        async with browser(sim, profile) as page:
            await page.main()
            assert await texts(page) == ["before", "one", "two", "three"]
    assert [r.id for r in phone.receptions] == [entry.id for entry in [*away, own]]


async def test_unacknowledged_then_killed_is_sent_again_and_dropped(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.hold_acks()
        await send(page, CHAT, "once", messageId=f"true_{CHAT}_ONCE", waitForAck=False)
        await phone.wait_for(lambda p: p.submissions)
    phone.account.hold_acks = False
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await phone.wait_for(lambda p: len(p.submissions) == 2)
            await page.main()
            acks = f"(async () => (await WPP.chat.getMessageById('true_{CHAT}_ONCE')).ack)()"
            assert await page.evaluate(acks) == 1
    assert [(s.id, s.duplicate) for s in phone.submissions] == [("ONCE", False), ("ONCE", True)]
    assert [d.text for d in phone.deliveries] == ["once"]


async def test_stored_while_offline_then_killed_is_sent_once(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.offline()
        await page.event_equal("socket", "TIMEOUT")
        for text in ("one", "two"):
            await send(page, CHAT, text, messageId=f"true_{CHAT}_{text}", waitForAck=False)
    assert phone.submissions == []
    phone.online()
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.main()
            await phone.wait_for(lambda p: len(p.deliveries) == 2)
            # The library was not there yet when they were acknowledged: it has no event of it.
            assert not [name for name, _, _ in page.history if name == "chat.msg_ack_change"]
            acks = f"(async () => (await WPP.chat.getMessages('{CHAT}', {{count: 9}})).map(m => m.ack))()"
            assert await page.evaluate(acks) == [2, 2]
    assert [(s.id, s.duplicate) for s in phone.submissions] == [("one", False), ("two", False)]


async def test_an_id_asked_for_twice_is_delivered_once(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        for _ in range(2):
            sent = await send(page, CHAT, "once", messageId=f"true_{CHAT}_TWICE", waitForAck=True)
            assert sent["sendMsgResult"]["messageSendResult"] == "OK"
        assert [s.duplicate for s in phone.submissions] == [False, True]
        assert len(phone.deliveries) == 1
        assert await texts(page) == ["once"]


async def test_acknowledgments_held_and_released(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.hold_acks()
        await send(page, CHAT, "held", waitForAck=False)
        await phone.wait_for(lambda p: p.submissions)
        phone.release_acks()
        assert (await page.event("chat.msg_ack_change"))["ack"] == 1
        assert (await page.event("chat.msg_ack_change"))["ack"] == 2


async def test_offline_and_online(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.offline()
        await page.event_equal("socket", "TIMEOUT")
        await page.event_equal("socket", "OPENING")
        assert await page.wpp("conn.isAuthenticated")
        ids = [await send(page, CHAT, text, waitForAck=False) for text in ("one", "two", "three")]
        assert [sent["ack"] for sent in ids] == [0, 0, 0]
        assert phone.submissions == []
        phone.receive(ADA, "meanwhile")
        phone.online()
        await page.main()
        await phone.wait_for(lambda p: len(p.deliveries) == 3 and p.receptions)
        assert [s.text for s in phone.submissions] == ["one", "two", "three"]
        assert not any(s.duplicate for s in phone.submissions)


async def test_restored_while_offline(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        await send(page, CHAT, "before")
    phone.offline()
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.event("loader.Injected")
            await page.event_equal("socket", "TIMEOUT")
            assert await page.wpp("conn.isAuthenticated")
            assert await page.wpp("conn.isMainReady") is False
            assert await texts(page) == ["before"]
            phone.online()
            await page.main()


async def test_whatsapp_is_out_of_reach(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        sim.down()
        await page.event_equal("socket", "TIMEOUT")
        sim.up()
        await page.main()
        await send(page, CHAT, "back")
        assert [s.text for s in phone.submissions] == ["back"]


async def test_order_and_exactly_once_of_many(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        await page.evaluate(
            f"Promise.all([...Array(40).keys()].map(i => WPP.chat.sendTextMessage('{CHAT}', String(i))))"
        )
        await phone.wait_for(lambda p: len(p.deliveries) == 40)
        assert [d.text for d in phone.deliveries] == [str(i) for i in range(40)]
        for i in range(40):
            phone.receive(ADA, f"in {i}")
        while (await page.event("chat.new_message"))["body"] != "in 39":
            pass
        await phone.wait_for(lambda p: len(p.receptions) == 40)
        got = [
            data["body"]
            for name, data, _ in page.history
            if name == "chat.new_message" and not data["fromMe"]
        ]
        assert got == [f"in {i}" for i in range(40)]


async def test_states(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        for state in ("TOS_BLOCK", "PROXYBLOCK", "DEPRECATED_VERSION", "UNLAUNCHED", "CONFLICT"):
            phone.push_state(state)
            await page.event_equal("socket", state)
            if state != "UNLAUNCHED":
                assert (await page.wpp("conn.getStreamData"))["mode"] == state


async def test_an_update_is_wanted_and_a_ban(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.push_state("CONNECTED", needsUpdate=True)
        await page.event("conn.needs_update")
        phone.push_backend_event("account_temporarily_banned")
        await page.event_equal("conn.backend_event", "account_temporarily_banned")


async def test_presence_of_every_chat_is_asked_for(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        await page.evaluate("WPP.whatsapp.ChatStore.getModelsArray()[0].presence.subscribe()")
        await phone.wait_for(lambda p: p.account.presence_subscriptions)
        assert phone.account.presence_subscriptions == [CHAT]


class TestEgress:
    """What the library's defaults give away, and that the settings stop it."""

    URL = "see https://secret.example/x"

    async def test_with_the_settings(self, sim: Simulator, profile: Path) -> None:
        async with linked(sim, profile) as (page, _):
            before = len(sim.strays)
            await page.wpp("chat.sendTextMessage", CHAT, self.URL, {"createChat": True, "linkPreview": True})
            assert sim.strays[before:] == []

    async def test_with_the_defaults(self, sim: Simulator, profile: Path) -> None:
        async with linked(sim, profile, config={"disableGoogleAnalytics": True}) as (page, _):
            await page.wpp("chat.sendTextMessage", CHAT, self.URL, {"createChat": True})
            await page.event("chat.new_message")
        assert any("linkpreview" in call.host or "wppconnect" in call.host for call in sim.strays), sim.strays

"""Presence, calls, what happens to groups, lists; and linking by number."""

from pathlib import Path

import pytest
import trio

from tests.simulator import Config, Simulator, SimulatorError
from tests.simulator_tests.browser import PageError, browser
from tests.simulator_tests.conftest import ADA, ALICE, GRACE, linked

pytestmark = pytest.mark.chrome

CHAT, OTHER = "4915110000001@c.us", "4915110000002@c.us"
BOB = "+4915110000003"


async def test_presence_and_calls(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        phone.presence(ADA, "composing")
        news = await page.event("chat.presence_change")
        assert (news["id"], news["state"], news["isOnline"], news["isUser"]) == (
            CHAT,
            "composing",
            True,
            True,
        )
        phone.presence(ADA, "unavailable")
        news = await page.event("chat.presence_change")
        assert (news["state"], news["isOnline"], news["isContact"]) == ("unavailable", False, True)
        group = phone.add_group("Lab", [ADA, GRACE])
        phone.presence(GRACE, "recording", group=group)
        news = await page.event("chat.presence_change")
        assert (news["id"], news["isGroup"]) == (group, True)
        assert news["participants"] == [{"id": OTHER, "state": "recording", "shortName": "Grace"}]
        id_ = phone.call(ADA, video=True)
        call = await page.event("call.incoming_call")
        assert (call["id"], call["sender"], call["peerJid"]) == (id_, CHAT, CHAT)
        assert (call["isVideo"], call["isGroup"]) == (True, False)


async def test_groups(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        group = phone.add_group("Lab", [ADA])
        await page.event_equal("chat.new_chat", group)
        founder = phone.wid
        for action, who, event, author in [
            ("add", GRACE, "add", founder),
            ("promote", GRACE, "promote", founder),
            ("demote", GRACE, "demote", founder),
            ("remove", GRACE, "remove", founder),
            ("join", GRACE, "join", OTHER),
            ("leave", GRACE, "leave", OTHER),
        ]:
            phone.change_group(group, action, [who])
            change = await page.event("group.participant_changed")
            assert (change["groupId"], change["action"], change["author"]) == (group, event, author)
            assert change["participants"] == [OTHER]
            notice = await page.event("chat.new_message")
            assert notice["type"] == "gp2"
        phone.change_group(group, "subject", subject="Laboratory")
        # No event of the library but the notice in the chat.
        assert (await page.event("chat.new_message"))["body"] == "Laboratory"
        names = "(async () => (await WPP.group.getAllGroups()).map(g => [String(g.id), g.formattedTitle]))()"
        assert await page.evaluate(names) == [[group, "Laboratory"]]
        plain = "p => [p.id.toString(), Boolean(p.isAdmin)]"
        members = f"(async () => (await WPP.group.getParticipants('{group}')).map({plain}))()"
        assert await page.evaluate(members) == [[phone.wid, True], [CHAT, False]]
        with pytest.raises(SimulatorError, match="not in the group"):
            phone.change_group(group, "remove", [BOB])
        with pytest.raises(SimulatorError, match="is one of add"):
            phone.change_group(group, "paint", [BOB])


async def test_lists(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE)
    for text in ("one", "two"):
        phone.receive(ADA, text)
    phone.arrange(GRACE, archived=True)
    chats = (
        "(async () => (await WPP.chat.list()).map(c => [String(c.id), c.unreadCount, c.archive, c.pin, "
        "c.msgs.last()?.body ?? null, c.t > 0]))()"
    )
    async with linked(sim, profile) as (page, _):
        assert await page.evaluate(chats) == [
            [CHAT, 2, False, 0, "two", True],
            [OTHER, 0, True, 0, None, False],
        ]
        phone.arrange(ADA, pinned=True)
        phone.receive(ADA, "three")
        await page.event("chat.unread_count_changed", unreadCount=3)
        assert (await page.evaluate(chats))[0] == [CHAT, 3, False, 1, "three", True]
        await phone.wait_for(lambda p: p.receptions)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.main()
            assert await page.evaluate(chats) == [
                [CHAT, 3, False, 1, "three", True],
                [OTHER, 0, True, 0, None, False],
            ]


class TestLinkingByNumber:
    """Codes for a phone number: they change, they end, they fail, they are typed in."""

    @pytest.fixture
    def config(self) -> Config:
        """Codes that live long; `test_they_age` has its own."""
        return Config()

    async def test_codes(self, sim: Simulator, profile: Path) -> None:
        phone = sim.phone(ALICE)
        start = "conn.startLinkDeviceCodeForPhoneNumber"
        async with browser(sim, profile) as page:
            with trio.fail_after(30):
                await page.code()
                await page.event("conn.main_ready")  # it would cancel a code that is shown before
                first = await page.wpp(start, ALICE.lstrip("+"))
                await page.event_equal("conn.link_code_change", first)
                assert await page.wpp(start, ALICE.lstrip("+")) == first
                sim.refresh_link_codes()
                second = await page.event("conn.link_code_change")
                assert second != first
                sim.end_link_codes()
                await page.event("conn.link_code_expired")
                with pytest.raises(SimulatorError, match="may have expired"):
                    await phone.enter_code(second)
                third = await page.wpp(start, ALICE.lstrip("+"))
                sim.break_link_codes()
                assert "alternative linking error" in await page.event("conn.link_code_error")
                with pytest.raises(PageError, match="not a phone number"):
                    await page.wpp(start, "12")
                assert "not a phone number" in await page.event("conn.link_code_error")
                fourth = await page.wpp(start, ALICE.lstrip("+"))
                assert len({first, second, third, fourth}) == 4
                with pytest.raises(SimulatorError, match="for another number"):
                    await sim.phone(BOB).enter_code(fourth)
                await phone.enter_code(f" {fourth[:4].lower()}-{fourth[4:]} ")
                await page.main()
                assert phone.connected


async def test_codes_by_number_age(profile: Path) -> None:
    from tests.simulator import serve

    async with serve(Config(link_code_s=0.3, link_codes=2)) as sim, browser(sim, profile) as page:
        with trio.fail_after(30):
            await page.code()
            await page.event("conn.main_ready")
            first = await page.wpp("conn.startLinkDeviceCodeForPhoneNumber", ALICE.lstrip("+"))
            await page.event_equal("conn.link_code_change", first)
            assert await page.event("conn.link_code_change") != first
            await page.event("conn.link_code_expired")

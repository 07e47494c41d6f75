"""When the page library begins: early where all that it needs is there, else when they have settled."""

from pathlib import Path

import pytest
import trio

from protocol.errors import RpcError
from supervisors.journal import Outgoing
from supervisors.whatsapp import library
from supervisors.whatsapp.page import Failure
from tests.simulator import Simulator
from tests.supervisors.whatsapp.bridged import bridged
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

VERDICT = "store_objects_functional"


def verdicts(wasupd: Wasupd) -> list[bool]:
    """Whether the library began early, document by document."""
    return [line["early"] for line in wasupd.logged() if line["event"] == VERDICT]


@pytest.mark.parametrize("kind", ["reload", "late_modules", "late_others"])
async def test_nothing_is_lost_however_modules_come(
    sim: Simulator, wasupd: Wasupd, call: Caller, kind: str
) -> None:
    shop = sim.phone(SHOP)
    team = shop.add_group("Team", [ADA, GRACE])
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe() as events:
        with trio.fail_after(60):
            while True:
                shop.break_pages(kind)
                await until(events, "session.connected")
                if kind != "reload" or verdicts(wasupd)[-1]:
                    break  # on a machine that is too busy it is the usual wait that ends first
        sent = await call.send("shop", ADA, "lunch?", wait="delivered")
        poll = {"question": "When?", "options": ["today", "tomorrow"]}
        asked = await call("message.send", sessionId="shop", to=ADA, poll=poll, wait="delivered")
        shop.read(ADA)
        await until(events, "message.read")
        came = shop.receive(ADA, "yess")
        await until(events, "message.received")
        shop.edit(ADA, came.id, "yes")
        await until(events, "message.edited")
        shop.react(ADA, sent["id"], "❤️")
        await until(events, "message.reaction", emoji="❤️")
        shop.vote(ADA, asked["id"], ["tomorrow"])
        await until(events, "message.poll_vote", options=["tomorrow"])
        shop.change_group(team, "remove", [GRACE])
        await until(events, "group.updated", groupId=team, action="remove")
        with trio.fail_after(30):
            while True:
                try:
                    await call("message.forward", sessionId="shop", messageId=sent["id"], to=GRACE)
                    break
                except RpcError as error:  # that script has not come yet: found when it has
                    assert (kind, error.code) == ("late_others", "PAGE_ERROR")  # noqa: PT017  # tried again
        await shop.wait_for(lambda phone: phone.submissions[-1].chat == "4915110000002@c.us")


async def test_it_waits_where_anything_is_missing(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe() as events:
        shop.break_pages("without_votes")
        await until(events, "session.connected")
        await call.send("shop", ADA, "hello", wait="delivered")
    assert not verdicts(wasupd)[-1]


async def test_a_page_that_has_just_begun_says_that_it_can_do_nothing_yet(
    sim: Simulator, tmp_path: Path
) -> None:
    """What it is given then, because it loaded again in between, is not refused but put back."""
    message = Outgoing(message_id="3EB0A", to="4915110000001@c.us", kind="text", content={"body": "hi"})
    async with bridged(tmp_path, library.load("auto"), sim.chrome_args) as (tab, page):
        await tab.navigate(sim.url, until="commit")
        answer = await page.deliver(message, check=False)
    assert isinstance(answer, Failure)
    assert answer.code == "NOT_READY"

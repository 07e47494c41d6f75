"""The main job: from a client's socket to the page in a real Chrome and back."""

import base64
import io
import os
import re
import signal
from datetime import datetime
from pathlib import Path

import pytest
import trio
import zxingcpp
from PIL import Image

from protocol.errors import RpcError
from tests.processes import children
from tests.simulator import Simulator
from tests.system.conftest import ADA, DESK, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


async def test_link_send_receive(sim: Simulator, call: Caller) -> None:
    """A phone scans the picture; a text goes out and is read; an answer comes in."""
    shop = sim.phone(SHOP)
    created = await call.create("shop")
    assert (created["status"], created["desired"]) == ("inactive", "stopped")
    async with call.client.subscribe() as events:
        await call.link("shop", shop)
        sent = await call.send(
            "shop", "+49 151 1000 0001", "Hello Ada https://example.com/", wait="delivered"
        )
        assert sent["status"] == "delivered"
        assert sent["id"].startswith("3EB0")
        assert sent["key"] == f"true_{sent['chatId']}_{sent['id']}"
        shop.read(sent["chatId"])
        shop.receive(ADA, "Hello shop")
        seen = await until(events, "session.connected", "message.read", "message.received")
    assert [event["type"] for event in seen if event["type"].startswith("session.")] == [
        "session.status",
        "session.connecting",
        "session.status",
        "session.qr",
        "session.status",
        "session.connected",
    ]
    assert [event["type"] for event in seen if event["type"].startswith("message.")] == [
        "message.queued",
        "message.sent",
        "message.delivered",
        "message.read",
        "message.received",
    ]
    assert [event["seq"] for event in seen] == sorted({event["seq"] for event in seen})
    received = seen[-1]["data"]["message"]
    assert (received["text"], received["direction"], received["origin"]) == ("Hello shop", "in", "contact")
    assert received["from"] == sent["chatId"]
    assert [(s.id, s.duplicate) for s in shop.submissions] == [(sent["id"], False)]

    session = await call("session.get", sessionId="shop")
    assert session["phoneNumber"] == SHOP
    assert session["messageStats"] == {"sent": 1, "received": 1, "failed": 0}
    assert session["process"]["processes"] >= 3
    listed = await call("message.list", sessionId="shop")
    assert [message["text"] for message in listed["messages"]] == [
        "Hello shop",
        "Hello Ada https://example.com/",
    ]
    assert await call("message.get", sessionId="shop", messageId=sent["key"]) == listed["messages"][1]


async def test_the_codes_are_read_by_a_camera(sim: Simulator, call: Caller) -> None:
    await call.create("shop", start=True)
    await call.wait("shop", "qr_generated")
    code = await call("session.qr", sessionId="shop")
    picture = Image.open(io.BytesIO(base64.b64decode(code["qrCode"].partition(",")[2])))
    assert picture.size == (256, 256)
    assert zxingcpp.read_barcodes(picture)[0].text == code["qrText"]
    life = datetime.fromisoformat(code["expiresAt"]) - datetime.fromisoformat(code["generatedAt"])
    assert 59 <= life.total_seconds() <= 60
    for form in ("terminal", "text"):
        drawn = await call("session.qr", sessionId="shop", format=form)
        assert zxingcpp.read_barcodes(_photograph(drawn["qrCode"]))[0].text == drawn["qrText"]
    assert (await call("session.status", sessionId="shop"))["qrAvailable"] is True


def _photograph(text: str) -> Image.Image:
    """Draw a rendering as a terminal would: black on white, a cell four by eight pixels."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    picture = Image.new("L", (4 * max(map(len, lines)), 8 * len(lines)), 255)
    for row, line in enumerate(lines):
        for column, cell in enumerate(line):
            for half, inked in enumerate((cell in "▀█", cell in "▄█")):
                if inked:
                    picture.paste(0, (4 * column, 8 * row + 4 * half, 4 * column + 4, 8 * row + 4 * half + 4))
    return picture


async def test_what_is_typed_on_the_phone_is_told(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.sent"]) as events:
        shop.write(ADA, "from my pocket")
        (event,) = await until(events, "message.sent")
    message = event["data"]["message"]
    assert (message["origin"], message["direction"], message["text"]) == ("phone", "out", "from my pocket")


async def test_a_group(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    group = shop.add_group("Team", [ADA, GRACE])
    await call.create("shop")
    await call.link("shop", shop)
    sent = await call.send("shop", group, "to all", wait="sent")
    assert sent["chatId"] == group
    async with call.client.subscribe(types=["message.received"]) as events:
        shop.receive(GRACE, "fine", group=group)
        (event,) = await until(events, "message.received")
    message = event["data"]["message"]
    assert message["chatId"] == group
    assert message["from"] == "4915110000002@c.us"


async def test_two_sessions_fifty_messages(sim: Simulator, call: Caller) -> None:
    """Each once in the ledger, at the right account, in order per chat, with its events."""
    phones = {"shop": sim.phone(SHOP), "desk": sim.phone(DESK)}
    for session_id in phones:
        await call.create(session_id)
    async with trio.open_nursery() as nursery:
        for session_id, phone in phones.items():
            nursery.start_soon(call.link, session_id, phone)
    async with call.client.subscribe(types=["message.sent"]) as events:
        wanted: dict[tuple[str, str], list[str]] = {}
        async with trio.open_nursery() as nursery:
            for number in range(50):
                session_id = ("shop", "desk")[number % 2]
                to = (ADA, GRACE)[number // 2 % 2]
                wanted.setdefault((session_id, to), []).append(f"message {number}")
            for (session_id, to), texts in wanted.items():
                nursery.start_soon(_send_all, call, session_id, to, texts)
        told = [
            (event["sessionId"], event["data"]["message"]["chatId"], event["data"]["message"]["text"])
            for event in await until(events, *["message.sent"] * 50)
        ]
    for (session_id, to), texts in wanted.items():
        chat = f"{to.removeprefix('+')}@c.us"
        submitted = [s for s in phones[session_id].submissions if s.chat == chat]
        assert [s.text for s in submitted] == texts
        assert not any(s.duplicate for s in submitted)
        assert [d.text for d in phones[session_id].deliveries if d.chat == chat] == texts
        assert [text for who, where, text in told if (who, where) == (session_id, chat)] == texts


async def _send_all(call: Caller, session_id: str, to: str, texts: list[str]) -> None:
    for text in texts:
        await call.send(session_id, to, text)


async def test_a_hundred_starts_make_one_browser(wasupd: Wasupd, call: Caller) -> None:
    await call.create("shop")
    answers: list[str] = []

    async def start() -> None:
        try:
            answers.append((await call("session.start", sessionId="shop"))["status"])
        except RpcError as error:
            answers.append(error.code)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(start)
    await call.wait("shop", "qr_generated")
    assert answers.count("connecting") == 1
    assert set(answers) <= {"connecting", "SESSION_BUSY", "SESSION_ALREADY_STARTED"}
    leaders = [p for p in wasupd.browsers() if p.info["ppid"] == wasupd.pid]
    assert len(leaders) == 1
    with pytest.raises(RpcError) as refusal:
        await call("session.start", sessionId="shop")
    assert refusal.value.code == "SESSION_ALREADY_STARTED"


DEATH = [
    ("session.status", "connected", "disconnected"),
    ("session.disconnected", None, None),
    ("session.restarting", None, None),
    ("session.status", "disconnected", "connecting"),
    ("session.connecting", None, None),
    ("session.status", "connecting", "connected"),
    ("session.connected", None, None),
    ("session.recovered", None, None),
]


@pytest.mark.parametrize(("victim", "reason"), [("browser", "BROWSER_CRASHED"), ("renderer", "PAGE_CRASHED")])
async def test_a_killed_chrome_comes_back(sim: Simulator, call: Caller, victim: str, reason: str) -> None:
    """Back to connected without a QR, told in the documented order; then messages flow again."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(pid if victim == "browser" else children(pid, "renderer")[0].pid, signal.SIGKILL)
        seen = await until(events, "session.recovered")
    assert [(e["type"], e["data"].get("from"), e["data"].get("to")) for e in seen] == DEATH
    assert seen[0]["data"]["reason"] == reason
    assert seen[2]["data"]["attempt"] == 1
    assert seen[-1]["data"]["downtime"] > 0
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 1
    assert (await call.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"


@pytest.mark.parametrize("settings", [{"restart.revive_after": 0}], indirect=True)
async def test_the_fourth_death_gives_up(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(sessions=["shop"]) as events:
        for _ in range(3):
            os.kill(await call.pid("shop"), signal.SIGKILL)
            await until(events, "session.recovered")
        os.kill(await call.pid("shop"), signal.SIGKILL)
        seen = await until(events, "session.restart_limit")
    assert [event["type"] for event in seen] == [
        "session.status",
        "session.disconnected",
        "session.restart_limit",
    ]
    session = await call("session.get", sessionId="shop")
    assert (session["status"], session["reason"]) == ("disconnected", "RESTART_LIMIT_EXCEEDED")
    assert (session["process"], session["desired"]) == (None, "running")
    assert wasupd.browsers() == []
    problems = (await call("daemon.health"))["problems"]
    assert ("RESTART_LIMIT_EXCEEDED", "shop") in [(p["code"], p["sessionId"]) for p in problems]
    # A manual start begins a new budget, and needs no QR.
    assert await call.start("shop") == "connected"


async def test_unlinked_by_the_phone(sim: Simulator, call: Caller) -> None:
    """The session goes to a new QR by itself, and can be linked again; its messages are kept."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    await call.send("shop", ADA, "before", wait="delivered")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.unlink()
        seen = await until(events, "session.qr")
    assert [(e["type"], e["data"].get("to"), e["data"].get("reason")) for e in seen[:3]] == [
        ("session.status", "disconnected", "LOGGED_OUT"),
        ("session.disconnected", None, "LOGGED_OUT"),
        ("session.status", "qr_generated", "LOGGED_OUT"),
    ]
    code = await call("session.qr", sessionId="shop")
    await shop.scan(code["qrText"])
    await call.wait("shop", "connected")
    assert (await call("message.list", sessionId="shop"))["messages"][0]["text"] == "before"


async def test_an_outage_spends_no_restart(sim: Simulator, call: Caller) -> None:
    """Offline and online again: the same browser, and what was accepted meanwhile is sent once."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.offline()
        await until(events, "session.disconnected", reason="NETWORK")
        waiting = await call.send("shop", ADA, "when you are back")
        assert waiting["status"] == "queued"
        shop.receive(ADA, "are you there?")
        shop.online()
        seen = await until(events, "session.recovered", "message.received")
    assert await call.pid("shop") == pid
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
    assert "session.restarting" not in [event["type"] for event in seen]
    await shop.wait_for(lambda phone: phone.deliveries)
    assert [(s.text, s.duplicate) for s in shop.submissions] == [("when you are back", False)]


async def test_stop_start_restart_delete(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    assert await call("session.stop", sessionId="shop") == {"status": "inactive"}
    assert wasupd.browsers() == []
    assert await call.start("shop") == "connected"
    first = await call.pid("shop")
    assert await call("session.restart", sessionId="shop") == {"status": "connecting"}
    await call.wait("shop", "connected")
    assert await call.pid("shop") != first
    deleted = await call("session.delete", sessionId="shop")
    assert deleted["deleted"] is True
    assert Path(deleted["backup"]).stat().st_mode & 0o777 == 0o600
    assert not (wasupd.directory / "state" / "sessions" / "shop").exists()
    with pytest.raises(RpcError) as refusal:
        await call("session.get", sessionId="shop")
    assert refusal.value.code == "SESSION_NOT_FOUND"


async def test_stop_cuts_a_launch_short(wasupd: Wasupd, call: Caller) -> None:
    await call.create("shop")
    assert await call("session.start", sessionId="shop") == {"status": "connecting"}
    assert await call("session.stop", sessionId="shop") == {"status": "inactive"}
    assert wasupd.browsers() == []

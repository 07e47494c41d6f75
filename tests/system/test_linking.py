"""Linking: codes that never run out, codes by phone number, unlinking, the name on the phone's list."""

import base64
import io
import json
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
import trio
from PIL import Image

from protocol.errors import RpcError
from tests.simulator import Config, Simulator, SimulatorError
from tests.simulator.accounts import World
from tests.simulator.connection import Connection
from tests.system.conftest import ADA, DESK, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


async def refused(call: Caller, method: str, **params: object) -> RpcError:
    """The error that a request is refused with."""
    with pytest.raises(RpcError) as refusal:
        await call(method, **params)
    return refusal.value


class TestCodes:
    @pytest.fixture
    def simulator_config(self) -> Config:
        return Config(codes=3, first_code_s=1, next_code_s=0.5)

    async def test_codes_go_on_for_ever(self, sim: Simulator, call: Caller) -> None:
        """Three codes a round; five rounds and more, each code new, one of them scanned at last."""
        await call.create("shop")
        async with call.client.subscribe(types=["session.qr"]) as events:
            await call.start("shop")
            seen = await until(events, *["session.qr"] * 16)
        codes = [event["data"]["qrText"] for event in seen]
        assert len(set(codes)) == len(codes)
        for event in seen:
            assert event["data"]["expiresAt"] > event["timestamp"]
        shop = sim.phone(SHOP)
        with trio.fail_after(30):
            while not shop.linked:
                try:
                    await shop.scan((await call("session.qr", sessionId="shop"))["qrText"])
                except (SimulatorError, RpcError):
                    await call("session.status", sessionId="shop")
        await call.wait("shop", "connected")
        assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0

    async def test_a_page_that_shows_no_new_code(
        self, sim: Simulator, call: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await call.create("shop")
        before = await refused(call, "session.qr", sessionId="shop")
        assert (before.code, before.details["currentStatus"]) == ("QR_NOT_AVAILABLE", "inactive")
        await call.start("shop")
        async with call.client.subscribe(types=["session.qr"]) as events:
            monkeypatch.setattr(Connection, "turn_code", lambda _page: None)
            with trio.fail_after(20):
                while (await call("session.status", sessionId="shop"))["qrAvailable"]:
                    await trio.lowlevel.checkpoint()
            gone = await refused(call, "session.qr", sessionId="shop")
            assert gone.code == "QR_CODE_EXPIRED"
            assert (await call("session.status", sessionId="shop"))["status"] == "qr_generated"
            monkeypatch.undo()
            await until(events, "session.qr")  # asked for again before long


async def test_pair_by_number(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    stopped = await refused(call, "session.pair", sessionId="shop", phoneNumber=SHOP)
    assert (stopped.code, stopped.details["currentStatus"]) == ("SESSION_NOT_STARTED", "inactive")
    wrong = await refused(call, "session.pair", sessionId="shop", phoneNumber="call me")
    assert (wrong.code, wrong.details["path"]) == ("INVALID_PARAMS", "$.phoneNumber")
    await call.start("shop")
    async with call.client.subscribe(types=["session.pairing_code"]) as events:
        first = await call("session.pair", sessionId="shop", phoneNumber="+49 170 1234567")
        (event,) = await until(events, "session.pairing_code")
    assert event["data"] == first
    assert len(first["pairingCode"]) == 8
    life = datetime.fromisoformat(first["expiresAt"]) - datetime.fromisoformat(event["timestamp"])
    assert 190 < life.total_seconds() <= 195.5
    assert await call("session.pair", sessionId="shop", phoneNumber=SHOP) == first
    assert (await call("session.status", sessionId="shop"))["status"] == "qr_generated"
    other = await call("session.pair", sessionId="shop", phoneNumber=DESK)
    assert other["pairingCode"] != first["pairingCode"]
    with pytest.raises(SimulatorError):
        await shop.enter_code(first["pairingCode"])
    again = await call("session.pair", sessionId="shop", phoneNumber=SHOP)
    await shop.enter_code(again["pairingCode"])
    await call.wait("shop", "connected")
    linked = await refused(call, "session.pair", sessionId="shop", phoneNumber=SHOP)
    assert (linked.code, linked.details["currentStatus"]) == ("QR_NOT_AVAILABLE", "connected")
    assert "linked already" in linked.details["action"]
    assert (await call("session.get", sessionId="shop"))["phoneNumber"] == SHOP
    assert again["pairingCode"] not in wasupd.log.read_text()


async def test_the_command_line_pairs(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """`wasupctl link --phone` starts the session, says the code, and ends when the phone has it."""
    await call.create("shop")
    argv = ["--socket", str(wasupd.socket), "--json", "link", "shop", "--phone", SHOP]
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "daemon.cli", *argv], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    heard = b""
    with trio.fail_after(60):
        while heard.count(b"\n") < 1:
            heard += await process.stdout.receive_some()
        await sim.phone(SHOP).enter_code(json.loads(heard)["pairingCode"])
        while data := await process.stdout.receive_some():
            heard += data
        assert await process.wait() == 0
    assert json.loads(heard.splitlines()[-1])["status"] == "connected"


async def test_a_new_browser_ends_a_pairing(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    await call.start("shop")
    first = await call("session.pair", sessionId="shop", phoneNumber=SHOP)
    await call("session.restart", sessionId="shop", wait=True)
    second = await call("session.pair", sessionId="shop", phoneNumber=SHOP)
    assert second["pairingCode"] != first["pairingCode"]
    await sim.phone(SHOP).enter_code(second["pairingCode"])
    await call.wait("shop", "connected")


async def test_a_pairing_that_whatsapp_refuses(
    sim: Simulator, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_page: Connection, what: str, _frame: object) -> None:
        raise SimulatorError(f"no {what} for you")

    await call.create("shop")
    await call.start("shop")
    monkeypatch.setattr(Connection, "_query", refuse)
    refusal = await refused(call, "session.pair", sessionId="shop", phoneNumber=SHOP)
    assert refusal.code == "PAGE_ERROR"
    assert "no link_code for you" in refusal.details["message"]
    monkeypatch.undo()
    code = await call("session.pair", sessionId="shop", phoneNumber=SHOP)
    await sim.phone(SHOP).enter_code(code["pairingCode"])
    await call.wait("shop", "connected")


async def test_stop_cuts_a_pairing_short(
    sim: Simulator, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WhatsApp says nothing; the stop is done at once, and the question is answered."""
    asked = trio.Event()

    async def handle(_page: Connection, _frame: object, _nursery: trio.Nursery) -> None:
        asked.set()

    answers: list[RpcError] = []

    async def pair() -> None:
        answers.append(await refused(call, "session.pair", sessionId="shop", phoneNumber=SHOP))

    await call.create("shop")
    await call.start("shop")
    monkeypatch.setattr(Connection, "handle", handle)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair)
            await asked.wait()
            assert await call("session.stop", sessionId="shop") == {"status": "inactive"}
    assert answers[0].code == "SESSION_NOT_STARTED"


async def test_logout_unlinks_on_the_phone_too(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    assert (await refused(call, "session.logout", sessionId="shop")).code == "SESSION_NOT_STARTED"
    await call.link("shop", shop)
    await call.send("shop", ADA, "before", wait="delivered")
    assert await call("session.logout", sessionId="shop") == {"status": "qr_generated"}
    assert shop.linked == []
    status = await call("session.status", sessionId="shop")
    assert (status["reason"], status["phoneNumber"], status["qrAvailable"]) == ("LOGGED_OUT", None, True)
    again = await refused(call, "session.logout", sessionId="shop")
    assert (again.code, again.status) == ("AUTH_EXPIRED", 401)
    problems = (await call("daemon.health"))["problems"]
    assert ("AUTH_EXPIRED", "shop") in [(p["code"], p.get("sessionId")) for p in problems]
    await shop.scan((await call("session.qr", sessionId="shop"))["qrText"])
    await call.wait("shop", "connected")
    assert (await call("message.list", sessionId="shop"))["messages"][0]["text"] == "before"
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0


async def test_a_logout_that_whatsapp_never_confirms(
    sim: Simulator, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    monkeypatch.setattr(World, "unlink", lambda *_: None)
    refusal = await refused(call, "session.logout", sessionId="shop")
    assert refusal.code == "PAGE_TIMEOUT"
    assert (await call("session.status", sessionId="shop"))["status"] == "connected"


async def test_the_name_on_the_phones_list(sim: Simulator, call: Caller) -> None:
    """A change takes effect with the next start."""
    shop, desk = sim.phone(SHOP), sim.phone(DESK)
    await call.create("shop", settings={"deviceName": "Shop window"})
    await call.create("desk")
    await call.link("shop", shop)
    await call.link("desk", desk)
    assert [device.name for device in shop.account.devices.values()] == ["Shop window"]
    assert [device.name for device in desk.account.devices.values()] == ["wasup"]
    await call("session.update", sessionId="shop", settings={"deviceName": "Back office"})
    await call("session.logout", sessionId="shop")
    await call("session.restart", sessionId="shop", wait=True)
    await shop.scan((await call("session.qr", sessionId="shop"))["qrText"])
    assert [device.name for device in shop.account.devices.values()] == ["Back office"]


async def test_one_number_one_session(sim: Simulator, call: Caller) -> None:
    """The one that was linked later is stopped, whichever comes back first; nothing of it is wiped."""
    shop = sim.phone(SHOP)
    for name in ("first", "second"):
        await call.create(name)
    await call.link("first", shop)
    assert await call.start("second") == "qr_generated"
    answers: list[RpcError] = []

    async def reload() -> None:
        answers.append(await refused(call, "session.start", sessionId="second", wait=True))

    await shop.scan((await call("session.qr", sessionId="second"))["qrText"])
    await call.wait("second", "inactive")
    status = await call("session.status", sessionId="second")
    assert (status["status"], status["reason"]) == ("inactive", "PHONE_NUMBER_IN_USE")
    assert (await call("session.get", sessionId="second"))["desired"] == "stopped"
    await reload()
    assert (answers[0].code, answers[0].status) == ("PHONE_NUMBER_IN_USE", 409)
    assert "another session" in answers[0].message
    assert (await call("session.status", sessionId="first"))["status"] == "connected"
    await call("session.stop", sessionId="first")
    assert await call.start("second") == "connected"  # its login is still there
    assert await call.start("first") == "connected"
    await call.wait("second", "inactive")
    assert (await call("session.status", sessionId="second"))["reason"] == "PHONE_NUMBER_IN_USE"


async def test_a_screenshot(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    assert (await refused(call, "session.screenshot", sessionId="shop")).code == "SESSION_NOT_STARTED"
    await call.start("shop")
    shown: dict[str, Any] = await call("session.screenshot", sessionId="shop")
    kind, _, data = shown["image"].partition(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == "PNG"
    assert picture.width > 300


@pytest.mark.parametrize(
    "method",
    ["pair", "logout", "reload", "clearAuth", "screenshot"],
)
async def test_no_such_session(call: Caller, method: str) -> None:
    more = {"phoneNumber": SHOP} if method == "pair" else {}
    assert (await refused(call, f"session.{method}", sessionId="nobody", **more)).code == "SESSION_NOT_FOUND"

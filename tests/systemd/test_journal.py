"""What an administrator finds in the journal, and what is not there."""

import os
import signal
from base64 import b64encode

import pytest
import trio

from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.proxy import Proxy
from tests.system.wasupd import Caller, until
from tests.systemd.machine import Machine
from tests.systemd.service import browsers, client, set_up

TEXT, ANSWER, CAPTION, PASSWORD, SECRET = (
    "Rosebud 4711",
    "Xanadu 0815",
    "Kane 2342",
    "Thatcher-1871",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
)
pytestmark = pytest.mark.chrome


async def test_the_journal_tells_of_sessions_and_keeps_secrets(machine: Machine, sim: Simulator) -> None:
    shop = sim.phone(SHOP)
    await set_up(machine, sim)
    async with client(machine) as call:
        await call.create(
            "shop", settings={"webhookUrl": "https://127.0.0.1:1/hook", "webhookSecret": SECRET}
        )
        assert await call.start("shop") == "qr_generated"
        pairing = (await call("session.pair", sessionId="shop", phoneNumber=SHOP))["pairingCode"]
        code = (await call("session.qr", sessionId="shop"))["qrText"]
        await shop.scan_image((await call("session.qr", sessionId="shop"))["qrCode"])
        await call.wait("shop", "connected")
        await call.send("shop", ADA, TEXT, wait="delivered")
        picture = {"data": "iVBORw0KGgo=", "mimetype": "image/png", "caption": CAPTION}
        await call("message.send", sessionId="shop", to=ADA, image=picture)
        async with call.client.subscribe(after=0, types=["message.received", "session.recovered"]) as events:
            shop.receive(ADA, ANSWER)
            await until(events, "message.received")
            (chrome,) = [p for p in browsers(machine, "zygote")[0].parents() if "chrom" in p.name()]
            inside = machine.inside(chrome.pid)
            os.kill(chrome.pid, signal.SIGKILL)
            await until(events, "session.recovered")
        await call("session.stop", sessionId="shop", wait=True)
        await _use_proxy(call, sim)

    of_shop = await machine.journal("--unit=wasupd", "SESSION_ID=shop")
    assert {entry["SESSION_NAME"] for entry in of_shop} == {"The shop"}
    assert [e["STATUS"] for e in of_shop if e.get("EVENT") == "status_changed"] == [
        *("connecting", "qr_generated", "connected", "disconnected", "connecting", "connected", "inactive")
    ]
    (died,) = [entry for entry in of_shop if entry.get("EVENT") == "browser_died"]
    assert died["CHROME_PID"] == str(inside)
    (restarting,) = [entry for entry in of_shop if entry.get("EVENT") == "session_restarting"]
    assert (restarting["ATTEMPT"], restarting["REASON"]) == ("1", "BROWSER_CRASHED")
    said = await machine.journal("--identifier=wasupd-chrome", "SESSION_ID=shop", f"CHROME_PID={inside}")
    assert said

    warnings = await machine.journal("--unit=wasupd", "--priority=warning")
    assert {"browser_died", "session_restarting"} <= {entry.get("EVENT") for entry in warnings}
    assert all(int(entry["PRIORITY"]) <= 4 for entry in warnings)
    (stopped,) = await machine.journal("METHOD=session.stop", "PEER_UID=0", "SESSION_ID=shop")
    assert stopped["MESSAGE"] == "shop: request taken, method=session.stop pid=0 uid=0"

    await machine.run("journalctl", "--update-catalog")
    explained = await machine.run("journalctl", "--no-pager", "-x", "EVENT=session_restarting")
    assert "The session shop is started again, attempt 1" in explained
    assert "journalctl -u wasupd SESSION_ID=shop EVENT=browser_died" in explained

    whole = await machine.run("journalctl", "--no-pager", "--all", "--output=export")
    basic = b64encode(f"ada:{PASSWORD}".encode()).decode()
    for secret in (
        TEXT,
        ANSWER,
        CAPTION,
        PASSWORD,
        basic,
        SECRET,
        SECRET[6:],
        code,
        *code.split(","),
        pairing,
    ):
        assert secret not in whole
    for phone in (SHOP, ADA):
        assert phone.removeprefix("+") not in whole


async def _use_proxy(call: Caller, sim: Simulator) -> None:
    """A session by a proxy that knows the password, and then does no more."""
    async with trio.open_nursery() as nursery:
        proxy = Proxy("web.whatsapp.com", sim.port, f"ada:{PASSWORD}")
        await nursery.start(proxy.serve)
        await call.create("desk", settings={"proxy": f"http://ada:{PASSWORD}@127.0.0.1:{proxy.port}"})
        assert await call.start("desk") == "qr_generated"
        assert proxy.tunnels
        async with call.client.subscribe(sessions=["desk"]) as events:
            proxy.credentials = "ada:another"
            await call("session.reload", sessionId="desk")
            await until(events, "session.disconnected", reason="NETWORK")
        await call("session.stop", sessionId="desk", wait=True)
        nursery.cancel_scope.cancel()

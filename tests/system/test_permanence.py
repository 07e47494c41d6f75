"""Sessions are permanent: a year later everything is still there, and a clean-up finds nothing to do."""

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

ROOT = Path(__file__).parents[2]
YEAR_S = 366 * 86_400


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """wasupd whose clock is moved a year ahead: at SIGUSR1, or from the start if there is a file `later`."""
    program = tmp_path / "wasupd"
    program.write_text(f"""#!{sys.executable}
import pathlib, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
real, ahead = time.time, [0]
if pathlib.Path({str(tmp_path / "later")!r}).exists():
    ahead[0] = {YEAR_S}
time.time = lambda: real() + ahead[0]
signal.signal(signal.SIGUSR1, lambda *_: ahead.__setitem__(0, {YEAR_S}))
from daemon.__main__ import main
sys.exit(main())
""")
    program.chmod(0o755)
    return program


async def everything_is_there(call: Caller) -> None:
    health = await call("daemon.health")
    assert (health["config"]["timeoutMinutes"], health["config"]["cleanupInterval"]) == (0, 0)
    (session,) = (await call("session.list"))["sessions"]
    assert (session["status"], session["phoneNumber"]) == ("connected", SHOP)
    texts = [message["text"] for message in (await call("message.list", sessionId="shop"))["messages"]]
    assert "a year ago" in texts
    assert await call("session.terminateInactive") == {"terminated": [], "orphansKilled": []}
    assert (await call("session.status", sessionId="shop"))["status"] == "connected"


async def caught_up(call: Caller) -> None:
    """Wait until the page has told what the record may lack."""
    with trio.fail_after(30):
        said: list[str] = []
        while "caught_up" not in said:
            records = (await call("session.log", sessionId="shop", limit=1000))["records"]
            said = [record["event"] for record in records]


async def test_a_year_later(sim: Simulator, wasupd: Wasupd) -> None:
    shop = sim.phone(SHOP)
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", shop)
        await call.send("shop", ADA, "a year ago", wait="delivered")
        wasupd_process = wasupd.process
        assert wasupd_process is not None
        wasupd_process.send_signal(signal.SIGUSR1)  # the clock jumps while it works
        late = await call.send("shop", ADA, "now", wait="delivered")
        early = (await call("message.list", sessionId="shop", limit=1000))["messages"][-1]
        assert int(late["createdAt"][:4]) > int(early["createdAt"][:4])
        await everything_is_there(call)
    assert await wasupd.end() == 0
    (wasupd.directory / "later").touch()
    await wasupd.start()  # and here it has jumped before
    async with wasupd.client() as call:
        await call.wait("shop", "connected")
        await everything_is_there(call)
        # of events, which are for programs that follow, the last 30 days are kept: [events] retain_days
        events = (await call("events.list", limit=1000))["events"]
        assert "session.created" not in [event["type"] for event in events]
        assert (await call.send("shop", ADA, "still", wait="delivered"))["status"] == "delivered"
        await caught_up(call)
        async with call.client.subscribe(types=["message.received"]) as happenings:
            os.kill(await call.pid("shop"), signal.SIGKILL)
            await call.wait("shop", "disconnected", "connecting")
            shop.receive(ADA, "while nobody was there")
            (missed,) = await until(happenings, "message.received")
        assert missed["data"]["message"]["text"] == "while nobody was there"
        codes = await call("events.list", types=["session.qr"], limit=1000)
        assert codes["events"] == []
    for name in ("sessions_permanent", "startup_cleanup_ended"):
        lines = [line for line in wasupd.logged() if line["event"] == name]
        assert len(lines) == 2
        for line in lines:
            assert line.get("orphans_killed", []) == []
            assert line.get("never_expire", True) is True
            assert line.get("timeout_minutes", 0) == line.get("cleanup_interval_minutes", 0) == 0

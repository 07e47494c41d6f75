"""The main job with every browser, and over every way of speaking to one."""

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest
import trio

from supervisors.chrome import flags
from tests.processes import listening
from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd, until

FULL = "/usr/bin/chromium"

pytestmark = pytest.mark.chrome


@pytest.fixture
def settings(request: pytest.FixtureRequest, sim: Simulator) -> dict[str, object]:
    """The simulator sends all strangers' names to its sink, before our own rules can block any of them."""
    resolver, *others = sim.chrome_args
    blocked = ",".join(f"MAP {host} ~NOTFOUND" for host in flags.BLOCKED_HOSTS)
    rules = f"{flags.RESOLVER}={blocked},{resolver.partition('=')[2]}"
    return {"browser.extra_args": [rules, *others], **request.param}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"browser.path": FULL},
            marks=pytest.mark.skipif(not Path(FULL).exists(), reason="there is only the headless shell"),
            id="full",
        ),
        pytest.param({"browser.transport": "websocket"}, id="websocket"),
    ],
    indirect=True,
)
async def test_link_send_receive_die_recover(
    sim: Simulator, settings: dict[str, object], call: Caller
) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    assert (await call.send("shop", ADA, "hello", wait="delivered"))["status"] == "delivered"
    async with call.client.subscribe() as events:
        shop.receive(ADA, "hello shop")
        await until(events, "message.received")
        browser = psutil.Process(await call.pid("shop"))
        assert ("headless" in browser.exe()) == ("browser.path" not in settings)
        assert ("--remote-debugging-pipe" in browser.cmdline()) == ("browser.transport" not in settings)
        tree = [browser, *browser.children(recursive=True)]
        assert listening(process.pid for process in tree) == (
            ["127.0.0.1"] if "browser.transport" in settings else []
        )
        browser.send_signal(signal.SIGKILL)
        seen = await until(events, "session.recovered")
    assert seen[0]["data"]["to"] == "disconnected"
    assert "session.qr" not in [event["type"] for event in seen]
    assert (await call.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"


@pytest.mark.skipif(not Path(FULL).exists(), reason="there is only the headless shell")
@pytest.mark.parametrize("settings", [{"browser.path": FULL}], indirect=True, ids=["full"])
async def test_a_profile_that_another_host_has_locked(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """As a container leaves it that has another name now: no code, and nothing to do by hand."""
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    os.kill(await call.pid("shop"), signal.SIGSTOP)  # it leaves its lock where it is
    lock = wasupd.directory / "state" / "sessions" / "shop" / "profile" / "SingletonLock"
    assert lock.readlink() == Path(f"{socket.gethostname()}-{await call.pid('shop')}")
    lock.unlink()
    lock.symlink_to("another-host-1")
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), signal.SIGKILL)
        seen = await until(events, "session.recovered")
    assert "session.qr" not in [event["type"] for event in seen]
    (removed,) = [line for line in wasupd.logged() if line["event"] == "profile_singleton_removed"]
    assert (removed["reason"], removed["owner"]) == ("foreign_host", "another-host-1")
    assert lock.readlink() == Path(f"{socket.gethostname()}-{await call.pid('shop')}")


@pytest.mark.parametrize("settings", [{"browser.transport": "websocket"}], indirect=True)
async def test_an_orphan_of_a_killed_daemon_is_ended_by_the_next(sim: Simulator, wasupd: Wasupd) -> None:
    """Nothing tells a Chrome with a port that the daemon is gone; with pipes it ends by itself."""
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", sim.phone(SHOP))
        orphan = psutil.Process(await call.pid("shop"))
    assert await wasupd.end(signal.SIGKILL) == -signal.SIGKILL
    await trio.sleep(0.5)
    assert orphan.is_running()
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        async with call.client.subscribe(after=0) as events:
            await until(events, "session.connected", "daemon.started", "session.connected")
        assert await call.pid("shop") != orphan.pid
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        nursery.cancel_scope.cancel()
    assert [line["level"] for line in wasupd.logged() if line["event"] == "browser_port_open"] == [
        "warning"
    ] * 2
    assert "orphaned_browser_ended" in [line["event"] for line in wasupd.logged()]

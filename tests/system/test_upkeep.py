"""Reloading, wiping a login, cleaning up, waiting for a launch, and the ledger across daemons."""

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio

from protocol.errors import RpcError
from tests.simulator import Simulator
from tests.system.conftest import ADA, DESK, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


async def refused(call: Caller, method: str, **params: object) -> RpcError:
    """The error that a request is refused with."""
    with pytest.raises(RpcError) as refusal:
        await call(method, **params)
    return refusal.value


async def test_reload_keeps_the_browser(sim: Simulator, call: Caller) -> None:
    """Linked or not; the page is a new one, the process the same; no restart is spent."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    assert (await refused(call, "session.reload", sessionId="shop")).code == "SESSION_NOT_STARTED"
    await call.start("shop")
    first = (await call("session.qr", sessionId="shop"))["qrText"]
    pid = await call.pid("shop")
    assert await call("session.reload", sessionId="shop", wait=True) == {"status": "qr_generated"}
    second = (await call("session.qr", sessionId="shop"))["qrText"]
    assert second != first
    await shop.scan(second)
    await call.wait("shop", "connected")
    async with call.client.subscribe(sessions=["shop"]) as events:
        assert await call("session.reload", sessionId="shop") == {"status": "connecting"}
        busy = await refused(call, "session.reload", sessionId="shop")
        seen = await until(events, "session.connected")
    assert busy.code == "SESSION_BUSY"
    assert [
        (e["data"].get("to"), e["data"].get("reason")) for e in seen if e["type"] == "session.status"
    ] == [
        ("disconnected", "RELOAD_REQUESTED"),
        ("connecting", None),
        ("connected", None),
    ]
    assert await call.pid("shop") == pid
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
    assert (await call.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"


async def test_a_cleared_login_of_a_running_session(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    await call.send("shop", ADA, "before", wait="delivered")
    assert await call("session.clearAuth", sessionId="shop") == {"status": "connecting"}
    await call.wait("shop", "qr_generated")
    session = await call("session.get", sessionId="shop")
    assert (session["phoneNumber"], session["desired"]) == (None, "running")
    assert (await call("daemon.health"))["lastBackup"] is not None
    assert len(shop.linked) == 1  # the phone still lists it: that is what session.logout is for
    await shop.scan((await call("session.qr", sessionId="shop"))["qrText"])
    await call.wait("shop", "connected")
    assert (await call("message.list", sessionId="shop"))["messages"][0]["text"] == "before"
    assert (await call.send("shop", ADA, "after", wait="delivered"))["status"] == "delivered"


async def test_a_cleared_login_of_a_stopped_session(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    assert await call("session.clearAuth", sessionId="shop") == {"status": "inactive"}
    assert (await call("session.get", sessionId="shop"))["phoneNumber"] is None
    assert wasupd.browsers() == []
    (backup,) = (wasupd.directory / "state" / "backups").iterdir()
    with tarfile.open(backup) as archive:
        names = archive.getnames()
    assert any(name.startswith("profile/") for name in names)
    sessions = wasupd.directory / "state" / "sessions" / "shop"
    assert not [path for path in sessions.iterdir() if path.name.startswith("profile")]
    assert await call.start("shop") == "qr_generated"


async def test_stop_and_delete_cut_a_clearing_short(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """The backup of a large profile takes its time; nobody waits for it, and nothing half-done is left."""
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    ballast = wasupd.directory / "state" / "sessions" / "shop" / "profile" / "ballast"
    ballast.mkdir()
    for number in range(400):
        (ballast / str(number)).write_bytes(os.urandom(100_000))
    answers: list[RpcError] = []

    async def clear() -> None:
        answers.append(await refused(call, "session.clearAuth", sessionId="shop"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(clear)
        await call.wait("shop", "disconnected")
        assert (await call("session.status", sessionId="shop"))["reason"] == "AUTH_CLEARED"
        busy = await refused(call, "session.start", sessionId="shop")
        assert busy.code == "SESSION_BUSY"
        assert await call("session.stop", sessionId="shop") == {"status": "inactive"}
    assert answers[0].code == "SESSION_BUSY"
    backups = wasupd.directory / "state" / "backups"
    assert not backups.exists() or list(backups.iterdir()) == []
    assert await call.start("shop") == "connected"  # nothing was wiped

    async with trio.open_nursery() as nursery:
        nursery.start_soon(clear)
        await call.wait("shop", "disconnected")
        await call("session.delete", sessionId="shop", backup=False)
    assert not (wasupd.directory / "state" / "sessions" / "shop").exists()


@asynccontextmanager
async def stray_chrome(path: str, profile: Path) -> AsyncIterator[trio.Process]:
    """A Chrome that nobody supervises."""
    args = [path, "--headless", "--no-sandbox", f"--user-data-dir={profile}", "--remote-debugging-port=0"]
    process = await trio.lowlevel.open_process(args, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        heard = b""
        with trio.fail_after(20):
            while b"DevTools listening" not in heard:
                heard += await process.stderr.receive_some()
        yield process
    finally:
        for child in (
            [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        ):
            child.kill()
        process.kill()
        await process.wait()


async def test_terminating_what_is_inactive(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """Connected sessions go on; browsers on our profiles that nobody owns are ended, others are not."""
    for name in ("up", "down", "broken"):
        await call.create(name)
    shop, desk = sim.phone(SHOP), sim.phone(DESK)
    await call.link("up", shop)
    await call.link("broken", desk)
    desk.offline()
    await call.wait("broken", "disconnected")
    path = (await call("daemon.health"))["browser"]["path"]
    state = wasupd.directory / "state" / "sessions"
    async with (
        stray_chrome(path, state / "down" / "profile") as orphan,
        stray_chrome(path, state / "of-no-session" / "profile") as ghost,
        stray_chrome(path, wasupd.directory / "somebody" / "profile") as stranger,
    ):
        result = await call("session.terminateInactive")
        assert sorted(result["terminated"]) == ["broken", "down"]
        assert sorted(result["orphansKilled"]) == sorted([orphan.pid, ghost.pid])
        assert stranger.poll() is None
    assert (await call("session.status", sessionId="up"))["status"] == "connected"
    broken = await call("session.get", sessionId="broken")
    assert (broken["status"], broken["desired"]) == ("inactive", "stopped")
    assert (state / "broken" / "profile").is_dir()
    desk.online()
    assert await call.start("broken") == "connected"  # no data was deleted

    result = await call("session.terminateAll")
    assert sorted(result["terminated"]) == ["broken", "down", "up"]
    assert result["orphansKilled"] == []
    assert wasupd.browsers() == []
    assert await call.start("up") == "connected"


@pytest.mark.parametrize("settings", [{"browser.launch_concurrency": 1}], indirect=True)
async def test_launches_wait_for_their_turn(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """One at a time, in the order of the starts, and those that wait say so; a stop takes one out at once."""
    names = [f"s{number}" for number in range(5)]
    for name in names:
        await call.create(name)
    for name in names:
        await call("session.start", sessionId=name)
    waiting = await call("session.status", sessionId="s3")
    assert (waiting["status"], waiting["reason"]) == ("connecting", "WAITING_FOR_LAUNCH")
    assert (await call("session.get", sessionId="s3"))["reason"] == "WAITING_FOR_LAUNCH"
    with trio.fail_after(2):
        assert await call("session.stop", sessionId="s3") == {"status": "inactive"}
    for name in names:
        if name != "s3":
            await call.wait(name, "qr_generated")
    assert (await call("session.status", sessionId="s4"))["reason"] is None
    turns = [
        (line["event"], line["session_id"])
        for line in wasupd.logged()
        if line["event"] in ("launch_began", "launch_ended")
    ]
    assert turns == [
        (event, name) for name in names if name != "s3" for event in ("launch_began", "launch_ended")
    ]


@pytest.mark.parametrize("settings", [{"browser.launch_concurrency": 1}], indirect=True)
async def test_the_daemons_own_start_launches_in_order(sim: Simulator, wasupd: Wasupd) -> None:
    names = [f"s{number}" for number in range(4)]
    async with wasupd.client() as call:
        for name in names:
            await call.create(name, start=True)
        for name in names:
            await call.wait(name, "qr_generated")
    assert await wasupd.end() == 0
    before = len(wasupd.logged())
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        for name in names:
            await call.wait(name, "qr_generated")
        nursery.cancel_scope.cancel()
    began = [line["session_id"] for line in wasupd.logged()[before:] if line["event"] == "launch_began"]
    assert began == names


async def test_eight_sessions_at_once(sim: Simulator, call: Caller) -> None:
    phones = {f"s{number}": sim.phone(f"+49170000000{number}") for number in range(8)}
    for name in phones:
        await call.create(name)
    async with trio.open_nursery() as nursery:
        for name, phone in phones.items():
            nursery.start_soon(call.link, name, phone)
    listed = await call("session.list", status="connected")
    assert listed["total"] == 8


@pytest.mark.parametrize("settings", [{"restart.window": 600, "restart.revive_after": 0}], indirect=True)
async def test_a_new_daemon_is_no_new_budget(sim: Simulator, wasupd: Wasupd) -> None:
    """Three deaths, a SIGKILL of the daemon, a fourth death: given up."""
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", sim.phone(SHOP))
        async with call.client.subscribe(sessions=["shop"]) as events:
            for _ in range(3):
                os.kill(await call.pid("shop"), signal.SIGKILL)
                await until(events, "session.recovered")
        before = (await call("session.get", sessionId="shop"))["restarts"]
        assert before["count"] == 3
    await wasupd.end(signal.SIGKILL)
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        await call.wait("shop", "connected")
        after = (await call("session.get", sessionId="shop"))["restarts"]
        assert (after["count"], after["firstAttempt"][:-2]) == (3, before["firstAttempt"][:-2])
        async with call.client.subscribe(sessions=["shop"]) as events:
            os.kill(await call.pid("shop"), signal.SIGKILL)
            await until(events, "session.restart_limit")
        assert (await refused(call, "session.reload", sessionId="shop")).code == "SESSION_NOT_STARTED"
        session = await call("session.get", sessionId="shop")
        assert (session["status"], session["reason"]) == ("disconnected", "RESTART_LIMIT_EXCEEDED")
        nursery.cancel_scope.cancel()


async def test_what_operators_look_for_in_the_log(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """The events that docs/log-messages.md names, at the level info."""
    await call.create("shop")
    await call("session.start", sessionId="shop")
    assert (await refused(call, "session.start", sessionId="shop")).code == "SESSION_BUSY"
    await call.wait("shop", "qr_generated")
    await sim.phone(SHOP).scan((await call("session.qr", sessionId="shop"))["qrText"])
    await call.wait("shop", "connected")
    documented = Path("docs/log-messages.md").read_text()
    levels = {line["event"]: line["level"] for line in wasupd.logged()}
    for event in (
        "start_refused",
        "session_created",
        "store_objects_functional",
        "startup_cleanup_began",
        "startup_cleanup_ended",
        "sessions_permanent",
    ):
        assert levels[event] == "info"
        assert f"`{event}`" in documented
    permanent = next(line for line in wasupd.logged() if line["event"] == "sessions_permanent")
    assert (permanent["timeout_minutes"], permanent["cleanup_interval_minutes"]) == (0, 0)
    assert "SingletonLock" not in json.dumps(wasupd.logged())


@pytest.mark.parametrize("settings", [{"browser.memory_reserve": 2**50}], indirect=True, ids=["none"])
async def test_a_start_waits_for_memory(call: Caller) -> None:
    """It says so, is stopped like any other, and no browser pushes the machine into swap."""
    await call.create("shop")
    assert (await call("session.start", sessionId="shop"))["status"] == "connecting"
    status = await call("session.status", sessionId="shop")
    assert (status["status"], status["reason"]) == ("connecting", "WAITING_FOR_MEMORY")
    assert (await call("session.get", sessionId="shop"))["process"] is None
    assert await call("session.stop", sessionId="shop") == {"status": "inactive"}


LIMIT = {"browser.memory_limit": 2**29, "liveness.probe_interval": 0.5}


@pytest.mark.parametrize("settings", [LIMIT], indirect=True, ids=["512 MiB"])
async def test_a_browser_that_comes_near_its_limit_is_restarted(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    takes = (await call("session.get", sessionId="shop"))["process"]["pssBytes"]
    async with call.client.subscribe(
        types=["session.alert", "session.disconnected", "session.recovered"]
    ) as events:
        sim.break_pages("grow", bytes=2**29 * 95 // 100 - takes)
        alert, ended, _ = await until(events, "session.recovered")
    assert alert["data"]["kind"] == "memory"
    assert ended["data"]["reason"] == "MEMORY_LIMIT"
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 1
    (incident,) = (await call("session.incidents", sessionId="shop"))["incidents"]
    assert (incident["kind"], incident["recoveredAt"] is None) == ("MEMORY_LIMIT", False)


@pytest.mark.parametrize("settings", [LIMIT], indirect=True, ids=["512 MiB"])
async def test_a_browser_beyond_its_limit_is_ended_at_once_and_no_other(
    sim: Simulator, wasupd: Wasupd, call: Caller
) -> None:
    """Though a message waits; it is sent once, by the next browser."""
    shop = sim.phone(SHOP)
    for name, phone in (("shop", shop), ("desk", sim.phone(DESK))):
        await call.create(name)
        await call.link(name, phone)
    other = await call.pid("desk")
    shop.hold_acks()
    await call.send("shop", ADA, "hello")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages("grow", bytes=2**30)
        await until(events, "session.recovered")
        shop.release_acks()
        await until(events, "message.sent")
    assert [line for line in wasupd.logged() if line["event"] == "memory_limit_exceeded"]
    (incident,) = (await call("session.incidents", sessionId="shop"))["incidents"]
    assert (incident["kind"], incident["action"]) == ("MEMORY_LIMIT", "NEW_BROWSER")
    assert [delivery.text for delivery in shop.deliveries] == ["hello"]
    assert await call.pid("desk") == other
    assert (await call("session.get", sessionId="desk"))["restarts"]["count"] == 0

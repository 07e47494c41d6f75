"""The units under a real systemd, with the real Chrome and its sandbox."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from tests.processes import listening
from tests.simulator import Simulator
from tests.system.conftest import ADA, DESK, SHOP
from tests.system.wasupd import Caller, until
from tests.systemd.conftest import REPOSITORY
from tests.systemd.machine import Machine
from tests.systemd.service import GROUP, browsers, client, daemon, set_up

pytestmark = pytest.mark.chrome


async def test_sessions_outlive_restarts_kills_and_hangs_of_the_daemon(
    machine: Machine, sim: Simulator
) -> None:
    shop = sim.phone(SHOP)
    await set_up(machine, sim, WatchdogSec="3")
    async with client(machine) as call:
        await call.create("shop")
        await call.link("shop", shop)
        assert (await call.send("shop", ADA, "hello", wait="delivered"))["status"] == "delivered"
        shop.receive(ADA, "hello to you")
        async with call.client.subscribe(types=["message.received"], after=0) as events:
            await until(events, "message.received")
    linked = await machine.property("MainPID")

    async def back() -> None:
        async with client(machine) as call:
            await call.wait("shop", "connected")
            log = await call("events.list", types=["session.qr"], after=0)
            assert len(log["events"]) == 1, "no second code was needed"

    await machine.systemctl("restart", "wasupd.service")
    assert await machine.property("MainPID") != linked
    await back()
    for number, result in ((signal.SIGKILL, "signal"), (signal.SIGSTOP, "watchdog")):
        before = psutil.Process(daemon(machine))
        os.kill(before.pid, number)
        with trio.fail_after(60):
            await trio.to_thread.run_sync(before.wait)
        await back()
        journal = await machine.journal("--unit=wasupd", f"UNIT_RESULT={result}")
        assert journal, f"systemd saw it end by {result}"
    assert await machine.property("NRestarts") == "2"
    with trio.fail_after(10):
        while await machine.property("StatusText") != "Sessions: 1 connected":
            pass  # it is told once a second
    assert await machine.property("ActiveState") in ("active", "reloading")

    await machine.systemctl("stop", "wasupd.socket", "wasupd.service")
    assert machine.pids(GROUP) == []
    assert not machine.path("/run/wasup/wasup.sock").exists()
    assert [(d.text, d.chat) for d in shop.deliveries] == [("hello", "4915110000001@c.us")]


async def test_nobody_but_the_group_reaches_the_socket_and_the_sandbox_is_on(
    machine: Machine, sim: Simulator
) -> None:
    await set_up(machine, sim)
    async with client(machine) as call:
        await call.create("shop")
        assert await call.start("shop") == "qr_generated"

        renderers = browsers(machine, "renderer")
        assert renderers
        outside = Path(f"/proc/{daemon(machine)}/ns/user").readlink()
        for renderer in renderers:
            status = Path(f"/proc/{renderer.pid}/status").read_text()
            assert "Seccomp:\t2" in status
            assert "NoNewPrivs:\t1" in status
            assert "CapEff:\t0000000000000000" in status
            assert Path(f"/proc/{renderer.pid}/ns/user").readlink() != outside
        assert listening(machine.pids(GROUP)) == []

        (chrome, *_) = browsers(machine)
        assert await connecting(machine, "wasup", "wasupd") == "PermissionError"
        assert await connecting(machine, "wasup", "wasupd", seen_by=chrome.pid) == "PermissionError"
        await machine.run("useradd", "--groups=wasup", "member")
        await machine.run("useradd", "stranger")
        assert await connecting(machine, "stranger", "stranger") == "PermissionError"
        assert await connecting(machine, "member", "member") == "connected"
        whoami = json.loads(await machine.run("wasupctl", "call", "daemon.whoami", user="member"))
        assert whoami["role"] == "none"
        uid = int(await machine.run("id", "--user", "member"))
        assert whoami["uid"] == uid
        await _may_look_and_no_more(machine, call, uid)


async def _may_look_and_no_more(machine: Machine, call: Caller, uid: int) -> None:
    """A reader sees sessions and may not send; one that is for others is not there."""

    async def refusal(method: str, **params: object) -> str:
        said = await machine.run(
            "wasupctl", "--json", "call", method, json.dumps(params), user="member", status=1
        )
        error, _ = json.JSONDecoder().raw_decode(said)  # followed by what is for people
        code: str = error["data"]["code"]
        return code

    with machine.path("/etc/wasup/config.toml").open("a") as config:
        config.write('[access]\nreader = ["member"]\n')
    await call("daemon.reloadConfig")
    assert await refusal("message.send", sessionId="shop", to=ADA, text="Hello") == "FORBIDDEN"
    assert "shop" in await machine.run("wasupctl", "list", user="member")
    await call("session.update", sessionId="shop", settings={"allowedUids": [uid + 1]})
    assert await refusal("session.get", sessionId="shop") == "SESSION_NOT_FOUND"
    assert "shop" not in await machine.run("wasupctl", "list", user="member")


async def connecting(machine: Machine, user: str, group: str, seen_by: int | None = None) -> str:
    """What becomes of a user's attempt to connect, in the view that a process has of the files."""
    code = (
        "import socket\n"
        "try: socket.socket(socket.AF_UNIX).connect('/run/wasup/wasup.sock')\n"
        "except OSError as error: print(type(error).__name__)\n"
        "else: print('connected')"
    )
    view = () if seen_by is None else ("nsenter", "--target", str(machine.inside(seen_by)), "--mount")
    account = ("setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--")
    return (await machine.run(*view, *account, "/usr/bin/python3", "-c", code)).strip()


async def test_each_browser_is_in_a_control_group_of_its_own(machine: Machine, sim: Simulator) -> None:
    """And the key that systemd hands over is taken."""
    key = machine.path("/etc/credstore/wasup-key")
    key.parent.mkdir(mode=0o700)
    key.write_bytes(b64encode(bytes(range(32))))
    await set_up(machine, sim)
    async with client(machine) as call:
        for name in ("shop", "desk"):
            await call.create(name, settings={"enableEncryption": True})
            assert await call.start(name) == "qr_generated"
        groups = {"daemon", "session-shop", "session-desk"}
        assert set(machine.cgroups(GROUP)) == groups
        assert machine.pids(f"{GROUP}/daemon") == [daemon(machine)]
        process = (await call("session.get", sessionId="shop"))["process"]
        members = machine.pids(f"{GROUP}/session-shop")
        assert process["pid"] in {machine.inside(pid) for pid in members}
        assert process["processes"] == len(members) > 3
        assert process["cpuSeconds"] > 0
        others = machine.pids(f"{GROUP}/session-desk")
        await call("session.stop", sessionId="shop", wait=True)
        assert set(machine.cgroups(GROUP)) == groups - {"session-shop"}
        assert machine.pids(f"{GROUP}/session-desk") == others


async def test_one_session_beyond_its_limit_of_memory_leaves_the_others_alone(
    machine: Machine, sim: Simulator
) -> None:
    """Held by the kernel where it has the memory controller of version 2, by the daemon elsewhere."""
    await set_up(machine, sim)
    config = machine.path("/etc/wasup/config.toml")
    limit = "[liveness]\nprobe_interval = 1\n[browser]\nmemory_limit = 536870912\n"
    config.write_text(config.read_text().replace("[browser]\n", limit))
    await machine.systemctl("restart", "wasupd.service")
    phones = {"shop": sim.phone(SHOP), "desk": sim.phone(DESK)}
    async with client(machine) as call:
        for name, phone in phones.items():
            await call.create(name)
            await call.link(name, phone)
        other = await call.pid("desk")
        async with call.client.subscribe(sessions=["shop"]) as events:
            phones["shop"].break_pages("grow", bytes=2**30)
            await until(events, "session.recovered")
        (incident,) = (await call("session.incidents", sessionId="shop"))["incidents"]
        assert incident["kind"] in ("MEMORY_LIMIT", "PAGE_CRASHED")
        assert await call.pid("desk") == other
        assert (await call("session.get", sessionId="desk"))["restarts"]["count"] == 0


async def test_without_delegation_sessions_work_by_process_group(machine: Machine, sim: Simulator) -> None:
    await set_up(machine, sim, Delegate="no")
    async with client(machine) as call:
        await call.create("shop")
        assert await call.start("shop") == "qr_generated"
        assert machine.cgroups(GROUP) == []
        assert (await call("session.get", sessionId="shop"))["process"]["processes"] > 3
        await call("session.stop", sessionId="shop", wait=True)
        assert machine.pids(GROUP) == [daemon(machine)]


async def test_a_request_waits_at_the_socket_while_there_is_no_daemon(
    machine: Machine, sim: Simulator
) -> None:
    await set_up(machine, sim)
    await machine.systemctl("stop", "wasupd.service")
    async with client(machine) as call:  # starts it
        await call.create("shop")
    os.kill(daemon(machine), signal.SIGSTOP)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            async with client(machine) as call:
                assert (await call("session.get", sessionId="shop"))["id"] == "shop"

        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await machine.systemctl("kill", "--signal=KILL", "wasupd.service")
    await machine.systemctl("reload", "wasupd.service")
    with trio.fail_after(20):
        while not await machine.journal("--unit=wasupd", "EVENT=config_reloaded"):
            pass  # kill(1) does not wait for it
    assert await machine.property("ActiveState") in ("active", "reloading")


async def test_the_units_hold_what_they_promise(machine: Machine) -> None:
    await machine.run("systemd-sysusers")
    units = ("wasupd.service", "wasupd.socket")
    assert await machine.run("systemd-analyze", "verify", *units) == ""
    said = await machine.run("systemd-analyze", "security", "--offline=true", "--no-pager", "wasupd.service")
    (exposure,) = re.findall(r"Overall exposure level for wasupd.service: ([\d.]+)", said)
    assert float(exposure) <= 2.0, said
    comments = "".join(
        line
        for line in (REPOSITORY / "systemd/wasupd.service").read_text().splitlines()
        if line.startswith("#")
    )
    left = re.findall(r"^✗ (\w+=)", said, re.MULTILINE)
    assert len(left) > 5
    assert [setting for setting in left if setting not in comments] == [], "unexplained"
    assert await machine.run("id", "--groups", "--name", "wasup") == "wasupd\n"


def test_an_uninstallation_leaves_what_is_the_administrators(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(installed, root, symlinks=True)
    command = ["bash", "tools/install.sh", "uninstall", sys.prefix, "/usr", str(root)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    assert [path.relative_to(root) for path in root.rglob("*") if not path.is_dir()] == [
        Path("etc/wasup/config.toml")
    ]

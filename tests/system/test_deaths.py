"""Every kind of death, provoked in a real Chrome: what a user sees, and that the cheapest level suffices."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trio

from tests.processes import children
from tests.simulator import Simulator
from tests.simulator.phone import Phone
from tests.system.conftest import ADA, DESK, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

QUICK = {"liveness.probe_interval": 0.2, "liveness.probe_timeout": 2}
CHAIN = [
    ("session.status", "connected", "disconnected"),
    ("session.disconnected", None, None),
    ("session.restarting", None, None),
    ("session.status", "disconnected", "connecting"),
    ("session.connecting", None, None),
    ("session.status", "connecting", "connected"),
    ("session.connected", None, None),
    ("session.recovered", None, None),
]


LITTLE_MEMORY = "--js-flags=--max-old-space-size=96"


def chain(seen: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
    """What of the events is about the session's life."""
    return [
        (event["type"], event["data"].get("from"), event["data"].get("to"))
        for event in seen
        if event["type"].startswith("session.")
    ]


async def connected(call: Caller, sim: Simulator) -> Phone:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    return shop


async def incidents(call: Caller) -> list[dict[str, Any]]:
    """The session's incidents, oldest first, all of which must be over."""
    found = (await call("session.incidents", sessionId="shop"))["incidents"]
    assert [one for one in found if one["recoveredAt"] is None or one["recoveredAt"] < one["at"]] == []
    return list(reversed(found))


async def sends_once(call: Caller, shop: Phone) -> None:
    """The next message arrives, once."""
    message = await call.send("shop", ADA, "still there", wait="delivered")
    assert [d.id for d in shop.deliveries] == [message["id"]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_browser_that_ends(sim: Simulator, call: Caller, number: signal.Signals) -> None:
    shop = await connected(call, sim)
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), number)
        seen = await until(events, "session.recovered")
    assert chain(seen) == CHAIN
    *_, incident = await incidents(call)  # on a slow machine the page's end may be seen as one of its own
    wanted = (
        ("BROWSER_CRASHED", "signal SIGKILL") if number is signal.SIGKILL else ("BROWSER_EXITED", "exit code")
    )
    assert incident["kind"] == wanted[0]
    assert wanted[1] in incident["detail"]
    assert incident["action"] == "NEW_BROWSER"
    await sends_once(call, shop)


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_renderer_that_dies_and_one_that_is_stopped(sim: Simulator, call: Caller) -> None:
    """Loaded again, then given a page of its own: the browser stays."""
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    for number in (signal.SIGKILL, signal.SIGSTOP):
        async with call.client.subscribe(sessions=["shop"]) as events:
            children(pid, "renderer")[0].send_signal(number)
            assert chain(await until(events, "session.recovered")) == CHAIN
    assert [(i["kind"], i["action"]) for i in await incidents(call)] == [
        ("PAGE_CRASHED", "RELOADED"),
        ("PAGE_HUNG", "NEW_PAGE"),
    ]
    assert await call.pid("shop") == pid
    await sends_once(call, shop)
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 2


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_endless_loops_are_ended_in_place(sim: Simulator, call: Caller) -> None:
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        for kind in ("loop", "starve"):
            shop.break_pages(kind)
            await sim.wait_for(lambda: shop.connected)
            message = await call.send("shop", ADA, kind, wait="delivered")
            assert message["status"] == "delivered"
        seen = await until(events, *["message.delivered"] * 2)
    assert chain(seen) == []
    assert {(i["kind"], i["action"]) for i in await incidents(call)} == {("PAGE_HUNG", "LOOP_ENDED")}
    assert await call.pid("shop") == pid
    assert [d.text for d in shop.deliveries] == ["loop", "starve"]


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
@pytest.mark.parametrize(
    ("kind", "cause", "action"),
    [
        ("leave", "NAVIGATED_AWAY", "RELOADED"),
        ("no_library", "LIBRARY_MISSING", "RELOADED"),
        ("request", "PAGE_HUNG", "NEW_PAGE"),
    ],
)
async def test_pages_that_go_wrong(sim: Simulator, call: Caller, kind: str, cause: str, action: str) -> None:
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages(kind)
        seen = await until(events, "session.recovered")
    found = {i["kind"]: i["action"] for i in await incidents(call)}
    assert found[cause] == action
    assert await call.pid("shop") == pid
    if kind == "leave":
        assert chain(seen) == CHAIN
    await sends_once(call, shop)


@pytest.mark.parametrize("settings", [{**QUICK, "browser.transport": "websocket"}], indirect=True)
async def test_a_page_that_is_closed(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """Somebody else does it, on the browser's port. A browser may end with its last page: one recovery."""
    shop = await connected(call, sim)
    profile = wasupd.directory / "state" / "sessions" / "shop" / "profile"
    port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
    async with httpx.AsyncClient() as http:
        pages = (await http.get(f"http://127.0.0.1:{port}/json/list")).json()
        (target,) = [page["id"] for page in pages if page["type"] == "page"]
        async with call.client.subscribe(sessions=["shop"]) as events:
            await http.get(f"http://127.0.0.1:{port}/json/close/{target}")
            assert chain(await until(events, "session.recovered")) == CHAIN
    found = await incidents(call)
    assert found[0]["kind"] in ("PAGE_CLOSED", "BROWSER_EXITED")
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 1
    await sends_once(call, shop)


async def test_a_page_that_dies_with_its_code(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    assert await call.start("shop") == "qr_generated"
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        children(pid, "renderer")[0].kill()
        await until(events, "session.qr")
    assert [(i["kind"], i["action"]) for i in await incidents(call)] == [("PAGE_CRASHED", "RELOADED")]
    assert await call.pid("shop") == pid
    code = await call("session.qr", sessionId="shop")
    await sim.phone(SHOP).scan_image(code["qrCode"])
    await call.wait("shop", "connected")


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_browser_that_is_stopped(sim: Simulator, call: Caller) -> None:
    shop = await connected(call, sim)
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), signal.SIGSTOP)
        assert chain(await until(events, "session.recovered")) == CHAIN
    (incident,) = await incidents(call)
    assert (incident["kind"], incident["action"]) == ("BROWSER_HUNG", "NEW_BROWSER")
    await sends_once(call, shop)


@pytest.mark.parametrize("settings", [{**QUICK, "liveness.connect_timeout": 4}], indirect=True)
async def test_a_page_whose_library_never_gets_ready(sim: Simulator, call: Caller) -> None:
    """Its second document is no better; another page is tried, in the same browser."""
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages("no_modules", loads=2)
        seen = await until(events, "session.recovered")
    assert seen[0]["data"]["reason"] == "PAGE_RELOADED"
    kinds = [(i["kind"], i["action"]) for i in await incidents(call)]
    assert ("LIBRARY_NOT_READY", "NEW_PAGE") in kinds or ("LIBRARY_NOT_READY", "RELOADED") in kinds
    assert await call.pid("shop") == pid
    await sends_once(call, shop)


async def test_a_gpu_process_that_dies_is_an_incident_only(sim: Simulator, call: Caller) -> None:
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    children(pid, "gpu-process")[0].kill()
    with trio.fail_after(30):
        while not (found := await incidents(call)):
            await trio.lowlevel.checkpoint()
    assert [(i["kind"], i["action"]) for i in found] == [("GPU_CRASHED", "NONE")]
    assert (await call("session.status", sessionId="shop"))["status"] == "connected"
    assert await call.pid("shop") == pid
    await sends_once(call, shop)


async def test_gpu_processes_that_die_again_and_again(sim: Simulator, call: Caller) -> None:
    """At some time the browser has enough of it, and ends: that is a death, and a new browser follows."""
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events, trio.open_nursery() as nursery:

        async def kill() -> None:
            while True:
                with suppress(psutil.Error, IndexError):  # there is none just now, nor a browser any more
                    children(pid, "gpu-process")[0].kill()
                await call("session.incidents", sessionId="shop")

        nursery.start_soon(kill)
        assert chain(await until(events, "session.recovered")) == CHAIN
        nursery.cancel_scope.cancel()
    found = [(i["kind"], i["action"]) for i in await incidents(call)]
    assert set(found) == {("GPU_CRASHED", "NONE"), ("BROWSER_CRASHED", "NEW_BROWSER")}
    assert found.count(("BROWSER_CRASHED", "NEW_BROWSER")) == 1
    assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 1
    await sends_once(call, shop)


@pytest.mark.parametrize("settings", [{"browser.extra_args": [LITTLE_MEMORY]}], indirect=True)
async def test_a_page_that_takes_all_memory(sim: Simulator, call: Caller) -> None:
    shop = await connected(call, sim)
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages("memory")
        assert chain(await until(events, "session.recovered")) == CHAIN
    (incident,) = await incidents(call)
    assert (incident["kind"], incident["action"]) == ("OUT_OF_MEMORY", "RELOADED")
    await sends_once(call, shop)


@pytest.fixture
def limited() -> Iterator[Path]:
    """A control group of the kernel's in which no more than 512 MiB can be had.

    Of version 1, which has the same limit: where version 2 has the memory controller, it is the daemon that
    makes such groups (tests/supervisors/chrome/test_cgroups.py).
    """
    top = Path("/sys/fs/cgroup/memory")
    if not os.access(top / "memory.limit_in_bytes", os.R_OK) or not os.access(top, os.W_OK):
        pytest.skip("no control group of version 1 with a limit of memory can be made here")
    group = top / f"wasup-test-{os.getpid()}"
    group.mkdir()
    for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
        if (group / name).exists():
            (group / name).write_text(str(2**29))
    yield group
    group.rmdir()


async def test_a_browser_at_the_kernels_limit_leaves_the_others_alone(
    limited: Path, sim: Simulator, call: Caller
) -> None:
    shop, desk = await connected(call, sim), sim.phone(DESK)
    await call.create("desk")
    await call.link("desk", desk)
    pids = {name: await call.pid(name) for name in ("shop", "desk")}
    leader = psutil.Process(pids["shop"])
    for process in [leader, *leader.children(recursive=True)]:
        with suppress(ProcessLookupError):  # a helper that has done its work meanwhile
            (limited / "cgroup.procs").write_text(str(process.pid))
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.break_pages("grow", bytes=2**30)
        assert chain(await until(events, "session.recovered")) == CHAIN
    (incident,) = await incidents(call)
    assert (incident["kind"], incident["action"]) == ("PAGE_CRASHED", "RELOADED")
    assert {name: await call.pid(name) for name in pids} == pids
    await sends_once(call, shop)
    assert (await call("session.get", sessionId="desk"))["restarts"]["count"] == 0


@pytest.mark.parametrize("settings", [QUICK], indirect=True)
async def test_a_page_that_asks_for_an_update(sim: Simulator, call: Caller) -> None:
    shop = await connected(call, sim)
    pid = await call.pid("shop")
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.push_state("CONNECTED", needsUpdate=True)
        assert chain(await until(events, "session.recovered")) == CHAIN
    (incident,) = await incidents(call)
    assert (incident["kind"], incident["action"]) == ("UPDATE_WANTED", "RELOADED")
    assert await call.pid("shop") == pid
    await sends_once(call, shop)

"""Twenty linked sessions started at once: all come up, in order, and what that costs is printed."""

import os

import psutil
import pytest
import trio

from tests.simulator import Simulator
from tests.system.wasupd import Caller, Wasupd

pytestmark = [pytest.mark.chrome, pytest.mark.slow]

SESSIONS = 20


async def test_twenty_at_once(
    sim: Simulator, wasupd: Wasupd, call: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"s{number:02}" for number in range(SESSIONS)]
    for number, name in enumerate(names):
        await call.create(name)
        await call.link(name, sim.phone(f"+4917000000{number:02}"))
    await call("session.terminateAll")
    assert wasupd.browsers() == []
    logged = len(wasupd.logged())
    peak_bytes = 0
    began = trio.current_time()

    async def watch() -> None:
        nonlocal peak_bytes
        while True:
            peak_bytes = max(peak_bytes, sum(_private_bytes(process) for process in wasupd.browsers()))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        for name in names:
            await call("session.start", sessionId=name)
        for name in names:
            await call.wait(name, "connected")
        took_s = trio.current_time() - began
        cpu_s = sum(sum(process.info["cpu_times"][:2]) for process in wasupd.browsers())
        nursery.cancel_scope.cancel()
    launched = [x["session_id"] for x in wasupd.logged()[logged:] if x["event"] == "launch_began"]
    assert sorted(launched) == names
    together = os.cpu_count() or 1  # those whose turns come at once may begin in any order
    assert all(abs(place - names.index(name)) < together for place, name in enumerate(launched))
    with capsys.disabled():
        print(
            f"\n{SESSIONS} sessions connected in {took_s:.1f} s, {cpu_s:.1f} s of CPU,"
            f" at most {peak_bytes / 2**20:.0f} MiB of their own"
        )


def _private_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0

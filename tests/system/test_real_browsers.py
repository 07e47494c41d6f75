"""As many sessions with real browsers as fit into so much memory, of which one is killed each second."""

import os
import re
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import trio

from tests.simulator import Simulator
from tests.system.crowd import all_connected, killed
from tests.system.wasupd import Caller, Wasupd

pytestmark = [pytest.mark.chrome, pytest.mark.slow]

GIB = float(os.environ.get("WASUP_GIB", "4"))
KILLS = 60


def private_bytes(root: psutil.Process) -> int:
    """What a browser has of its own, without what its processes share with others."""
    total = 0
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(OSError):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                found = re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE)
                total += sum(map(int, found)) * 1024
    return total


@pytest.mark.parametrize("settings", [{"sessions.max": 500}], indirect=True)
async def test_as_many_as_fit(
    sim: Simulator, wasupd: Wasupd, call: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    names: list[str] = []
    used_bytes = 0
    began = trio.current_time()
    while used_bytes < GIB * 2**30:
        if len(names) % 10 == 0:
            used_bytes = sum(map(private_bytes, wasupd.browsers()))
        name = f"s{len(names)}"
        await call.create(name)
        await call.link(name, sim.phone(f"+4917000{len(names):05}"))
        names.append(name)
    up_s = trio.current_time() - began
    await all_connected(wasupd, names)
    assert len(wasupd.browsers()) == len(names)
    said = await killed(wasupd, names, min(KILLS, len(names)), 1.0)
    assert len(wasupd.browsers()) == len(names)
    with capsys.disabled():
        print(
            f"\n{len(names)} sessions linked, one after the other, in {up_s:.0f} s: their browsers have"
            f" {used_bytes / 2**30:.1f} GiB of their own; {said}"
        )

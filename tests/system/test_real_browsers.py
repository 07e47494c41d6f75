"""As many sessions with real browsers as fit into so much of the machine's memory, one killed each second."""

import os

import psutil
import pytest
import trio

from tests.simulator import Simulator
from tests.system.crowd import all_connected, killed
from tests.system.wasupd import Caller, Wasupd

pytestmark = [pytest.mark.chrome, pytest.mark.slow]

GIB = float(os.environ.get("WASUP_GIB", "4"))
KILLS = 60


@pytest.mark.parametrize("settings", [{"sessions.max": 500}], indirect=True)
async def test_as_many_as_fit(
    sim: Simulator, wasupd: Wasupd, call: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    names: list[str] = []
    available = psutil.virtual_memory().available
    began = trio.current_time()
    while (used_bytes := available - psutil.virtual_memory().available) < GIB * 2**30:
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
            f"\n{len(names)} sessions linked, one after the other, in {up_s:.0f} s; the machine had"
            f" {used_bytes / 2**30:.1f} GiB less then; {said}"
        )

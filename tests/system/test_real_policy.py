"""The restart policy with the numbers that are shipped: minutes long, so `make test-slow` only."""

import os
import signal
from datetime import datetime

import pytest

from tests.simulator import Simulator
from tests.system.conftest import SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = [pytest.mark.chrome, pytest.mark.slow]

SHIPPED = {"restart.settle": 2, "restart.cooldown": 30, "restart.window": 120, "restart.revive_after": 60}


@pytest.mark.parametrize("settings", [SHIPPED], indirect=True)
async def test_three_restarts_in_two_minutes(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """2 s after the first death, 30 s after each restart; then given up, and revived: never with a QR."""
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    delays = []
    async with call.client.subscribe(sessions=["shop"]) as events:
        for _ in range(3):
            os.kill(await call.pid("shop"), signal.SIGKILL)
            seen = await until(events, "session.restarting", "session.recovered")
            delays += [e["data"]["delay"] for e in seen if e["type"] == "session.restarting"]
            at = {e["type"]: datetime.fromisoformat(e["timestamp"]) for e in seen}
            waited = (at["session.connecting"] - at["session.restarting"]).total_seconds()
            assert delays[-1] <= waited + 0.01
        os.kill(await call.pid("shop"), signal.SIGKILL)
        seen = await until(events, "session.restart_limit")
        assert seen[-1]["data"]["reviveIn"] == 60
        assert wasupd.browsers() == []
        await until(events, "session.recovered")
    assert delays[0] == 2.0
    assert all(25 < delay <= 30 for delay in delays[1:])

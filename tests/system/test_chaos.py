"""Whatever befalls sessions, all are connected in the end; `make chaos` does it with more, and for longer."""

import os

import pytest

from tests.simulator import Simulator
from tests.system.chaos import Chaos
from tests.system.wasupd import Caller, Wasupd

SESSIONS = int(os.environ.get("WASUP_SESSIONS", "4"))
SECONDS = float(os.environ.get("WASUP_SECONDS", "90"))
SEED = int(os.environ.get("WASUP_SEED", "5"))

SETTINGS = {
    "restart.max_restarts": 10_000,
    "restart.window": 1,
    "liveness.probe_interval": 1,
    "liveness.probe_timeout": 6,
    "liveness.connect_timeout": 45,
    "browser.extra_args": ["--js-flags=--max-old-space-size=96"],
}


@pytest.mark.chrome
@pytest.mark.parametrize("settings", [SETTINGS], indirect=True)
async def test_chaos(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    print(f"WASUP_SEED={SEED} WASUP_SESSIONS={SESSIONS} WASUP_SECONDS={SECONDS:g}")
    await Chaos(sim, wasupd, call, SESSIONS, SEED).run(SECONDS)

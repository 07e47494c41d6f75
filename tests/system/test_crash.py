"""Whatever is killed, wherever it was: nothing accepted is lost, and nothing is done twice."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from supervisors import faults
from tests.simulator import Simulator
from tests.system.storm import Storm
from tests.system.wasupd import Wasupd

KILLS = int(os.environ.get("WASUP_KILLS", "30"))
RESTARTS = int(os.environ.get("WASUP_RESTARTS", "3"))
SEED = int(os.environ.get("WASUP_SEED", "4"))


@pytest.fixture
async def daemon(sim: Simulator, tmp_path: Path, leftovers: None) -> AsyncIterator[Wasupd]:
    """A daemon that is not started; it gives no session up, however often that dies."""
    restart = {"max_restarts": 10_000, "window": 1, "cooldown": 0.1, "settle": 0.1}
    daemon = Wasupd(tmp_path, sim.chrome_args, {f"restart.{key}": value for key, value in restart.items()})
    try:
        yield daemon
        assert not daemon.socket.exists()
        assert daemon.browsers() == []
        assert [line for line in daemon.logged() if line["level"] in ("error", "critical")] == []
    finally:
        with trio.CancelScope(shield=True):
            if daemon.process is not None:
                daemon.process.kill()
                await daemon.process.wait()


@pytest.mark.chrome
async def test_whatever_is_killed(sim: Simulator, daemon: Wasupd) -> None:
    """Daemon, Chrome and renderer, at every fault point and at random; `make soak` does it for longer."""
    print(f"WASUP_SEED={SEED} WASUP_KILLS={KILLS} WASUP_RESTARTS={RESTARTS}")
    storm = Storm(sim, daemon, SEED)
    begun = time.monotonic()
    async with storm.receiver.serve() as url:
        await storm.run(url, KILLS, RESTARTS)
    assert KILLS < 30 or faults.POINTS.keys() <= storm.killed.keys()
    taken = sum(len(ids) for ids in storm.accepted.values())
    print(
        f"{storm.killed.total()} kills ({dict(storm.killed)}), {RESTARTS} restarts, {taken} messages, "
        f"{len(storm.seen)} events, in {time.monotonic() - begun:.0f} s"
    )

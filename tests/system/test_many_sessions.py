"""Hundreds of sessions in one daemon, on browsers that only speak: all up, whichever of them are killed."""

import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import trio

from tests.stand_in.daemon import programs
from tests.system.wasupd import Wasupd

ANSWERED_WITHIN_S = 10.0


@pytest.fixture
async def wasupd(tmp_path: Path) -> AsyncIterator[Wasupd]:
    """A daemon with stand-ins; at the end it must stop in order and leave no process."""
    settings: dict[str, object] = {"log.level": "info", "profile.snapshots": 1}
    async with trio.open_nursery() as nursery:
        daemon = Wasupd(tmp_path, [], settings, programs(tmp_path))
        try:
            await daemon.start()
            nursery.start_soon(daemon.drain)
            yield daemon
            assert await daemon.end() == 0
            assert daemon.browsers() == []
        finally:
            with trio.CancelScope(shield=True):
                if daemon.process is not None:
                    daemon.process.kill()
                    await daemon.process.wait()
            nursery.cancel_scope.cancel()


async def all_connected(wasupd: Wasupd, names: list[str]) -> None:
    async with wasupd.client() as call:
        for name in names:
            await call("session.wait", sessionId=name, status="connected", timeout=50)


@pytest.mark.parametrize(
    ("sessions", "kills", "pause_s"),
    [(60, 10, 0.0), pytest.param(500, 60, 1.0, marks=pytest.mark.slow)],
    ids=["60", "500"],
)
async def test_all_are_up_whoever_is_killed(
    wasupd: Wasupd, sessions: int, kills: int, pause_s: float
) -> None:
    dice = random.Random(1)  # noqa: S311  for a test
    names = [f"s{number}" for number in range(sessions)]
    began = trio.current_time()
    async with wasupd.client() as call:
        for name in names:
            await call.create(name, start=True)
    await all_connected(wasupd, names)
    up_s = trio.current_time() - began
    assert len(wasupd.browsers()) == sessions
    waits: list[float] = []
    daemon = psutil.Process(wasupd.pid)
    cpu_s = sum(daemon.cpu_times()[:2])
    began = trio.current_time()

    async def ask() -> None:
        """Ask how sessions are, one after the other, as long as there are kills."""
        async with wasupd.client() as call:
            while True:
                before = trio.current_time()
                with trio.fail_after(ANSWERED_WITHIN_S):
                    await call("session.status", sessionId=dice.choice(names))
                waits.append(trio.current_time() - before)
                await trio.sleep(0.01)  # how often programs ask

    async with (
        wasupd.client() as call,
        call.client.subscribe(types=["session.recovered"]) as events,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(ask)
        for _ in range(kills):
            os.kill(await call.pid(dice.choice(names)), signal.SIGKILL)
            await trio.sleep(pause_s)  # one each second, as seen from outside
            if not pause_s:
                await anext(events)
        nursery.cancel_scope.cancel()
    took_s = trio.current_time() - began
    await all_connected(wasupd, names)
    waits.sort()
    print(
        f"{sessions} up in {up_s:.1f} s; {kills} kills in {took_s:.1f} s; session.status {len(waits)} times, "
        f"median {waits[len(waits) // 2] * 1000:.1f} ms, longest {waits[-1] * 1000:.0f} ms; "
        f"wasupd {daemon.memory_info().rss >> 20} MiB, "
        f"{(sum(daemon.cpu_times()[:2]) - cpu_s) / took_s:.0%} of a core"
    )
    assert len(wasupd.browsers()) == sessions

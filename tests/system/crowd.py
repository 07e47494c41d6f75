"""Many sessions, whatever their browsers are: one after the other is killed, and all are asked about."""

import os
import random
import signal
from itertools import cycle, islice

import psutil
import trio

from tests.system.wasupd import Wasupd

ANSWERED_WITHIN_S = 10.0


async def all_connected(wasupd: Wasupd, names: list[str]) -> None:
    """Wait until all are."""
    async with wasupd.client() as call:
        for name in names:
            await call("session.wait", sessionId=name, status="connected", timeout=50)


async def killed(wasupd: Wasupd, names: list[str], kills: int, pause_s: float) -> str:
    """Kill browsers, each session's in its turn; all are back in the end, and questions are answered.

    With a pause of 0 the next is killed when the one before is back. Returns what it cost, in words.
    """
    dice = random.Random(1)  # noqa: S311  for a test
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
        for name in islice(cycle(dice.sample(names, len(names))), kills):
            os.kill(await call.pid(name), signal.SIGKILL)
            await trio.sleep(pause_s)  # one each second, as seen from outside
            if not pause_s:
                await anext(events)
        nursery.cancel_scope.cancel()
    took_s = trio.current_time() - began
    await all_connected(wasupd, names)
    waits.sort()
    return (
        f"{kills} kills in {took_s:.1f} s; session.status {len(waits)} times, "
        f"median {waits[len(waits) // 2] * 1000:.1f} ms, longest {waits[-1] * 1000:.0f} ms; "
        f"wasupd {daemon.memory_info().rss >> 20} MiB, "
        f"{(sum(daemon.cpu_times()[:2]) - cpu_s) / took_s:.0%} of a core"
    )

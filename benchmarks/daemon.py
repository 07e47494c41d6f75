"""The daemon by itself: its start, its memory, and what it does while nothing happens."""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from protocol.client.blocking import connect

from .frame import Comparison, Target, interleaved
from .processes import daemon

_SESSIONS: Final = 500
_REST_S: Final = 20.0
_MIB: Final = 2**20


def run(rounds: int) -> list[Comparison]:
    """Measure; the floor of each is what it shall be, as there is nothing to compare it with."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        with daemon(directory / "many") as socket, connect(socket) as client:
            for number in range(_SESSIONS):
                client.call("session.create", name=f"Shop {number}")
        found = interleaved(rounds, {which: partial(_start, directory / which) for which in ("none", "many")})
        pids: list[int] = []
        with daemon(directory / "many", pids=pids):
            process = psutil.Process(pids[0])
            # From READY on: what a start leaves to be done afterwards is counted, too.
            before, begun = process.cpu_times(), time.perf_counter()
            time.sleep(_REST_S)
            after, passed = process.cpu_times(), time.perf_counter() - begun
            cpu = (after.user + after.system - before.user - before.system) / passed
    a_session = [
        (many - none) / _SESSIONS * 1024
        for many, none in zip(found["many"]["mib"], found["none"]["mib"], strict=True)
    ]
    return [
        _row("start to READY, no session", "s", found["none"]["seconds"], 0.4),
        _row("start to READY, 500 stopped sessions", "s", found["many"]["seconds"], 0.6),
        _row("RSS, no session", "MiB", found["none"]["mib"], 45),
        _row("RSS a stopped session, of 500", "KiB", a_session, 16),
        _row("CPU at rest, 500 stopped sessions", "of a core", [max(cpu, 1e-5)], 0.01),
    ]


def _row(what: str, unit: str, values: list[float], most: float) -> Comparison:
    return Comparison(
        what=what,
        unit=unit,
        product=values,
        floor=[most] * len(values),
        floor_is="what it may be",
        target=Target(bound="at most", ratio=1),
    )


def _start(directory: Path) -> dict[str, float]:
    pids: list[int] = []
    begun = time.perf_counter()
    with daemon(directory, pids=pids):
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "mib": psutil.Process(pids[0]).memory_info().rss / _MIB}

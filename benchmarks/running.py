"""What the daemon itself needs while hundreds of sessions run and nothing happens, and to tell of them.

Their browsers are stand-ins, which speak as a connected page does and render nothing: hundreds of real ones
would not fit. Each is probed as a real one is. Copies of logins, which come hours apart, are left out.
"""

import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from protocol.client.blocking import Client, connect
from tests.stand_in.daemon import programs

from .frame import Comparison, Target
from .processes import daemon

_SESSIONS: Final = 500
_SETTINGS: Final = "browser.launch_concurrency = 20\nprofile.snapshots = 0"
_SETTLED_S: Final = 10.0
_REST_S: Final = 60.0
"""Four probes of each."""
_WITHIN_S: Final = 300
_KIB: Final = 2**10
_TELLING: Final[dict[str, dict[str, int]]] = {"session.list": {"limit": _SESSIONS}, "daemon.metrics": {}}


def run(_rounds: int) -> list[Comparison]:
    """Measure, once: it takes two minutes, and an average of 500."""
    pids: list[int] = []
    names = [f"s{number}" for number in range(_SESSIONS)]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        program = programs(directory)
        with (
            daemon(directory / "running", _SETTINGS, pids=pids, program=program) as socket,
            connect(socket) as client,
        ):
            process = psutil.Process(pids[0])
            none = process.memory_info().rss
            for each in names:
                client.call("session.create", name=each, id=each)
            stopped = process.memory_info().rss
            told_stopped = {method: _asked_s(client, method) for method in _TELLING}
            for each in names:
                client.call("session.start", sessionId=each, wait=False)
            for each in names:
                client.call("session.wait", sessionId=each, status="connected", timeout=_WITHIN_S)
            time.sleep(_SETTLED_S)
            before, begun = process.cpu_times(), time.perf_counter()
            time.sleep(_REST_S)
            after, passed = process.cpu_times(), time.perf_counter() - begun
            running = process.memory_info().rss
            told_running = {method: _asked_s(client, method) for method in _TELLING}
    return [
        Comparison(
            what=f"RSS a running session, of {_SESSIONS}, without its browser's",
            unit="KiB",
            product=[(running - none) / _SESSIONS / _KIB],
            floor=[(stopped - none) / _SESSIONS / _KIB],
            floor_is="a stopped session",
        ),
        Comparison(
            what=f"CPU at rest, {_SESSIONS} running sessions",
            unit="of a core",
            product=[(after.user + after.system - before.user - before.system) / passed],
            floor=[0.01],
            floor_is="what it may be",
            target=Target(bound="at most", ratio=1),
        ),
        *(
            Comparison(
                what=f"{method}, of {_SESSIONS} running sessions",
                unit="s",
                product=[told_running[method]],
                floor=[told_stopped[method]],
                floor_is="of stopped ones",
            )
            for method in _TELLING
        ),
    ]


def _asked_s(client: Client, method: str) -> float:
    """Return the seconds until all sessions have been told of, browsers and all: the least of three."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        client.call(method, **_TELLING[method])
        times.append(time.perf_counter() - begun)
    return min(times)

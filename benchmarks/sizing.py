"""What sessions take of a machine: ten and forty that are connected and at rest, with each of the browsers.

Not one of those that `python -m benchmarks` runs: it takes ten minutes, and prints a table of its own, for
docs/performance.md. Figures are of one session; the daemon's own are of all of them.
"""

import re
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from .browsers import (
    CHROMIUM,
    CONNECTED,
    SHELL,
    Sessions,
    cpu_s,
    private_bytes,
    sessions,
    simulated,
)

_SESSIONS: Final = (10, 40)
_SETTLE_S: Final = 10.0
_REST_S: Final = 60.0
_MIB: Final = 2**20


def run(_rounds: int) -> None:
    """Measure once, and print the table."""
    columns = (
        "browser",
        "sessions",
        "private, MiB",
        "proportional, MiB",
        "CPU of a start, s",
        "CPU at rest, ms a minute",
        "the daemon, MiB",
        "its CPU at rest, ms a minute",
    )
    print(f"\n| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for path, label in ((SHELL, "headless-shell"), (CHROMIUM, "chromium")):
        for number in _SESSIONS:
            pids: list[int] = []
            with (
                tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name,
                simulated(Path(name)) as page,
                sessions(Path(name) / "daemon", page, path, pids=pids) as mine,
            ):
                names = [f"s{each}" for each in range(number)]
                for each in names:
                    mine.link(each, f"+49170000{int(each[1:]):04}", page.control)
                    mine.stop(each)
                figures = _measure(mine, names, psutil.Process(pids[0]))
            print(f"| {label} | {number} | {' | '.join(figures)} |", flush=True)


def _measure(mine: Sessions, names: list[str], daemon: psutil.Process) -> list[str]:
    mine.start(*names, until=CONNECTED[0])
    browsers = [mine.browser(name) for name in names]
    start_s = cpu_s(browsers)
    time.sleep(_SETTLE_S)
    before, its = cpu_s(browsers), sum(daemon.cpu_times()[:2])
    time.sleep(_REST_S)
    rest_s, its_s = cpu_s(browsers) - before, sum(daemon.cpu_times()[:2]) - its
    minutes = _REST_S / 60
    return [
        f"{private_bytes(browsers) / len(names) / _MIB:.1f}",
        f"{_proportional_bytes(browsers) / len(names) / _MIB:.1f}",
        f"{start_s / len(names):.2f}",
        f"{rest_s / len(names) / minutes * 1000:.0f}",
        f"{daemon.memory_info().rss / _MIB:.0f}",
        f"{its_s / minutes * 1000:.0f}",
    ]


def _proportional_bytes(roots: Iterable[psutil.Process]) -> int:
    """Return the memory of processes, and of all below them, of what is shared their part."""
    total = 0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            with suppress(FileNotFoundError, ProcessLookupError):
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += sum(map(int, re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE))) * 1024
    return total

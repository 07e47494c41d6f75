"""How much memory there is, and what browsers take of it. Reads /proc and /sys.

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html, proc_meminfo(5), proc_pid_smaps(5),
proc_pid_statm(5).
"""

import contextlib
import resource
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import trio

from supervisors.chrome import cgroups, processes

USUAL_BYTES: Final = 256 << 20
"""What a browser is taken to need before one was measured: the page of a small account, and then some."""
REMEMBERED: Final = 50
PAGE_BYTES: Final = resource.getpagesize()


def available_bytes(own: Path | None = None) -> int:
    """Return how much can be had without swapping: of the machine, or of the tightest control group.

    Args:
        own: this process's group; None: look.
    """
    import psutil  # not before the first browser

    return min((psutil.virtual_memory().available, *_left_in_groups(own)))


def _left_in_groups(own: Path | None) -> Iterator[int]:
    path = own or cgroups.own_path()
    while path is not None and (path / "cgroup.controllers").exists():
        with contextlib.suppress(OSError, ValueError):  # "max", or no memory controller
            limit = int((path / "memory.max").read_text())
            used = int((path / "memory.current").read_text())
            yield max(0, limit - used + _reclaimable(path))
        path = path.parent


def _reclaimable(group: Path) -> int:
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


async def measure(pids: Sequence[int]) -> dict[int, int]:
    """Return what browsers take (their processes' proportional shares, in bytes), by their main pids.

    Those that are gone are left out. One look at the process table for all; some milliseconds each.
    """
    return await trio.to_thread.run_sync(_measure, pids, abandon_on_cancel=True)


def _measure(pids: Sequence[int]) -> dict[int, int]:
    import psutil

    sizes = dict.fromkeys(pids, 0)
    forest = processes.Forest(processes.table() if pids else ())
    for pid in pids:
        for member in forest.tree(pid):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                sizes[pid] += psutil.Process(member.pid).memory_full_info().pss
    return {pid: size for pid, size in sizes.items() if size}


async def held(pids: Sequence[int]) -> dict[int, int]:
    """Return what browsers hold of memory that is no file's, in bytes, by the pids of their main processes.

    It is less than what they take, and found much sooner: one look at the process table for all of them.
    """
    return await trio.to_thread.run_sync(_held, pids)


def _held(pids: Sequence[int]) -> dict[int, int]:
    forest = processes.Forest(processes.table() if pids else ())
    return {pid: sum(_anonymous(each.pid) for each in forest.tree(pid)) for pid in pids}


def _anonymous(pid: int) -> int:
    try:
        _, resident, shared, *_ = (processes.PROC / str(pid) / "statm").read_text().split()
    except (OSError, ValueError):  # it is gone
        return 0
    return (int(resident) - int(shared)) * PAGE_BYTES


class Sizes:
    """What the browsers measured last took, and what the next one is expected to take."""

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=REMEMBERED)

    def note(self, size_bytes: int) -> None:
        """Remember what a browser took."""
        self._last.append(size_bytes)

    @property
    def expected_bytes(self) -> int:
        """A quarter more than their mean; before any was measured, `USUAL_BYTES`."""
        return sum(self._last) * 5 // (4 * len(self._last)) if self._last else USUAL_BYTES

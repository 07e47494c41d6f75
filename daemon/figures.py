"""What a session takes of the machine: its browser, as its control group or psutil sees it, and the disk."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import trio

from protocol.models import DiskFigures, ProcessFigures
from protocol.models.sessions import FIGURES_FOR_S
from protocol.times import rfc3339
from supervisors.chrome import cgroups, processes
from supervisors.chrome.usage import disk_use

_COUNTED_FOR_S = 60.0


def _measure(pids: Sequence[int]) -> dict[int, ProcessFigures]:
    groups = {pid: cgroups.of_process(pid) for pid in pids}
    alone = [pid for pid, group in groups.items() if group is None]
    forest = processes.Forest(processes.table() if alone else ())
    found = {}
    for pid, group in groups.items():
        members = [each.pid for each in forest.tree(pid)] if group is None else group.pids()
        figures = _sum(pid, members, group)
        if figures is not None:
            found[pid] = figures
    return found


def _sum(pid: int, members: Iterable[int], group: cgroups.Cgroup | None) -> ProcessFigures | None:
    import psutil  # not before somebody asks

    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
    count, rss, pss, cpu_s = 0, 0, 0, 0.0
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(member)
            with process.oneshot():
                times = process.cpu_times()
                memory = process.memory_full_info()
            count += 1
            rss += memory.rss
            pss += memory.pss
            cpu_s += times.user + times.system
    spent_s = group.cpu_seconds() if group else None  # of those that have ended, too
    return ProcessFigures(
        pid=pid,
        started_at=rfc3339(int(started_at * 1000)),
        processes=count,
        rss_bytes=rss,
        pss_bytes=pss,
        cpu_seconds=round(cpu_s if spent_s is None else spent_s, 2),
        memory_bytes=group.memory_bytes() if group else None,
    )


class Browsers:
    """What browsers take of the machine; measured in a thread, at most every ten seconds each.

    `measure` does: one look at the process table for all, and then some milliseconds each.
    """

    def __init__(self, measure: Callable[[Sequence[int]], dict[int, ProcessFigures]] = _measure) -> None:
        self._measure = measure
        self._measured: dict[int, tuple[float, ProcessFigures]] = {}
        self._measuring = trio.Lock()

    async def of(self, pids: Sequence[int]) -> dict[int, ProcessFigures]:
        """Return the figures of browsers with all their processes, by their main pids; of those there are."""
        found = self._known(pids)
        if len(found) < len(pids):
            async with self._measuring:
                found = self._known(pids)  # somebody who waited, too, may have measured
                if missing := [pid for pid in pids if pid not in found]:
                    now = trio.current_time()
                    fresh = await trio.to_thread.run_sync(self._measure, missing, abandon_on_cancel=True)
                    self._measured |= {pid: (now, each) for pid, each in fresh.items()}
                    found |= fresh
        return found

    def _known(self, pids: Sequence[int]) -> dict[int, ProcessFigures]:
        now = trio.current_time()
        self._measured = {pid: each for pid, each in self._measured.items() if now - each[0] < FIGURES_FOR_S}
        return {pid: self._measured[pid][1] for pid in pids if pid in self._measured}


class Disk:
    """What sessions take of the disk; counted in a thread, at most once a minute each."""

    def __init__(self, sessions_dir: Path) -> None:
        self._sessions_dir = sessions_dir
        self._counted: dict[str, tuple[float, DiskFigures]] = {}

    async def of(self, session_id: str) -> DiskFigures:
        """Return the figures of a session, those of a minute ago at most."""
        now = trio.current_time()
        self._counted = {id_: each for id_, each in self._counted.items() if now - each[0] < _COUNTED_FOR_S}
        if session_id not in self._counted:
            use = await trio.to_thread.run_sync(disk_use, self._sessions_dir / session_id)
            figures = DiskFigures(profile_bytes=use.profile, cache_bytes=use.cache, media_bytes=use.media)
            self._counted[session_id] = (now, figures)
        return self._counted[session_id][1]

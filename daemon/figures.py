"""What a session takes of the machine: its browser, as its control group or psutil sees it, and the disk."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from protocol.models import DiskFigures, ProcessFigures
from protocol.times import rfc3339
from supervisors.chrome import cgroups
from supervisors.chrome.usage import disk_use

if TYPE_CHECKING:
    import psutil

_COUNTED_FOR_S = 60.0


async def of_tree(pid: int) -> ProcessFigures | None:
    """Return the figures of a process and its descendants, None when it is gone; reads /proc in a thread."""
    return await trio.to_thread.run_sync(_measure, pid)


def _measure(pid: int) -> ProcessFigures | None:
    import psutil  # not before somebody asks

    try:
        leader = psutil.Process(pid)
        started_at = leader.create_time()
        group = cgroups.of_process(pid)
        tree = _members(group) if group else [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    count, rss, pss, cpu_s = 0, 0, 0, 0.0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied), process.oneshot():
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


def _members(group: cgroups.Cgroup) -> "list[psutil.Process]":
    import psutil

    found = []
    for pid in group.pids():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


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

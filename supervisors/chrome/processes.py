"""Processes as /proc shows them: who descends from whom, and ending a whole tree.

Numbers are reused: every signal goes through a pidfd whose process was checked after it was opened, or to a
group whose leader has not been reaped yet.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROC = Path("/proc")
GONE = frozenset("ZX")


@frozen
class Process:
    """One line of the process table; `started` (clock ticks since boot) tells apart users of one pid."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    started: int


def read(pid: int) -> Process | None:
    """Return the process with that pid, zombies included, or None if there is none to be seen."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name between the parentheses may hold blanks and parentheses itself: proc_pid_stat(5).
    fields = text.rpartition(")")[2].split()
    return Process(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
    )


def table() -> list[Process]:
    """Return every process that can be seen; one that ends meanwhile is left out."""
    found = (read(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for process in found if process is not None]


def mentioning(words: bytes) -> list[Process]:
    """Return the processes on whose command line these words are; quicker than a look at all."""
    found = []
    for pid in filter(str.isdigit, os.listdir(PROC)):  # noqa: PTH208  # every launch waits for it
        try:
            with open(f"{PROC}/{pid}/cmdline", "rb", buffering=0) as file:  # noqa: PTH123  # a Path takes twice
                mentioned = words in file.read()
        except OSError:
            continue
        if mentioned and (process := read(int(pid))) is not None:
            found.append(process)
    return found


def tree(processes: Iterable[Process], leader: int) -> list[Process]:
    """Return the living processes that belong to `leader`: itself, its descendants and its session.

    The session finds those whose parent died; the descent finds those that began a session of their own.
    Zombies are left out, but lead to their children.
    """
    return trees(processes, [leader])[leader]


def trees(processes: Iterable[Process], leaders: Iterable[int]) -> dict[int, list[Process]]:
    """Return what `tree` does for each of the leaders; the processes are gone through once for all."""
    children, sessions = defaultdict[int, list[Process]](list), defaultdict[int, list[Process]](list)
    by_pid: dict[int, Process] = {}
    for process in processes:
        by_pid[process.pid] = process
        children[process.parent].append(process)
        sessions[process.session].append(process)

    def members(leader: int) -> Iterator[Process]:
        seen: set[int] = set()
        ahead = [*sessions.get(leader, ()), *children.get(leader, ())]
        if leader in by_pid:
            ahead.append(by_pid[leader])
        while ahead:
            process = ahead.pop()
            if process.pid not in seen:
                seen.add(process.pid)
                ahead += children.get(process.pid, ())
                if process.state not in GONE:
                    yield process

    return {leader: list(members(leader)) for leader in leaders}


def open_pidfd(process: Process) -> int | None:
    """Return a pidfd (close-on-exec) of exactly this process, or None if it has ended."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return None
    now = read(process.pid)
    if now is None or now.started != process.started or now.state in GONE:
        os.close(pidfd)
        return None
    return pidfd


def send_signal(pidfd: int, number: signal.Signals) -> None:
    """Send a signal through a pidfd; a process that has ended, or may not be signalled, is left alone."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return


async def kill_tree(leader: Process) -> None:
    """SIGKILL every process of `leader`'s tree and wait until none is left.

    Sets no deadline. After a cancellation all that were seen have been sent the signal. The leader itself, if
    it is a child of this process, is left as a zombie: it is its parent's to reap. Processes hidden by
    `hidepid` are not seen.

    The kernel does not give a pid away while it still names a session, so what belongs to the session of a
    leader that is gone is its own; a leader of the same pid and another start means that nothing is left.
    """
    while (now := read(leader.pid)) is None or now.started == leader.started:
        members = tree(table(), leader.pid)
        if not members:
            return
        await kill(members)


async def kill(members: Iterable[Process]) -> None:
    """SIGKILL exactly these processes and wait until they have ended; sets no deadline."""
    pidfds = [pidfd for pidfd in map(open_pidfd, members) if pidfd is not None]
    try:
        for pidfd in pidfds:
            send_signal(pidfd, signal.SIGKILL)
        for pidfd in pidfds:
            await trio.lowlevel.wait_readable(pidfd)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)
    await trio.lowlevel.checkpoint()

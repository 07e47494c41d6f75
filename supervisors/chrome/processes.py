"""Processes as /proc shows them: who descends from whom, and ending a whole tree.

Numbers are reused: every signal goes through a pidfd whose process was checked after it was opened, or to a
group whose leader has not been reaped yet.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
        text = _contents(f"{PROC}/{pid}/stat")
    except OSError:
        return None
    # The name between the parentheses may hold blanks and parentheses itself: proc_pid_stat(5).
    fields = text.rpartition(b")")[2].split()
    return Process(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
    )


def table() -> list[Process]:
    """Return every process that can be seen; one that ends meanwhile is left out."""
    return [process for process in map(read, _pids()) if process is not None]


def mentioning(words: bytes) -> list[Process]:
    """Return the processes on whose command line these words are; quicker than a look at all."""
    found = []
    for pid in _pids():
        try:
            mentioned = words in _contents(f"{PROC}/{pid}/cmdline")
        except OSError:
            continue
        if mentioned and (process := read(pid)) is not None:
            found.append(process)
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208  # a Path takes twice


def _contents(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a Path takes twice
        return file.read()


class Forest:
    """Who belongs to whom in a process table."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self._children = defaultdict[int, list[Process]](list)
        self._sessions = defaultdict[int, list[Process]](list)
        self._by_pid: dict[int, Process] = {}
        for process in processes:
            self._by_pid[process.pid] = process
            self._children[process.parent].append(process)
            self._sessions[process.session].append(process)

    def tree(self, leader: int) -> list[Process]:
        """Return the living processes that belong to `leader`: itself, its descendants and its session.

        The session finds those whose parent died; the descent finds those that began a session of their own.
        Zombies are left out, but lead to their children.
        """
        found: dict[int, Process] = {}
        ahead = [*self._sessions.get(leader, ()), *self._children.get(leader, ())]
        if leader in self._by_pid:
            ahead.append(self._by_pid[leader])
        while ahead:
            process = ahead.pop()
            if process.pid not in found:
                found[process.pid] = process
                ahead += self._children.get(process.pid, ())
        return [process for process in found.values() if process.state not in GONE]


class Looks:
    """Looks at all processes, in a thread: one serves all who asked before it began.

    `table` is what looks.
    """

    def __init__(self, table: Callable[[], Iterable[Process]] = table) -> None:
        self._table = table
        self._looking = trio.Lock()
        self._thread = trio.CapacityLimiter(1)  # of its own: whoever looks, looks at once
        self._next: list[Forest] = []  # what the look that has not begun yet will find

    async def look(self) -> Forest:
        """Return what is found by a look that began after this call."""
        found = self._next
        async with self._looking:
            if not found:  # else somebody who waited, too, has looked
                self._next = []
                found.append(await trio.to_thread.run_sync(self._look, limiter=self._thread))
        return found[0]

    def _look(self) -> Forest:
        return Forest(self._table())


_looks: Final = trio.lowlevel.RunVar[Looks]("looks")


async def look() -> Forest:
    """Return who belongs to whom now; all who ask at the same time share a look."""
    try:
        looks = _looks.get()
    except LookupError:
        looks = Looks()
        _looks.set(looks)
    return await looks.look()


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
        members = (await look()).tree(leader.pid)
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

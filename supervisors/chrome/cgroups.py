"""Control groups, version 2: one for each browser, where systemd has delegated the service's to the daemon.

Owns the files below /sys/fs/cgroup. Without delegation there are none of ours, and browsers are known by
their process groups alone. Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html,
https://systemd.io/CGROUP_DELEGATION/.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

PREFIX: Final = "session-"
DAEMON: Final = "daemon"
CONTROLLERS: Final = ("cpu", "memory", "pids")
DELEGATED: Final = "user.delegate"
"""The extended attribute by which systemd (251 or newer) marks a group that it has given away."""


@frozen
class Cgroup:
    """A control group of a browser."""

    path: Path

    def pids(self) -> list[int]:
        """Return the processes in it; zombies are none."""
        return [int(pid) for pid in self._read("cgroup.procs").split()]

    def memory_bytes(self) -> int | None:
        """Return what its processes take, file caches included; None where the kernel does not count it."""
        text = self._read("memory.current")
        return int(text) if text else None

    def cpu_seconds(self) -> float | None:
        """Return the processor time of all that ever ran in it."""
        for line in self._read("cpu.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6
        return None

    async def kill(self) -> None:
        """SIGKILL all that is in it, whoever its parents are, and wait until nothing is; sets no deadline."""
        while pids := self.pids():
            await trio.lowlevel.checkpoint()  # where no pidfd is to be had, too: others must go on
            pidfds = [pidfd for pidfd in map(_open_pidfd, pids) if pidfd is not None]
            still = set(self.pids())  # a number that is not in it any more may be somebody else's by now
            try:
                try:
                    (self.path / "cgroup.kill").write_text("1")
                except OSError:  # before Linux 5.14
                    _kill(pidfd for pid, pidfd in pidfds if pid in still)
                for pid, pidfd in pidfds:
                    if pid in still:
                        await trio.lowlevel.wait_readable(pidfd)
            finally:
                for _, pidfd in pidfds:
                    os.close(pidfd)
        await trio.lowlevel.checkpoint()

    def remove(self) -> None:
        """Give it up; one that is not empty stays, and is used by the session's next browser."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except OSError:  # it is gone, or the controller is not there
            return ""


@frozen
class Delegation:
    """The control group that is the daemon's to divide."""

    path: Path

    def make(self, session_id: str, memory_limit_bytes: int) -> Cgroup | None:
        """Return a group for a session's browser, None where the kernel refuses one.

        Args:
            session_id: names it; there is one browser a session.
            memory_limit_bytes: beyond it the kernel ends processes of this browser and no other, where it has
                the memory controller of version 2; 0: no limit.
        """
        group = Cgroup(self.path / f"{PREFIX}{session_id}")
        try:
            group.path.mkdir(exist_ok=True)
            limit = group.path / "memory.max"
            if limit.exists():
                limit.write_text(str(memory_limit_bytes or "max"))
            elif memory_limit_bytes:
                log.info(
                    "memory_limit_not_enforced",
                    session_id=session_id,
                    reason="no memory controller: the daemon watches it",
                )
        except OSError as error:
            log.warning("cgroup_not_made", session_id=session_id, path=str(group.path), error=error.strerror)
            return None
        return group


def take_delegation(own: Path | None = None) -> Delegation | None:
    """Take the control group that the daemon runs in, if systemd has given it away (`Delegate=`).

    The daemon itself moves to a group below, because one that is divided holds no processes.

    Args:
        own: the daemon's group; None: look.
    """
    own = own or own_path()
    if own is None:
        return None
    try:
        if os.getxattr(own, DELEGATED) != b"1":
            return None
        (own / DAEMON).mkdir(exist_ok=True)
        (own / DAEMON / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        log.debug("cgroup_not_delegated", path=str(own), error=error.strerror)
        return None
    offered = (own / "cgroup.controllers").read_text().split()
    for controller in CONTROLLERS:
        if controller in offered:
            with contextlib.suppress(
                OSError
            ):  # something else of the service's is in its group: no accounting
                (own / "cgroup.subtree_control").write_text(f"+{controller}")
    log.info(
        "cgroup_delegated", path=str(own), controllers=(own / "cgroup.subtree_control").read_text().split()
    )
    return Delegation(own)


def of_process(pid: int) -> Cgroup | None:
    """Return the group of the browser that a process belongs to, None where it is in none of ours."""
    path = path_of(Path(f"/proc/{pid}/cgroup"))
    return Cgroup(path) if path is not None and path.name.startswith(PREFIX) else None


def entering(group: Cgroup, command: list[str]) -> list[str]:
    """Return a command line that goes into the group before it becomes `command`, so that all is inside."""
    return ["/bin/sh", "-c", 'echo 0 >"$0"; exec "$@"', str(group.path / "cgroup.procs"), *command]


def own_path() -> Path | None:
    """Return this process's group, None where there is no tree of version 2."""
    return path_of(Path("/proc/self/cgroup"))


def path_of(listing: Path) -> Path | None:
    """Find a process's group of version 2: its line begins `0::`, and its tree may be mounted anywhere."""
    try:
        lines = listing.read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    inside = next((line[3:] for line in lines if line.startswith("0::/")), None)
    for fields in map(str.split, mounts):
        # proc_pid_mountinfo(5): …, root, mount point, options, tags, "-", type, …
        if inside is not None and "cgroup2" in fields[fields.index("-") :] and fields[3] == "/":
            return Path(fields[4]) / inside.lstrip("/")
    return None


def _open_pidfd(pid: int) -> tuple[int, int] | None:
    try:
        return pid, os.pidfd_open(pid)
    except OSError:
        return None


def _kill(pidfds: Iterable[int]) -> None:
    for pidfd in pidfds:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

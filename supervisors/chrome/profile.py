"""One profile directory, one owner: a lock of the daemon's own, and what earlier owners left behind.

Chrome's own lock does not do: the headless shell takes none, a full browser leaves its behind when killed,
and a lock with another host's name (a renamed container) keeps it from starting. Nothing is unlinked or
killed unless it is proven whose it is.

Source: chrome/browser/process_singleton_posix.cc (Chromium 156): SingletonLock is a link to "host-pid".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog
import trio
from attrs import frozen

from supervisors.chrome import processes
from supervisors.chrome.errors import BrowserUnavailable, ProfileInUse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

log = structlog.get_logger(__name__)

SINGLETONS: Final = ("SingletonLock", "SingletonSocket", "SingletonCookie")

Verdict = Literal["ours", "stranger", "unclear"]


@frozen
class Owner:
    """A process that may own a profile.

    Args:
        process: which.
        uid: whose it is.
        exe: its binary's name; None where that cannot be read.
        arguments: its command line; None where that cannot be read.
    """

    process: processes.Process
    uid: int
    exe: str | None
    arguments: tuple[str, ...] | None


@contextlib.asynccontextmanager
async def lock_profile(directory: Path, *, polite_s: float = 5.0, kill_s: float = 5.0) -> AsyncIterator[None]:
    """Own a profile while the block lasts; a Chrome of ours that an earlier daemon left on it is ended first.

    Args:
        directory: the profile; made if need be, with missing parents, all of mode 0700. Absolute, and spelt
            exactly as it is given to Chrome.
        polite_s: seconds that a left-over Chrome has to close before it is killed.
        kill_s: seconds that killed processes have to vanish.

    Raises:
        ProfileInUse: somebody else holds it, or it cannot be proven that nobody does.
        BrowserUnavailable: the directory cannot be made or written.

    The lock is a file next to the directory, so that the directory may be wiped meanwhile; it goes with the
    block. A cancellation while a left-over Chrome is being ended may leave it half ended.
    """
    try:
        make_private(directory)
        lock = _open_lock(directory)
    except OSError as error:
        raise BrowserUnavailable(
            f"The profile {directory} cannot be used: {error.strerror}.",
            "Check the owner and the permissions of the directory, and the space left.",
        ) from error
    with lock:
        # Looked for each time, though this daemon may have ended the last one itself: a headless shell that
        # somebody started by hand leaves no lock. In a thread: among 500 browsers' processes it takes 35 ms.
        for owner in await trio.to_thread.run_sync(find_owners, directory):
            await _end(owner, directory, polite_s, kill_s)
        clear_singleton(directory)
        yield


def make_private(directory: Path) -> None:
    """Make a directory, and its missing parents, of mode 0700 whatever the umask."""
    for path in (*reversed(directory.parents), directory):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            path.chmod(0o700)
    directory.chmod(0o700)


def _open_lock(directory: Path) -> contextlib.AbstractContextManager[None]:
    path = directory.with_name(f"{directory.name}.lock")
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            pid = int(holder) if holder.isdigit() else None
            raise ProfileInUse(str(directory), pid, "another daemon holds its lock") from None
        # Whoever held it before may have removed the file between the opening and the locking.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                break
        os.close(fd)
    os.ftruncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return _held(path, fd)


@contextlib.contextmanager
def _held(path: Path, fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still locked
        os.close(fd)


def find_owners(directory: Path) -> list[Owner]:
    """Return the browsers, of this user, whose command line names this very directory as their profile."""
    mark = os.fsencode(f"--user-data-dir={directory}")
    owners = (_look_up(process) for process in processes.mentioning(mark))
    uid = os.geteuid()
    return [owner for owner in owners if owner is not None and judge(owner, directory, uid) == "ours"]


def find_owned_profiles(root: Path) -> dict[Path, list[Owner]]:
    """Return the profiles `root/*/profile` on which browsers of this user run, and those browsers."""
    uid = os.geteuid()
    found: dict[Path, list[Owner]] = {}
    for owner in filter(None, map(_look_up, processes.table())):
        for argument in owner.arguments or ():
            profile = Path(argument.partition("=")[2])
            if (
                argument.startswith("--user-data-dir=")
                and profile.name == "profile"
                and profile.parent.parent == root
                and judge(owner, profile, uid) == "ours"
            ):
                found.setdefault(profile, []).append(owner)
    return found


def clear_singleton(directory: Path) -> None:
    """Remove Chrome's lock if its owner is proven to be gone, or to be on a host of another name.

    Raises:
        ProfileInUse: its owner lives, or may live.
    """
    path = directory / "SingletonLock"
    try:
        target = str(path.readlink())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ProfileInUse(str(directory), None, f"SingletonLock cannot be read: {error.strerror}") from error
    host, _, number = target.rpartition("-")
    if not host or not number.isdigit():
        return  # malformed: Chrome removes it itself
    reason = "foreign_host"
    if host == socket.gethostname():
        reason = "owner_gone"
        process = processes.read(int(number))
        if process is not None and process.state not in processes.GONE:
            owner = _look_up(process)
            if owner is not None and judge(owner, directory, os.geteuid()) != "stranger":
                raise ProfileInUse(
                    str(directory), process.pid, "SingletonLock names a process that may own it"
                )
            reason = "pid_reused"
    for name in SINGLETONS:
        (directory / name).unlink(missing_ok=True)
    log.info("profile_singleton_removed", path=str(directory), owner=target, reason=reason)


def judge(owner: Owner, directory: Path, uid: int) -> Verdict:
    """Tell whether a living process is a Chrome of ours on that profile, a stranger to it, or neither.

    Args:
        owner: the process.
        directory: the profile.
        uid: our own.
    """
    if owner.exe is not None and not _looks_like_chrome(owner.exe):
        return "stranger"
    if not owner.arguments:
        return "unclear"
    if owner.exe is None and not _looks_like_chrome(Path(owner.arguments[0]).name):
        return "stranger"
    profiles = [
        argument.partition("=")[2] for argument in owner.arguments if argument.startswith("--user-data-dir=")
    ]
    if any(argument.startswith("--type=") for argument in owner.arguments):
        return "stranger"  # a part of some browser, not one
    if not profiles:
        return "unclear"  # its default profile may be a link to this one
    if profiles[-1] == str(directory):
        return "ours" if owner.uid == uid and owner.exe is not None else "unclear"
    same = os.path.realpath(profiles[-1]) == os.path.realpath(directory)
    return "unclear" if same else "stranger"


def _looks_like_chrome(name: str) -> bool:
    return "chrom" in name.lower() or name.startswith("headless_shell")


def _look_up(process: processes.Process) -> Owner | None:
    """Return what can be seen of a process; None if it is gone."""
    folder = processes.PROC / str(process.pid)
    try:
        status = (folder / "status").read_text(errors="replace")
    except OSError:
        return None
    uid = next(int(line.split()[2]) for line in status.splitlines() if line.startswith("Uid:"))
    exe: str | None = None
    arguments: tuple[str, ...] | None = None
    with contextlib.suppress(OSError):
        exe = (folder / "exe").readlink().name.removesuffix(" (deleted)")
    with contextlib.suppress(OSError):
        words = (folder / "cmdline").read_bytes().decode(errors="surrogateescape")
        arguments = tuple(words.rstrip("\0").split("\0")) if words else None
    return Owner(process, uid, exe, arguments)


async def _end(owner: Owner, directory: Path, polite_s: float, kill_s: float) -> None:
    """End a browser: asked first (Chrome closes properly on SIGTERM), then killed with its whole tree."""
    members = (await processes.look()).tree(owner.process.pid)
    pidfd = processes.open_pidfd(owner.process)
    if pidfd is not None:
        log.warning("orphaned_browser_found", pid=owner.process.pid, path=str(directory))
        try:
            processes.send_signal(pidfd, signal.SIGTERM)
            with trio.move_on_after(polite_s):
                await trio.lowlevel.wait_readable(pidfd)
        finally:
            os.close(pidfd)
    with trio.move_on_after(kill_s) as killing:
        await processes.kill(members)
        await processes.kill_tree(owner.process)
    if killing.cancelled_caught:
        raise ProfileInUse(str(directory), owner.process.pid, "its owner survived a SIGKILL")
    log.info("orphaned_browser_ended", pid=owner.process.pid)

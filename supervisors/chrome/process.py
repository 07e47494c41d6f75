"""One browser process: started, watched through a pidfd, ended with its whole tree.

Knows nothing of DevTools beyond the two pipes that it may be given.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import signal
from typing import TYPE_CHECKING

import structlog
import trio

from supervisors.chrome import processes
from supervisors.chrome.cgroups import entering
from supervisors.chrome.errors import BrowserUnavailable, ChromeError, ExitStatus
from supervisors.chrome.transports import PipeTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from supervisors.chrome.cgroups import Cgroup

log = structlog.get_logger(__name__)

LAST_LINES = 50
LINE_MAX_BYTES = 1000
FIRST_FREE_FD = 20
"""Pipe ends are moved here first, lest placing one on fd 3 or 4 close another."""


class BrowserProcess:
    """A running browser that leads its own session and process group.

    `watch` and `listen` must run, in tasks of their own, until `end` has returned.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        stderr: trio.lowlevel.FdStream,
        session_id: str,
        cgroup: Cgroup | None = None,
    ) -> None:
        self.pid = pid
        self._cgroup = cgroup
        self._pidfd = pidfd
        self._stderr = stderr
        self._lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._exited = trio.Event()
        self._heard_all = trio.Event()
        self._status: ExitStatus | None = None
        self._reaped = False
        self._log = log.bind(session_id=session_id, pid=pid)
        self.on_line: Callable[[str], None] | None = None
        """Called with each line that the browser writes; must be quick and must not raise."""

    @property
    def exit_status(self) -> ExitStatus | None:
        """How the browser ended; None while it runs."""
        return self._status

    def last_words(self) -> str:
        """Return the last lines that the browser wrote to its standard error."""
        return "\n".join(self._lines)

    async def wait(self) -> ExitStatus:
        """Wait for the browser's end; any number of tasks may."""
        await self._exited.wait()
        assert self._status is not None  # noqa: S101  # set before the event
        return self._status

    async def watch(self) -> None:
        """Wait for the end and note the status; the zombie stays, so that its number cannot be reused."""
        with contextlib.suppress(trio.ClosedResourceError):
            await trio.lowlevel.wait_readable(self._pidfd)
            self._note_status(os.WEXITED | os.WNOWAIT)

    def _note_status(self, options: int) -> None:
        result = os.waitid(os.P_PIDFD, self._pidfd, options)
        if result is None or self._status is not None:
            return
        if result.si_code == os.CLD_EXITED:
            self._status = ExitStatus(code=result.si_status)
        else:
            self._status = ExitStatus(signal=result.si_status)
        self._exited.set()
        self._log.debug("browser_exited", status=str(self._status))

    async def listen(self) -> None:
        """Log what the browser writes to its standard error, line by line, and keep the last lines."""
        rest = b""
        with contextlib.suppress(trio.ClosedResourceError):
            while data := await self._stderr.receive_some(1 << 14):
                *lines, rest = (rest + bytes(data)).split(b"\n")
                for line in lines:
                    self._hear(line)
                rest = rest[:LINE_MAX_BYTES]
        self._hear(rest)
        self._heard_all.set()

    def _hear(self, line: bytes) -> None:
        text = line[:LINE_MAX_BYTES].decode(errors="replace").strip()
        if text:
            self._lines.append(text)
            self._log.debug("browser_wrote", line=text)
            if self.on_line is not None:
                self.on_line(text)

    async def final_words(self, within_s: float = 1.0) -> str:
        """Return the last words once all of them are read, or once `within_s` seconds have passed."""
        with trio.move_on_after(within_s):
            await self._heard_all.wait()
        return self.last_words()

    async def end(
        self,
        polite: Callable[[], Awaitable[object]] | None = None,
        *,
        polite_s: float = 5.0,
        kill_s: float = 5.0,
    ) -> None:
        """End the browser and every process of its tree, and reap it. Ending twice is harmless.

        Args:
            polite: asks the browser to close; its ChromeErrors are ignored. None: kill at once.
            polite_s: seconds that the browser has to close after being asked; afterwards it is killed.
            kill_s: seconds that killed processes have to vanish; afterwards that is logged as an error.

        Not cancellable: it takes `polite_s` plus `kill_s` seconds at most, whatever happens around it.
        """
        if self._reaped:
            return
        if polite is not None and self._status is None:
            with trio.move_on_after(polite_s, shield=True) as asking:
                with contextlib.suppress(ChromeError):
                    await polite()
                await self._exited.wait()
            if asking.cancelled_caught:
                self._log.warning("browser_close_timed_out", timeout_s=polite_s)
        # The zombie still holds the number, so this reaches our group or nobody. The kernel lets no member
        # fork out of a group that is being killed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with trio.move_on_after(kill_s, shield=True) as killing:
            if self._cgroup is not None:  # it also holds those who left the tree
                await self._cgroup.kill()
            if (leader := processes.read(self.pid)) is not None:  # at least a zombie: nobody else reaps it
                await processes.kill_tree(leader)
            await self._exited.wait()
        if killing.cancelled_caught:
            self._log.error("browser_survived_kill", timeout_s=kill_s)
        self._reap()
        if self._cgroup is not None:
            self._cgroup.remove()

    def _reap(self) -> None:
        self._reaped = True
        with contextlib.suppress(ChildProcessError):
            self._note_status(os.WEXITED | os.WNOHANG)
        if self._status is None:  # it hangs in the kernel: nobody shall wait for it
            self._status = ExitStatus(signal=signal.SIGKILL)
            self._exited.set()
        trio.lowlevel.notify_closing(self._pidfd)
        os.close(self._pidfd)
        self._stderr.close()


def spawn(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    session_id: str,
    cgroup: Cgroup | None = None,
) -> tuple[BrowserProcess, PipeTransport]:
    """Start the browser with DevTools pipes on its fds 3 and 4 and its output in a pipe of ours.

    Args:
        arguments: the whole command line; the first is the path of the real binary, not of a wrapper script.
        environment: the whole environment.
        session_id: for the log.
        cgroup: the control group that it and all its children are in, and by which they are ended.

    Raises:
        BrowserUnavailable: the binary cannot be executed.

    `os.posix_spawn` is used because `subprocess` cannot place pipes on chosen fds. It blocks until the exec,
    some milliseconds, and cannot be cancelled, so at no moment does a child exist that nobody knows.
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        commands_read, commands_write = _pipe(reader=theirs, writer=ours)
        replies_read, replies_write = _pipe(reader=ours, writer=theirs)
        process = _start(arguments, environment, session_id, {3: commands_read, 4: replies_write}, cgroup)
        ours.pop_all()
    return process, PipeTransport(replies_read, commands_write)


def spawn_listening(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    session_id: str,
    cgroup: Cgroup | None = None,
) -> BrowserProcess:
    """Start a browser that is spoken to by other ways than pipes; otherwise as `spawn`."""
    return _start(arguments, environment, session_id, {}, cgroup)


def _start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    session_id: str,
    pipes: Mapping[int, int],
    cgroup: Cgroup | None,
) -> BrowserProcess:
    command = list(arguments)
    if cgroup is not None and os.access(
        command[0], os.X_OK
    ):  # else it is for posix_spawn to say what is wrong
        command = entering(cgroup, command)
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        errors_read, errors_write = _pipe(reader=ours, writer=theirs)
        theirs_placed = {**pipes, 1: errors_write, 2: errors_write}
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_DUP2, fd, place) for place, fd in theirs_placed.items()),
            *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_fds() if fd > max(theirs_placed)),
        ]
        try:
            pid = os.posix_spawn(
                command[0],
                command,
                dict(environment),
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                # Python ignores SIGPIPE, and an ignored signal stays ignored across exec.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
            )
        except OSError as error:
            raise BrowserUnavailable(
                f"{arguments[0]} could not be executed: {error.strerror}.",
                "Set [browser] path to the browser's own binary, or install it again.",
            ) from error
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        ours.pop_all()
    log.debug("browser_spawned", session_id=session_id, pid=pid, path=arguments[0])
    return BrowserProcess(pid, pidfd, trio.lowlevel.FdStream(errors_read), session_id, cgroup)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Return a pipe's ends, numbered 20 or above, close-on-exec; each stack closes the end it owns."""
    low_read, low_write = os.pipe()
    try:
        read_end = fcntl.fcntl(low_read, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE_FD)
        reader.callback(os.close, read_end)
        write_end = fcntl.fcntl(low_write, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE_FD)
        writer.callback(os.close, write_end)
    finally:
        os.close(low_read)
        os.close(low_write)
    return read_end, write_end


def _inheritable_fds() -> Iterable[int]:
    """Yield fds that would leak into a child because whoever opened or passed them left close-on-exec off."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # of thousands, a Path each takes thrice
        try:
            if os.get_inheritable(int(name)):
                yield int(name)
        except OSError:
            continue

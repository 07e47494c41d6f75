"""The Unix socket's file, and the connections that come in through it.

Owns binding or taking over, the file's mode and its removal, and an accept that outlives a shortage of file
descriptors. Knows nothing of what is said on a connection.
"""

import contextlib
import errno
import fcntl
import os
import select
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog
import trio

from daemon.systemd import inherited_socket

_MODE: Final = 0o660
_BACKLOG: Final = 128
_BACK_OFF_S: Final = 0.1
_SHORT_OF: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept(2) fails with when the process or the machine has run out; it passes."""

_PASSING: Final = (errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.EINTR)
"""What accept(2) fails with when it is this one connection that is gone."""

_log = structlog.get_logger()


class ListenError(Exception):
    """The socket cannot be bound; the message says which, why, and what to do."""


class SocketInUse(ListenError):
    """Another process listens there."""


class NotASocket(ListenError):
    """There is a file of another kind at that path; it was left alone."""


class Listener:
    """A listening socket. Made by `bind` and `take_over`; whoever has it calls `close`.

    `accepted` counts the connections that came in.
    """

    def __init__(self, sock: socket.socket, path: Path, lock: int | None) -> None:
        """Take a socket; `lock` is None where its file is another's to keep: systemd's."""
        self.path: Final = path
        self.accepted = 0
        self._file = None if lock is None else _identity(path.stat())
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._lock = lock

    @property
    def waited_for(self) -> bool:
        """Whether somebody has connected and is not accepted yet."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def accept(self) -> trio.SocketStream:
        """Wait for the next connection; when descriptors run out, wait for some to be free.

        Raises:
            trio.ClosedResourceError: the listener was closed.
        """
        short = False
        while True:
            try:
                sock, _ = await self._socket.accept()
            except OSError as error:
                if error.errno in _SHORT_OF:
                    if not short:
                        short = True
                        _log.error("accept_delayed", path=str(self.path), error=error.strerror)
                    await trio.sleep(_BACK_OFF_S)
                elif error.errno not in _PASSING:
                    raise trio.ClosedResourceError(str(error)) from error
            else:
                self.accepted += 1
                return trio.SocketStream(sock)

    def close(self) -> None:
        """Stop listening and remove the socket's file, if it is still the one that was bound. Idempotent.

        A socket that was taken over stays: systemd listens on, and hands it to the next daemon.
        """
        self._socket.close()
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            if _identity(self.path.lstat()) == self._file:
                self.path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("socket_file_kept", path=str(self.path), error=error.strerror)
        finally:
            _release(lock, _lock_path(self.path))


def take_over(env: Mapping[str, str]) -> Listener | None:
    """Listen on the socket that systemd holds for the daemon; None where there is none.

    Raises:
        ListenError: something else was handed over.
    """
    try:
        sock = inherited_socket(env)
    except ValueError as error:
        raise ListenError(f"{error}: see ListenStream= in wasupd.socket") from error
    return None if sock is None else Listener(sock, Path(sock.getsockname()), None)


def bind(path: Path) -> Listener:
    """Listen on a Unix stream socket whose file is readable and writable for the user and the group.

    Directories that are missing are made, mode 0755. A file that a daemon left behind is replaced. Of two
    that bind at once one wins: a lock file beside the socket is held as long as the listener is.

    Raises:
        SocketInUse: somebody listens there.
        NotASocket: something else is there.
        ListenError: the system refuses.
    """
    try:
        _make_parents(path.parent)
        lock = _acquire(path)
        try:
            _clear(path)
            sock = _listen(path)
        except BaseException:
            _release(lock, _lock_path(path))
            raise
        return Listener(sock, path, lock)
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {error.strerror or error} (see [rpc] socket)") from error


def _make_parents(directory: Path) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        made.chmod(0o755)  # whatever the umask: the group has to get as far as the socket


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Linux makes the file with the mode of the socket's own inode, less the umask (unix_bind in
        # net/unix/af_unix.c): it is never more open than this, and nobody can connect before listen().
        os.fchmod(sock.fileno(), _MODE)
        sock.bind(os.fspath(path))
        path.chmod(_MODE)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _clear(path: Path) -> None:
    """Make room for the socket's file: remove a stale one."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise NotASocket(f"{path} exists and is not a socket: remove it, or choose another [rpc] socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except BlockingIOError:  # a live one whose backlog is full
            pass
    raise SocketInUse(f"another process listens on {path}: stop it, or choose another [rpc] socket")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _acquire(path: Path) -> int:
    """Lock the file beside the socket; the lock ends with the process, however that ends."""
    lock_path = _lock_path(path)
    while True:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SocketInUse(
                f"another wasupd holds {lock_path}: stop it, or choose another [rpc] socket"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if _identity(os.fstat(lock)) == _identity(lock_path.lstat()):
                return lock
        os.close(lock)  # whoever had it has just removed it


def _release(lock: int, lock_path: Path) -> None:
    """Remove the lock file while it is still locked, so that nobody else's can be meant."""
    with contextlib.suppress(OSError):
        lock_path.unlink()
    os.close(lock)

"""A browser for as long as a block lasts: started, greeted, and ended on every way out.

Knows the order of things; what a process is and what DevTools say is known elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio
from attrs import frozen

from supervisors.chrome import flags
from supervisors.chrome.devtools import Connection
from supervisors.chrome.errors import (
    BrowserExited,
    BrowserUnavailable,
    CallTimeout,
    ChromeError,
    ConnectionClosed,
    ProfileInUse,
)
from supervisors.chrome.identity import user_agent
from supervisors.chrome.process import BrowserProcess, spawn
from supervisors.chrome.profile import make_private
from supervisors.chrome.sandbox import NO_SANDBOX_ACTION, refused_by_chrome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from supervisors.chrome.locate import Browser

log = structlog.get_logger(__name__)

ENVIRONMENT_KEPT: Final = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "TZDIR", "LD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH"}
    | {
        name
        for proxy in ("http", "https", "all", "no")
        for name in (f"{proxy}_proxy", f"{proxy}_proxy".upper())
    }
)
TEMP_DIR_MAX_BYTES: Final = 60
"""Below it Chrome puts `org.chromium.Chromium.XXXXXX/SingletonSocket`: 47 bytes of the 107 allowed."""
PROFILE_IN_USE_EXIT: Final = 21
"""chrome::RESULT_CODE_PROFILE_IN_USE, chrome/common/chrome_result_codes.h (Chromium 156)."""


@frozen
class Chrome:
    """A browser that runs and answers.

    Args:
        browser: what it is.
        process: its process.
        connection: DevTools.
        product: what it says of itself, such as "HeadlessChrome/156.0.8078.79".
    """

    browser: Browser
    process: BrowserProcess
    connection: Connection
    product: str


@contextlib.asynccontextmanager
async def open_browser(
    browser: Browser,
    *,
    profile_dir: Path,
    temp_dir: Path,
    session_id: str,
    sandbox: bool,
    extra_args: Sequence[str] = (),
    launch_timeout_s: float = 60.0,
    polite_s: float = 5.0,
    kill_s: float = 5.0,
) -> AsyncIterator[Chrome]:
    """Run a browser while the block lasts.

    Args:
        browser: what to start.
        profile_dir: its profile, locked by the caller (`profile.lock_profile`).
        temp_dir: for its temporary files, of nobody else; wiped before and after. It becomes HOME, too. If
            its path is longer than 60 bytes, sockets go to a directory in the system's temporary one, which
            is treated alike.
        session_id: for the log.
        sandbox: whether Chrome's own sandbox is on (`sandbox.decide`).
        extra_args: the administrator's switches.
        launch_timeout_s: seconds until the browser must have answered.
        polite_s: seconds that it has to close on the way out before it is killed.
        kill_s: seconds that its processes have to vanish after that.

    Raises:
        BrowserUnavailable: it cannot run on this machine as it is.
        ProfileInUse: it found another browser on the profile.
        BrowserExited: it ended, or said nothing, before it was ready.

    Leaving the block, by whatever way, takes `polite_s` plus `kill_s` seconds at most and is not cancellable;
    then no process of the browser's is left, nor fd or task. A browser that ends by itself does not end the
    block: calls then raise ConnectionClosed, and `process.wait` returns.
    """
    _renew(temp_dir)
    socket_dir = _socket_dir(temp_dir)
    command = flags.arguments(
        browser, profile_dir, sandbox=sandbox, user_agent=user_agent(browser), extra_args=extra_args
    )
    with contextlib.ExitStack() as stack:
        stack.callback(wipe, temp_dir)
        stack.callback(wipe, socket_dir)
        process, transport = spawn(
            command, environment(os.environ, temp_dir, socket_dir), session_id=session_id
        )
        connection = Connection(transport, last_words=process.last_words)
        # Shielded, for the way out needs them; what ends them is the `finally` below, which has deadlines.
        attendants = {
            task: trio.CancelScope(shield=True) for task in (process.watch, process.listen, connection.run)
        }
        with _bare_error():
            async with trio.open_nursery() as nursery:
                for task, scope in attendants.items():
                    nursery.start_soon(_attend, task, scope)
                try:
                    yield await _greet((browser, process, connection), sandbox, profile_dir, launch_timeout_s)
                finally:
                    await process.end(lambda: _ask_to_close(connection), polite_s=polite_s, kill_s=kill_s)
                    for scope in attendants.values():
                        scope.cancel()


async def _attend(task: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    with scope:
        await task()


async def _ask_to_close(connection: Connection) -> None:
    """Ask the browser to close; one whose pipe is closed does so unasked."""
    if not connection.closed:
        await connection.call("Browser.close")


async def _greet(
    chrome: tuple[Browser, BrowserProcess, Connection], sandbox: bool, profile_dir: Path, timeout_s: float
) -> Chrome:
    """Wait until the browser answers, or tell why it does not."""
    browser, process, connection = chrome
    try:
        version = await connection.call("Browser.getVersion", timeout_s=timeout_s)
    except CallTimeout:
        raise BrowserExited(None, process.last_words()) from None
    except ConnectionClosed:
        words = await process.final_words()
        with trio.move_on_after(timeout_s):
            await process.wait()
        raise _classify(process, words, sandbox, profile_dir) from None
    return Chrome(browser, process, connection, version["product"])


def _classify(process: BrowserProcess, words: str, sandbox: bool, profile_dir: Path) -> ChromeError:
    status = process.exit_status
    if sandbox and refused_by_chrome(words):
        return BrowserUnavailable("Chrome found no usable sandbox.", NO_SANDBOX_ACTION)
    if "error while loading shared libraries" in words:
        missing = words.partition("shared libraries: ")[2].partition(":")[0]
        return BrowserUnavailable(
            f"The browser lacks a library ({missing}).", "Install it, or install the browser as a package."
        )
    if status is not None and status.code == PROFILE_IN_USE_EXIT:
        return ProfileInUse(str(profile_dir), None, "Chrome found another one on it")
    return BrowserExited(status, words)


def environment(inherited: Mapping[str, str], home_dir: Path, temp_dir: Path) -> dict[str, str]:
    """Return the browser's environment: nothing of the daemon's own, no secrets, no desktop.

    Args:
        inherited: the daemon's.
        home_dir: HOME.
        temp_dir: TMPDIR.
    """
    kept = {
        name: value for name, value in inherited.items() if name in ENVIRONMENT_KEPT or name.startswith("LC_")
    }
    return {**kept, "HOME": str(home_dir), "TMPDIR": str(temp_dir)}


def _renew(directory: Path) -> None:
    wipe(directory)
    try:
        make_private(directory)
    except OSError as error:
        raise BrowserUnavailable(
            f"The temporary directory {directory} cannot be made: {error.strerror}.",
            "Check the permissions of its parent, and the space left.",
        ) from error


def _socket_dir(temp_dir: Path) -> Path:
    """Return a directory whose path leaves room for Chrome's socket: it aborts on one of over 107 bytes.

    The name follows from `temp_dir`, so that what a killed daemon leaves is found and wiped by the next.
    """
    if len(os.fsencode(temp_dir)) <= TEMP_DIR_MAX_BYTES:
        return temp_dir
    name = hashlib.blake2s(os.fsencode(temp_dir), digest_size=6).hexdigest()
    short = Path(tempfile.gettempdir()) / f"wasup-{name}"
    wipe(short)
    try:
        short.mkdir(mode=0o700)  # never one that exists: in /tmp it might be another user's
    except OSError as error:
        raise BrowserUnavailable(
            f"The temporary directory {short} cannot be made: {error.strerror}.", "Remove what is there."
        ) from error
    return short


def wipe(directory: Path) -> None:
    """Remove a directory with all that is in it; what cannot be removed is logged and left."""

    def complain(
        _function: object, path: str, error: tuple[type[BaseException], BaseException, object]
    ) -> None:
        if not isinstance(error[1], FileNotFoundError):
            log.warning("temporary_file_left", path=path, error=str(error[1]))

    shutil.rmtree(directory, onerror=complain)


@contextlib.contextmanager
def _bare_error() -> Iterator[None]:
    """Let the block's own error out of the nursery's group: the nursery is nobody's business."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        raise error from error.__cause__

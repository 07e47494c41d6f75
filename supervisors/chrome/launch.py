"""A browser for as long as a block lasts: started, greeted, and ended on every way out.

Knows the order of things; what a process is and what DevTools say is known elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio
from attrs import frozen

from supervisors.chrome import flags
from supervisors.chrome.devtools import Connection
from supervisors.chrome.errors import (
    BrowserExited,
    BrowserUnavailable,
    BrowserUnreachable,
    ChromeError,
    ConnectionClosed,
    ProfileInUse,
)
from supervisors.chrome.identity import user_agent, user_agent_override
from supervisors.chrome.process import BrowserProcess, spawn, spawn_listening
from supervisors.chrome.profile import make_private
from supervisors.chrome.sandbox import NO_SANDBOX_ACTION, refused_by_chrome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from protocol.proxy import Proxy
    from supervisors.chrome.cgroups import Cgroup
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
PORT_FILE: Final = "DevToolsActivePort"
PORT_POLL_S: Final = 0.02
PROFILE_IN_USE_EXIT: Final = 21
"""chrome::RESULT_CODE_PROFILE_IN_USE, chrome/common/chrome_result_codes.h (Chromium 156)."""


@frozen(kw_only=True)
class Chrome:
    """A browser that runs and answers.

    Args:
        process: its process; None: it runs elsewhere.
        connection: DevTools.
        product: what it says of itself, such as "HeadlessChrome/156.0.8078.79".
        user_agent_override: what its pages shall say that it is (`identity.user_agent_override`); None: what
            they say anyhow.
        target_id: the page to use; None: the first.
        proxy: through which it reaches the network; its pages answer with the credentials, if there are any.
    """

    process: BrowserProcess | None = None
    connection: Connection
    product: str
    user_agent_override: Mapping[str, Any] | None = None
    target_id: str | None = None
    proxy: Proxy | None = None


@frozen(kw_only=True)
class StartedChrome(Chrome):
    """A browser that `open_browser` started."""

    process: BrowserProcess


class Attendants:
    """Tasks that the way out still needs: no cancellation reaches them before `dismiss`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._scopes: list[trio.CancelScope] = []

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task."""
        scope = trio.CancelScope(shield=True)
        self._scopes.append(scope)
        self._nursery.start_soon(self._attend, task, scope)

    def dismiss(self) -> None:
        """Cancel all of them."""
        for scope in self._scopes:
            scope.cancel()

    async def _attend(self, task: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            await task()


@contextlib.asynccontextmanager
async def open_browser(
    browser: Browser,
    *,
    profile_dir: Path,
    temp_dir: Path,
    session_id: str,
    sandbox: bool,
    listening: bool = False,
    cache_bytes: int = 64 << 20,
    extra_args: Sequence[str] = (),
    proxy: Proxy | None = None,
    cgroup: Cgroup | None = None,
    launch_timeout_s: float = 60.0,
    polite_s: float = 5.0,
    kill_s: float = 5.0,
) -> AsyncIterator[StartedChrome]:
    """Run a browser while the block lasts.

    Args:
        browser: what to start.
        profile_dir: its profile, locked by the caller (`profile.lock_profile`).
        temp_dir: for its temporary files, of nobody else; wiped before and after. It becomes HOME, too. If
            its path is longer than 60 bytes, sockets go to a directory in the system's temporary one, which
            is treated alike.
        session_id: for the log.
        sandbox: whether Chrome's own sandbox is on (`sandbox.decide`).
        listening: whether DevTools are spoken over a WebSocket on a loopback port that Chrome opens, which
            any local user can reach, and not through pipes. Such a Chrome outlives a killed daemon; whoever
            locks the profile next finds and ends it.
        cache_bytes: how much its HTTP cache may take of the disk.
        extra_args: the administrator's switches.
        proxy: replaces what those say of one.
        cgroup: a control group of its own, where there is one; it is removed in the end.
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
        browser,
        profile_dir,
        sandbox=sandbox,
        user_agent=user_agent(browser),
        listening=listening,
        cache_bytes=cache_bytes,
        extra_args=extra_args,
        proxy=None if proxy is None else proxy.server,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(wipe, temp_dir)
        stack.callback(wipe, socket_dir)
        given = environment(os.environ, temp_dir, socket_dir)
        connection: Connection | None = None
        if listening:
            (profile_dir / PORT_FILE).unlink(missing_ok=True)
            process = spawn_listening(command, given, session_id=session_id, cgroup=cgroup)
        else:
            process, pipes = spawn(command, given, session_id=session_id, cgroup=cgroup)
            connection = Connection(pipes, last_words=process.last_words)
        with bare_error():
            async with trio.open_nursery() as nursery:
                attendants = Attendants(nursery)
                attendants.start(process.watch)
                attendants.start(process.listen)
                try:
                    version = None
                    with trio.move_on_after(launch_timeout_s):
                        try:
                            if connection is None:
                                connection = await _reach(process, profile_dir, attendants)
                            attendants.start(connection.run)
                            version = await greet(connection)
                        except (ConnectionClosed, BrowserUnreachable):
                            words = await process.final_words()
                            await process.wait()
                            raise _classify(process, words, sandbox, profile_dir) from None
                    if connection is None or version is None:
                        raise BrowserExited(None, process.last_words())  # ends it first
                    yield StartedChrome(
                        process=process,
                        connection=connection,
                        product=version["product"],
                        user_agent_override=user_agent_override(browser),
                        proxy=proxy,
                    )
                finally:
                    polite = None if connection is None else partial(_ask_to_close, connection)
                    await process.end(polite, polite_s=polite_s, kill_s=kill_s)
                    attendants.dismiss()


async def _ask_to_close(connection: Connection) -> None:
    """Ask the browser to close; one whose pipe is closed does so unasked."""
    if not connection.closed:
        await connection.call("Browser.close")


async def _reach(process: BrowserProcess, profile_dir: Path, attendants: Attendants) -> Connection:
    """Connect to the port that the browser opens, and tells of in its profile.

    Source: https://chromedevtools.github.io/devtools-protocol/ ("DevToolsActivePort").
    """
    from supervisors.chrome import websocket  # 50 ms that pipes do without

    path = profile_dir / PORT_FILE
    while True:
        with contextlib.suppress(FileNotFoundError):
            if (found := re.fullmatch(r"(\d+)\n(/[\w/-]+)\n?", path.read_text())) is not None:
                break
        if process.exit_status is not None:
            raise BrowserUnreachable("its port", "it ended")
        await trio.sleep(PORT_POLL_S)
    transport = await websocket.dial(f"ws://127.0.0.1:{found[1]}{found[2]}")
    attendants.start(transport.run)
    await transport.opened()
    return Connection(transport, last_words=process.last_words)


async def greet(connection: Connection) -> dict[str, str]:
    """Wait until the browser answers, and return what it says that it is; sets no deadline."""
    return await connection.call("Browser.getVersion", timeout_s=math.inf)


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
def bare_error() -> Iterator[None]:
    """Let the block's own error out of the nursery's group: the nursery is nobody's business."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        raise error from error.__cause__

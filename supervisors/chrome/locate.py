"""Finding the browser: which binary will run, and what it is.

`auto` prefers chromium-headless-shell to a full browser. Both are built from the same source with the same
engine, storage and codecs; the shell starts in a third of the time, needs two thirds of the memory and less
than half of the idle CPU, which decides how many sessions a server carries. What it lacks (extensions, sync,
translation, component updates, settings pages) no session uses. Name a full browser in `[browser] path` to
have it instead; the profile is the same for both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import frozen

from supervisors.chrome.errors import BrowserUnavailable

log = structlog.get_logger(__name__)

NAMES: Final = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
BINARIES: Final = frozenset({*NAMES, "chrome", "headless_shell"})
"""What the real binaries are called."""
FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/opt/google/chrome", "/usr/lib/chromium")
ELF_MAGIC: Final = b"\x7fELF"
WRAPPER_MAX_BYTES: Final = 1 << 16
WRAPPERS_MAX: Final = 4
VERSION_TIMEOUT_S: Final = 20.0
FETCH_TIMEOUT_S: Final = 120.0
INSTALL: Final = (
    "Install a browser (Debian: `apt install chromium-headless-shell`, or `chromium`) or set [browser] path."
)


@frozen
class Browser:
    """A browser binary that can be started.

    Args:
        path: the real binary, never a wrapper script.
        version: such as "156.0.8078.79".
        headless_shell: whether it is the headless shell, not a full browser.
        branded: whether it is Google Chrome, not Chromium.
    """

    path: Path
    version: str
    headless_shell: bool
    branded: bool = False

    @property
    def major(self) -> int:
        """The first part of the version."""
        return int(self.version.partition(".")[0])


async def locate(path_setting: str, *, fetch: bool = True) -> Browser:
    """Return the browser to use.

    Args:
        path_setting: "auto", or the path of a browser; a distribution's wrapper script is followed to the
            binary that it starts, because a wrapper in between would be killed in the browser's stead.
        fetch: whether selenium's manager may fetch one where none is installed.

    Raises:
        BrowserUnavailable: there is none, or the one that was named cannot be used.

    A cancellation leaves no process behind, except that selenium's manager, asked where nothing is installed,
    may be left to finish its download.
    """
    if path_setting != "auto":
        return await _examine(_resolve(Path(path_setting)))
    search_path = os.pathsep.join((os.environ.get("PATH", os.defpath), *FOLDERS))
    for name in NAMES:
        found = shutil.which(name, path=search_path)
        if found is None:
            continue
        try:
            return await _examine(_resolve(Path(found)))
        except BrowserUnavailable as error:
            log.info("browser_candidate_refused", path=found, reason=error.reason)
    if not fetch:
        raise BrowserUnavailable("No browser is installed.", INSTALL)
    return await _examine(_resolve(await _fetch()))


def _resolve(path: Path) -> Path:
    """Follow links and wrapper scripts to an ELF binary."""
    current = path
    for _ in range(WRAPPERS_MAX):
        try:
            current = current.resolve(strict=True)
            with current.open("rb") as file:
                head = file.read(WRAPPER_MAX_BYTES)
        except OSError as error:
            raise BrowserUnavailable(f"{path} cannot be read: {error.strerror}.", INSTALL) from error
        if current.name == "snap":
            raise BrowserUnavailable(
                f"{path} is a snap, which cannot be started without its wrapper.", INSTALL
            )
        if head.startswith(ELF_MAGIC):
            if os.access(current, os.X_OK):
                return current
            raise BrowserUnavailable(f"{current} may not be executed.", f"Check its permissions. {INSTALL}")
        following = _started_by(current, head.decode(errors="replace")) if head.startswith(b"#!") else None
        if following is None:
            break
        current = following
    raise BrowserUnavailable(
        f"{path} is not a browser binary, nor a wrapper script that tells which one it starts.",
        "Set [browser] path to the binary itself, such as /usr/lib/chromium/chromium.",
    )


def _started_by(script: Path, text: str) -> Path | None:
    """Return the browser that a wrapper script starts.

    Understands Debian's (`exec $LIBDIR/$APPNAME`, or a plain path) and Google's (`exec "$HERE/chrome"`).
    """
    variables = {"HERE": str(script.parent)}

    def expand(word: str) -> str:
        return re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], ""), word)

    for name, value in re.findall(r"^\s*(?:export\s+)?(\w+)=\"?([\w$\{\}/.+-]+)\"?\s*$", text, re.MULTILINE):
        if name != "HERE":
            variables[name] = expand(value)
    words = (expand(word) for word in re.findall(r"[\w$\{\}/.+-]*/[\w$\{\}/.+-]+", text))
    paths = (Path(word) for word in words if word.startswith("/"))
    return next((path for path in paths if path.name in BINARIES and path != script and path.is_file()), None)


async def _examine(path: Path) -> Browser:
    """Ask a binary for its version."""
    result = None
    with trio.move_on_after(VERSION_TIMEOUT_S):
        try:
            result = await trio.run_process(
                [path, "--version"],
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                start_new_session=True,
            )
        except OSError as error:
            raise BrowserUnavailable(f"{path} cannot be executed: {error.strerror}.", INSTALL) from error
    if result is None:
        raise BrowserUnavailable(f"{path} --version gave no answer in {VERSION_TIMEOUT_S:g} s.", INSTALL)
    text = result.stdout.decode(errors="replace").strip()
    match = re.search(r"\b(\d+(?:\.\d+){3})\b", text)
    if result.returncode != 0 or match is None or "chrom" not in text.lower():
        words = (text or result.stderr.decode(errors="replace").strip())[-200:]
        raise BrowserUnavailable(f"{path} is not a working Chrome (it said: {words!r}).", INSTALL)
    return Browser(
        path=path,
        version=match[1],
        headless_shell="headless" in path.name,
        branded=text.startswith("Google Chrome"),
    )


async def _fetch() -> Path:
    """Have selenium's manager find a browser elsewhere, or download one."""

    def ask() -> str:
        # Imported here: half a second and 19 MiB that only this path is worth.
        from selenium.webdriver.common.selenium_manager import SeleniumManager

        return str(SeleniumManager().binary_paths(["--browser", "chrome", "--timeout", "60"])["browser_path"])

    log.info("browser_fetch_started")
    reason = f"no answer within {FETCH_TIMEOUT_S:g} s"
    with trio.move_on_after(FETCH_TIMEOUT_S):
        try:
            return Path(await trio.to_thread.run_sync(ask, abandon_on_cancel=True))
        except Exception as error:  # noqa: BLE001  # whatever selenium raises: it is the last resort
            reason = str(error).strip().partition("\n")[0]
    raise BrowserUnavailable(
        f"No browser is installed, and selenium's manager could not fetch one ({reason}).", INSTALL
    )

"""Sessions on a simulated WhatsApp Web, and what floors and peers need to load the same page."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs
import msgspec
import psutil
import trio

from protocol.client.blocking import connect
from supervisors.chrome import flags, identity, launch
from supervisors.chrome.locate import Browser, locate
from supervisors.whatsapp import library
from tests.simulator.client import Client as Simulator

from .floors.browser import Work
from .processes import ask, daemon

SHELL: Final = "auto"
CHROMIUM: Final = "/usr/bin/chromium"
URL: Final = "https://web.whatsapp.com/"
QR: Final = ("session.qr", ['"qr"', '"code":"'])
CONNECTED: Final = (
    "session.connected",
    ['"state"', '"socket":"CONNECTED"', '"mode":"MAIN"', '"authenticated":true', '"ready":true'],
)
PEER: Final = Path(__file__).parent / "peers" / "whatsapp_web.js"
_MODULES: Final = Path(__file__).parents[1] / "tests/simulator/whatsapp-web.js/node_modules/whatsapp-web.js"
_WITHIN_S: Final = 120
_QUIET: Final = "{disableGoogleAnalytics: true, linkPreviewApiServers: [], deviceName: 'wasup'}"


@attrs.frozen
class Simulated:
    """A simulator that runs: Chrome's arguments that lead to it, and its control."""

    args: list[str]
    control: Simulator


@contextmanager
def simulated(directory: Path) -> Iterator[Simulated]:
    """Run a simulator for a block, in a process of its own."""
    control = directory / "simulator.sock"
    command = [sys.executable, "-m", "tests.simulator", "serve", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101  for mypy
        try:
            args = next(
                json.loads(line.partition("=")[2]) for line in process.stdout if line.startswith("extra_args")
            )
            with Simulator(control) as client:
                yield Simulated(args, client)
        finally:
            process.terminate()
            process.wait(_WITHIN_S)


class Sessions:
    """The daemon's sessions, as a client starts and stops them. Names are of all that were linked."""

    def __init__(self, socket: str, directory: Path) -> None:
        self.socket = socket
        self.directory = directory

    def profile(self, name: str) -> Path:
        """Return where its login lies."""
        return self.directory / "state" / "sessions" / name / "profile"

    def start(self, *names: str, until: str) -> float:
        """Start them all at once; return the seconds until each has had the event."""
        with connect(self.socket) as client:
            events = client.events(sessions=names, types=[until])
            begun = time.perf_counter()
            for name in names:
                client.call("session.start", sessionId=name, wait=False)
            missing = set(names)
            while missing:
                missing.discard(str(next(events)["sessionId"]))
            return time.perf_counter() - begun

    def stop(self, *names: str) -> None:
        """Stop them; return when no browser is left."""
        for name in names:
            ask(self.socket, "session.stop", {"sessionId": name})

    def create(self, *names: str) -> None:
        """Make sessions."""
        for name in names:
            ask(self.socket, "session.create", {"name": name, "id": name})

    def browser(self, name: str) -> psutil.Process:
        """Return the main process of its browser."""
        return psutil.Process(ask(self.socket, "session.get", {"sessionId": name})["process"]["pid"])

    def link(self, name: str, phone: str, control: Simulator) -> None:
        """Make a session, start it, and have a phone scan its code."""
        self.create(name)
        with connect(self.socket) as client:
            self.start(name, until=QR[0])
            connected = client.events(sessions=[name], types=[CONNECTED[0]])
            control.scan(phone, client.call("session.qr", sessionId=name)["qrText"])
            next(connected)


@contextmanager
def sessions(
    directory: Path,
    page: Simulated,
    path: str = SHELL,
    settings: str = "",
    log: list[bytes] | None = None,
    pids: list[int] | None = None,
) -> Iterator[Sessions]:
    """Run a daemon, whose browsers see the simulator, for a block."""
    own = f"browser.path = {json.dumps(path)}\nbrowser.extra_args = {json.dumps(page.args)}\n{settings}"
    with daemon(directory, own, log, pids) as socket:
        yield Sessions(socket, directory)


def browser(path: str) -> Browser:
    """Return the browser that a daemon with this `[browser] path` runs."""
    return trio.run(locate, path)


def work(
    found: Browser,
    profiles: Sequence[Path],
    page: Simulated,
    until: list[str],
    *,
    arguments: Callable[[Path], list[str]] | None = None,
    bridge: bool = True,
) -> bytes:
    """Return the work of a floor: on these profiles what the product does, with the product's flags.

    With `arguments` the flags are those; without `bridge` the page library is injected as it comes.
    """
    pinned = library.load("auto")
    alone = f"window.WPPConfig = {_QUIET}; {pinned.source}"
    temp = profiles[0].parent / "tmp"
    temp.mkdir(exist_ok=True, parents=True)
    return msgspec.json.encode(
        Work(
            commands=[
                usual(found, profile, page) if arguments is None else arguments(profile)
                for profile in profiles
            ],
            environment=launch.environment(os.environ, temp, temp),
            url=URL,
            injection=pinned.injection("wasup") if bridge else alone,
            binding=library.BINDING,
            until=until,
        )
    )


def usual(found: Browser, profile: Path, page: Simulated) -> list[str]:
    """Return the command line of the product's browser."""
    return flags.arguments(
        found,
        profile,
        sandbox=os.getuid() != 0,
        user_agent=identity.user_agent(found),
        extra_args=page.args,
    )


def plain(found: Browser, page: Simulated) -> Callable[[Path], list[str]]:
    """Return the flags of a headless Chrome that nobody has thought about."""
    return lambda profile: [
        str(found.path),
        "--headless" if found.headless_shell else "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.getuid() == 0 else []),
        *page.args,
        "about:blank",
    ]


def whatsapp_web_js(
    found: Browser, profiles: Sequence[Path], page: Simulated, until: str, *, hold: bool = False
) -> list[str]:
    """Return the command of whatsapp-web.js with its own defaults, but for who WhatsApp is."""
    options = {
        "executablePath": str(found.path),
        "headless": "shell" if found.headless_shell else True,
        "args": [*(["--no-sandbox"] if os.getuid() == 0 else []), *page.args],
        "profiles": [str(profile) for profile in profiles],
        "until": until,
        "hold": hold,
    }
    return ["node", str(PEER), json.dumps(options)]


def missing(*, selenium: bool = False) -> str | None:
    """Return why a peer cannot be measured here, None if it can."""
    if selenium:
        return None if chromedriver() else "chromedriver is not installed (Debian: chromium-driver)"
    if shutil.which("node") is None:
        return "node is not installed"
    return None if _MODULES.is_dir() else "whatsapp-web.js is not installed (`make bench` installs it)"


def chromedriver() -> str | None:
    """Return where chromedriver is: `$CHROMEDRIVER`, or on the path."""
    return os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")


def copies(profile: Path, directory: Path) -> Callable[[str], Path]:
    """Return what makes copies of a profile, by a name each."""

    def copy(name: str) -> Path:
        to = directory / name / "profile"
        shutil.copytree(profile, to, symlinks=True, ignore=shutil.ignore_patterns("Singleton*"))
        return to

    return copy


def private_bytes(roots: Iterable[psutil.Process]) -> int:
    """Return the private memory of processes, and of every process below them."""
    total = 0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            with suppress(FileNotFoundError, ProcessLookupError):
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                found = re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", text, re.MULTILINE)
                total += sum(map(int, found)) * 1024
    return total


def cpu_s(roots: Iterable[psutil.Process]) -> float:
    """Return the processor's time that the living threads have taken, of processes and of all below them.

    By the scheduler's own count: a process's is one of clock ticks, too coarse for what rests.
    """
    total = 0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    total += int(thread.read_text().split()[0])
    return total / 1e9

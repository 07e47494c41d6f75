"""Starting and ending: whatever happens, nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import psutil
import pytest
import trio
import trio.testing

from supervisors.chrome import processes
from supervisors.chrome.errors import (
    BrowserExited,
    BrowserUnavailable,
    ConnectionClosed,
    ExitStatus,
    ProfileInUse,
)
from supervisors.chrome.launch import TEMP_DIR_MAX_BYTES, environment, open_browser
from supervisors.chrome.locate import Browser
from supervisors.chrome.tab import attach_tab

from .conftest import open_fds, processes_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Opener

REPOSITORY = Path(__file__).parents[3]
NOBODY = 65534


@pytest.fixture
async def nothing_left(tmp_path: Path) -> AsyncIterator[None]:
    """Holds the test to leave no fd, process or temporary file."""
    await trio.to_thread.run_sync(int)  # trio's thread machinery opens what it keeps
    before = open_fds()
    yield
    assert open_fds() == before
    assert processes_of(tmp_path) == []
    assert not (tmp_path / "tmp").exists()
    assert not psutil.Process().children(recursive=True)


both_transports = pytest.mark.parametrize("listening", [False, True], ids=["pipe", "websocket"])


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
@both_transports
async def test_a_closed_browser_leaves_nothing(browser: Browser, opener: Opener, listening: bool) -> None:
    with trio.fail_after(30):
        async with opener(browser, listening=listening) as chrome:
            assert chrome.product.endswith(browser.version)
            assert psutil.Process(chrome.process.pid).children()
        assert chrome.process.exit_status == ExitStatus(code=0)


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
@both_transports
@pytest.mark.parametrize("after_s", [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4])
async def test_a_cancellation_at_any_time_leaves_nothing(
    browser: Browser, opener: Opener, after_s: float, listening: bool
) -> None:
    with trio.fail_after(30), trio.move_on_after(after_s) as scope:
        async with opener(browser, listening=listening) as chrome:
            tab = await attach_tab(chrome)
            await tab.evaluate("new Promise(() => {})")
    assert scope.cancelled_caught


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
async def test_an_exception_comes_out_bare_and_leaves_nothing(shell: Browser, opener: Opener) -> None:
    with pytest.raises(ZeroDivisionError), trio.fail_after(30):
        async with opener(shell):
            raise ZeroDivisionError


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
@both_transports
async def test_a_killed_browser_is_seen_and_leaves_nothing(
    browser: Browser, opener: Opener, listening: bool
) -> None:
    with trio.fail_after(30):
        async with opener(browser, listening=listening) as chrome:
            tab = await attach_tab(chrome)
            async with trio.open_nursery() as nursery:

                async def evaluate() -> None:
                    with pytest.raises(ConnectionClosed):
                        await tab.evaluate("new Promise(() => {})")

                nursery.start_soon(evaluate)
                await trio.testing.wait_all_tasks_blocked(0.05)
                os.kill(chrome.process.pid, signal.SIGKILL)
                assert await chrome.process.wait() == ExitStatus(signal=signal.SIGKILL)
            with pytest.raises(ConnectionClosed):
                await tab.evaluate("1")


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
async def test_a_browser_that_ignores_everything_is_killed(shell: Browser, opener: Opener) -> None:
    with trio.fail_after(30):
        async with opener(shell, polite_s=0.2) as chrome:
            os.kill(chrome.process.pid, signal.SIGSTOP)
        assert chrome.process.exit_status == ExitStatus(signal=signal.SIGKILL)


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
@both_transports
async def test_what_does_not_get_ready_is_ended(shell: Browser, opener: Opener, listening: bool) -> None:
    with pytest.raises(BrowserExited) as caught, trio.fail_after(30):
        async with opener(shell, listening=listening, launch_timeout_s=0.001):
            pytest.fail("ready in no time")
    assert caught.value.status is None


@pytest.mark.usefixtures("nothing_left")
@both_transports
async def test_a_program_that_ends_at_once_is_told_with_its_last_words(
    opener: Opener, tmp_path: Path, listening: bool
) -> None:
    path = tmp_path / "fake"
    path.write_text("#!/bin/sh\necho first >&2\necho dying >&2\nexit 3\n")
    path.chmod(0o700)
    with pytest.raises(BrowserExited) as caught, trio.fail_after(10):
        async with opener(Browser(path, "1.2.3.4", headless_shell=True), listening=listening):
            pytest.fail("it is no browser")
    assert caught.value.status == ExitStatus(code=3)
    assert caught.value.last_words == "first\ndying"


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            "echo 'x: error while loading shared libraries: libnss3.so: cannot open' >&2; exit 127",
            "libnss3.so",
        ),
        ("exit 21", "Chrome found another one"),
    ],
)
async def test_known_ends_are_explained(opener: Opener, tmp_path: Path, script: str, error: str) -> None:
    path = tmp_path / "fake"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    with pytest.raises((BrowserUnavailable, ProfileInUse), match=error), trio.fail_after(10):
        async with opener(Browser(path, "1.2.3.4", headless_shell=True)):
            pytest.fail("it is no browser")


async def test_a_refused_sandbox_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "fake"
    path.write_text(
        "#!/bin/sh\necho '[1:1:FATAL:zygote] No usable sandbox! Update your kernel' >&2; exit 133\n"
    )
    path.chmod(0o700)
    with pytest.raises(BrowserUnavailable, match="user namespaces"), trio.fail_after(10):
        async with open_browser(
            Browser(path, "1.2.3.4", headless_shell=True),
            profile_dir=tmp_path / "profile",
            temp_dir=tmp_path / "tmp",
            session_id="test",
            sandbox=True,
        ):
            pytest.fail("it is no browser")


@pytest.mark.usefixtures("nothing_left")
async def test_a_binary_that_is_not_there_is_unavailable(opener: Opener) -> None:
    with pytest.raises(BrowserUnavailable, match="No such file"):
        async with opener(Browser(Path("/nowhere/chrome"), "1.2.3.4", headless_shell=True)):
            pytest.fail("nothing to start")


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
async def test_no_fd_of_the_daemon_reaches_the_browser(
    shell: Browser, opener: Opener, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    fd = os.open(secret, os.O_RDONLY)
    os.set_inheritable(fd, True)  # as systemd passes its sockets
    try:
        async with opener(shell) as chrome:
            places = fds_of(chrome.process.pid)
    finally:
        os.close(fd)
    assert str(secret) not in places.values()
    assert places[0] == "/dev/null"
    assert all(places[number].startswith("pipe:") for number in (1, 2, 3, 4))
    own = {entry.partition(" -> ")[2] for entry in open_fds()}
    shared = {place for place in own & set(places.values()) if not place.startswith(("/dev/", "anon_inode:"))}
    assert not shared


def fds_of(pid: int) -> dict[int, str]:
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found[int(entry.name)] = str(entry.readlink())
    return found


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def link_of(path: Path) -> Path:
    return path.readlink()


def environment_of(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(word.split("=", 1) for word in words)


def command_line_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def namespace_of(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


@pytest.mark.chrome
@pytest.mark.usefixtures("nothing_left")
async def test_a_long_temporary_path_gets_a_short_one_for_sockets(browser: Browser, tmp_path: Path) -> None:
    temp_dir = tmp_path / ("x" * TEMP_DIR_MAX_BYTES)
    async with open_browser(
        browser, profile_dir=tmp_path / "p", temp_dir=temp_dir, session_id="test", sandbox=os.geteuid() != 0
    ) as chrome:
        short = Path(environment_of(chrome.process.pid)["TMPDIR"])
        assert len(str(short)) <= TEMP_DIR_MAX_BYTES
        assert mode_of(short) == 0o700
        if not browser.headless_shell:
            assert link_of(tmp_path / "p" / "SingletonSocket").is_relative_to(short)
    assert not os.path.lexists(short)
    assert not os.path.lexists(temp_dir)


def test_the_environment_holds_no_secrets() -> None:
    inherited = {"PATH": "/bin", "LC_ALL": "C", "HTTPS_PROXY": "p", "NOTIFY_SOCKET": "x", "WASUP_KEY": "x"}
    inherited |= {"LISTEN_FDS": "1", "CREDENTIALS_DIRECTORY": "x", "DBUS_SESSION_BUS_ADDRESS": "x"}
    assert environment(inherited, Path("/h"), Path("/t")) == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "HTTPS_PROXY": "p",
        "HOME": "/h",
        "TMPDIR": "/t",
    }


@pytest.mark.chrome
async def test_a_killed_daemon_leaves_no_browser(browser: Browser, opener: Opener, tmp_path: Path) -> None:
    async with child("launch", str(browser.path), str(tmp_path)) as (daemon, leader):
        members = processes.Forest(processes.table()).tree(leader)
        assert len(members) > 1
        pidfds = [pidfd for pidfd in map(processes.open_pidfd, members) if pidfd is not None]
        daemon.kill()
        with trio.fail_after(10):
            for pidfd in pidfds:
                await trio.lowlevel.wait_readable(pidfd)
                os.close(pidfd)
    assert processes_of(tmp_path) == []
    # What it left of temporary files the next one removes.
    async with opener(browser) as chrome:
        temporary = environment_of(chrome.process.pid)["TMPDIR"]
    assert not os.path.lexists(temporary)


@pytest.mark.chrome
async def test_the_sandbox_confines_the_renderers_of_an_ordinary_user(browser: Browser) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
        async with child("sandboxed", str(browser.path), name) as (daemon, leader):
            members = processes.Forest(processes.table()).tree(leader)
            renderers = [member.pid for member in members if "--type=renderer" in command_line_of(member.pid)]
            assert renderers
            for pid in renderers:
                status = status_of(pid)
                assert status["Seccomp"] == "2"
                assert int(status["CapEff"], 16) == 0
                for kind in ("user", "pid", "net"):
                    assert namespace_of(pid, kind) != namespace_of(leader, kind), kind
            assert daemon.stdin is not None
            await daemon.stdin.aclose()
            with trio.fail_after(10):
                assert await daemon.wait() == 0
        assert processes_of(directory) == []


class child:  # used like a function
    """A child Python process that launches a browser; yields it and the browser's pid; ends it by force."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments

    async def __aenter__(self) -> tuple[trio.Process, int]:
        self.process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.supervisors.chrome.child", *self.arguments],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        with trio.fail_after(30):
            said = await self.process.stdout.receive_some()
        assert said, "the child died"
        return self.process, int(said)

    async def __aexit__(self, *_error: object) -> None:
        with trio.CancelScope(shield=True):
            self.process.kill()
            await self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                assert stream is not None
                await stream.aclose()


def test_errors_are_told_in_words() -> None:
    assert str(ExitStatus(code=21)) == "exit code 21"
    assert str(ExitStatus(signal=9)) == "signal SIGKILL"
    assert attrs.asdict(ExitStatus(signal=64)) == {"code": None, "signal": 64}
    assert str(BrowserExited(None, "")) == "browser was not ready in time"

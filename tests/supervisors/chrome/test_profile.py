"""Who may have a profile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from supervisors.chrome import processes
from supervisors.chrome.errors import BrowserUnavailable, ProfileInUse
from supervisors.chrome.process import spawn
from supervisors.chrome.profile import Owner, clear_singleton, judge, lock_profile, make_private

from .conftest import processes_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from supervisors.chrome.locate import Browser
    from supervisors.chrome.process import BrowserProcess
    from supervisors.chrome.transports import PipeTransport

PROFILE = Path("/data/a/profile")
PROCESS = processes.Process(10, 1, 10, 10, "S", 5)


def owner(
    *arguments: str,
    uid: int = 1000,
    exe: str | None = "chromium",
    flag: str = "--user-data-dir=/data/a/profile",
) -> Owner:
    return Owner(PROCESS, uid, exe, ("/usr/lib/chromium/chromium", flag, *arguments))


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        (owner(), "ours"),
        (owner(exe="chromium-headless-shell"), "ours"),
        (owner(uid=0), "unclear"),
        (owner(exe=None), "unclear"),
        (owner(exe="python3.11"), "stranger"),
        (owner(flag="--user-data-dir=/data/b/profile"), "stranger"),
        (owner(flag="--user-data-dir=/data/a/profile2"), "stranger"),
        (owner(flag="--user-data-dir=/data/a/../a/profile"), "unclear"),
        (owner(flag="--incognito"), "unclear"),
        (owner("--type=renderer"), "stranger"),
        (owner("--user-data-dir=/elsewhere"), "stranger"),
        (Owner(PROCESS, 1000, "chrome", None), "unclear"),
        (Owner(PROCESS, 1000, None, None), "unclear"),
        (Owner(PROCESS, 1000, None, ("/bin/sleep", "9")), "stranger"),
    ],
)
def test_who_is_who(candidate: Owner, verdict: str) -> None:
    assert judge(candidate, PROFILE, 1000) == verdict


@pytest.fixture
def umask(tmp_path: Path) -> Iterator[None]:
    assert tmp_path.is_dir()  # made before nobody may look into what is made
    before = os.umask(0o777)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = mode(tmp_path)
    directory = tmp_path / "a" / "b"
    make_private(directory)
    assert (mode(directory), mode(tmp_path / "a"), mode(tmp_path)) == (0o700, 0o700, before)
    directory.chmod(0o755)
    make_private(directory)
    assert mode(directory) == 0o700


async def test_a_second_owner_is_refused_and_the_lock_goes(tmp_path: Path) -> None:
    directory = tmp_path / "profile"
    for _ in range(2):
        async with lock_profile(directory):
            with pytest.raises(ProfileInUse) as caught:
                async with lock_profile(directory):
                    pytest.fail("two owners")
            assert caught.value.pid == os.getpid()
    assert names_in(tmp_path) == ["profile"]


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    open_and_close(blocker)
    with pytest.raises(BrowserUnavailable, match="cannot be used"):
        async with lock_profile(blocker / "profile"):
            pytest.fail("a directory in a file")


def open_and_close(path: Path) -> None:
    path.touch()


def leave_lock(directory: Path, target: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "SingletonLock").symlink_to(target)
    (directory / "SingletonCookie").symlink_to("123")
    (directory / "SingletonSocket").symlink_to("/tmp/gone/SingletonSocket")  # noqa: S108


def names_in(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def left_of_lock(directory: Path) -> list[str]:
    return [name for name in names_in(directory) if name.startswith("Singleton")]


def test_a_lock_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    leave_lock(tmp_path, f"{socket.gethostname()}-{pid}")
    clear_singleton(tmp_path)
    assert left_of_lock(tmp_path) == []


def test_a_lock_of_another_host_is_removed(tmp_path: Path) -> None:
    leave_lock(tmp_path, f"other-host-{os.getpid()}")
    clear_singleton(tmp_path)
    assert left_of_lock(tmp_path) == []


async def test_a_stranger_with_the_reused_number_is_left_alone(tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    async with trio.open_nursery() as nursery:
        # Even one that has our profile on its command line.
        command = [sys.executable, "-c", "import signal; signal.pause()", f"--user-data-dir={profile}"]
        stranger: trio.Process = await nursery.start(trio.run_process, command)
        leave_lock(profile, f"{socket.gethostname()}-{stranger.pid}")
        async with lock_profile(profile):
            assert left_of_lock(profile) == []
            assert stranger.poll() is None
        nursery.cancel_scope.cancel()


def test_a_lock_that_says_nothing_is_left_to_chrome(tmp_path: Path) -> None:
    leave_lock(tmp_path, "nonsense")
    clear_singleton(tmp_path)
    assert len(left_of_lock(tmp_path)) == 3


def test_a_lock_that_is_no_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "SingletonLock").touch()
    with pytest.raises(ProfileInUse):
        clear_singleton(tmp_path)
    assert (tmp_path / "SingletonLock").exists()


@contextlib.asynccontextmanager
async def orphan(browser: Browser, profile: Path, flag: str | None = None) -> AsyncIterator[int]:
    """Start a browser that nobody supervises, and wait until it answers."""
    words = [str(browser.path), "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu"]
    words += [flag or f"--user-data-dir={profile}", "--disable-crashpad-for-testing", "about:blank"]
    # A short path: Chromium makes a socket there, and pytest's own paths hold the user's name.
    with tempfile.TemporaryDirectory(prefix="w") as short:
        environment = {"HOME": str(profile.parent), "TMPDIR": short, "PATH": os.environ["PATH"]}
        process, transport = spawn(words, environment, session_id="orphan")
        async with _attended(process, transport) as pid:
            yield pid


@contextlib.asynccontextmanager
async def _attended(process: BrowserProcess, transport: PipeTransport) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.watch)
        nursery.start_soon(process.listen)
        try:
            await transport.send(b'{"id":1,"method":"Browser.getVersion"}')
            await transport.receive()
            yield process.pid
        finally:
            await process.end()
            await transport.aclose()
            nursery.cancel_scope.cancel()


@pytest.mark.chrome
async def test_an_orphan_of_ours_is_ended(browser: Browser, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    with trio.fail_after(30):
        async with orphan(browser, profile) as pid:
            with trio.fail_after(15):
                async with lock_profile(profile):
                    found = processes.read(pid)
                    assert found is None or found.state in processes.GONE
                    assert left_of_lock(profile) == []
                    assert processes_of(profile) == []


@pytest.mark.chrome
async def test_an_orphan_that_does_not_close_is_killed(shell: Browser, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    with trio.fail_after(30):
        async with orphan(shell, profile) as pid:
            os.kill(pid, signal.SIGSTOP)
            async with lock_profile(profile, polite_s=0.2):
                assert processes_of(profile) == []


@pytest.mark.chrome
async def test_a_living_chrome_that_may_own_the_profile_is_refused_and_lives(
    shell: Browser, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    with trio.fail_after(30):
        # Through another spelling of the path: likely the same, but not proven to be ours.
        async with orphan(shell, profile, f"--user-data-dir={tmp_path}/./profile") as pid:
            leave_lock(profile, f"{socket.gethostname()}-{pid}")
            with pytest.raises(ProfileInUse) as caught:
                async with lock_profile(profile):
                    pytest.fail("it is in use")
            assert caught.value.pid == pid
            found = processes.read(pid)
            assert found is not None
            assert found.state not in processes.GONE
            assert len(left_of_lock(profile)) == 3


@pytest.mark.chrome
async def test_a_chrome_on_another_profile_is_left_alone(shell: Browser, tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with orphan(shell, tmp_path / "other") as pid:
            leave_lock(tmp_path / "profile", f"{socket.gethostname()}-{pid}")
            async with lock_profile(tmp_path / "profile"):
                found = processes.read(pid)
                assert found is not None
                assert found.state not in processes.GONE

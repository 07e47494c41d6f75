"""The socket's file, and accepting connections when the machine is short of descriptors."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon.listener import ListenError, NotASocket, SocketInUse, bind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wasup.sock"


@pytest.fixture(autouse=True)
def _no_descriptor_left() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def _left_behind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
async def test_the_file_has_mode_0660_whatever_the_umask(path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        listener = bind(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listener.close()


async def test_missing_directories_are_made_so_that_the_group_can_pass(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        listener = bind(tmp_path / "a" / "b" / "wasup.sock")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o755
    listener.close()


async def test_a_directory_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    bind(private / "wasup.sock").close()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


async def test_closing_leaves_nothing_and_may_be_repeated(path: Path) -> None:
    listener = bind(path)
    listener.close()
    listener.close()
    assert list(path.parent.iterdir()) == []
    bind(path).close()


async def test_a_stale_socket_is_replaced(path: Path) -> None:
    _left_behind(path)
    path.with_name("wasup.sock.lock").touch(0o600)
    listener = bind(path)
    stream = await trio.open_unix_socket(path)
    await stream.aclose()
    listener.close()
    assert list(path.parent.iterdir()) == []


async def test_a_live_one_is_refused_and_goes_on(path: Path) -> None:
    first = bind(path)
    with pytest.raises(SocketInUse, match="another wasupd holds"):
        bind(path)
    async with await trio.open_unix_socket(path), await first.accept():
        pass
    first.close()


@pytest.mark.parametrize("backlog", [0, 5])
async def test_a_live_one_of_another_program_is_refused(path: Path, backlog: int) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(backlog)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(backlog == 0)]
        for client in waiting:  # its backlog is full
            client.connect(str(path))
        with pytest.raises(SocketInUse, match="another process listens on"):
            bind(path)
        for client in waiting:
            client.close()
    assert path.is_socket()
    assert not path.with_name("wasup.sock.lock").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
async def test_what_is_not_a_socket_is_refused_and_left_alone(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/nowhere")
    before = path.lstat()
    with pytest.raises(NotASocket, match="is not a socket"):
        bind(path)
    assert path.lstat() == before
    assert not path.with_name("wasup.sock.lock").exists()


async def test_where_the_system_refuses_the_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "wasup.sock", tmp_path / ("x" * 200)):
        with pytest.raises(ListenError, match=f"cannot listen on {path}"):
            bind(path)


async def test_a_lock_that_points_elsewhere_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.with_name("wasup.sock.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ListenError, match="cannot listen on"):
        bind(path)
    assert not (tmp_path / "victim").exists()


async def test_closing_removes_no_socket_but_its_own(path: Path) -> None:
    listener = bind(path)
    path.unlink()
    _left_behind(path)
    listener.close()
    assert path.is_socket()


async def test_closing_wakes_who_accepts(path: Path) -> None:
    listener = bind(path)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _accept() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await listener.accept()

            await trio.testing.wait_all_tasks_blocked()
            listener.close()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ECONNABORTED])
async def test_accept_outlives_a_shortage(
    path: Path, number: int, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = bind(path)
    stdlib = socket.socket(socket.AF_UNIX)
    stdlib.connect(str(path))
    real = listener._socket.accept
    failures = [OSError(number, "short")] * 3

    async def accept() -> Any:
        if failures:
            raise failures.pop()
        return await real()

    monkeypatch.setattr(listener, "_socket", _Accepting(accept, listener._socket.close))
    stream = await listener.accept()
    assert not failures
    assert trio.current_time() == pytest.approx(0 if number == errno.ECONNABORTED else 0.3)
    await stream.aclose()
    stdlib.close()
    listener.close()


class _Accepting:
    def __init__(self, accept: Any, close: Any) -> None:
        self.accept = accept
        self.close = close

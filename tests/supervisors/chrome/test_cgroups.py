"""Control groups of browsers: by files that look like the kernel's, and by the kernel's own where we may."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from supervisors.chrome import processes
from supervisors.chrome.cgroups import DELEGATED, Cgroup, Delegation, entering, path_of, take_delegation
from supervisors.chrome.process import spawn

FORKS = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        sys.stdout.write('ready\\n'); sys.stdout.flush(); time.sleep(600)\n"
    "    os._exit(0)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def own() -> Iterator[Path]:
    """A control group such as systemd gives away."""
    top = path_of(Path("/proc/self/cgroup"))
    if top is None or not os.access(top, os.W_OK):
        pytest.skip("no control group of version 2 can be made here")
    path = top / f"wasup-test-{os.getpid()}"
    path.mkdir()
    os.setxattr(path, DELEGATED, b"1")
    yield path
    for group in [*path.iterdir(), path]:
        if group.is_dir():
            group.rmdir()


async def test_a_browser_is_in_its_group_from_the_start_and_ends_with_all_who_left_its_tree(
    own: Path,
) -> None:
    group = Delegation(own).make("shop", 0)
    assert group is not None
    process, transport = spawn(
        [sys.executable, "-c", FORKS], dict(os.environ), session_id="shop", cgroup=group
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.watch)
        nursery.start_soon(process.listen)
        with trio.fail_after(20):
            while "ready" not in process.last_words():
                await trio.lowlevel.checkpoint()
        inside = group.pids()
        assert process.pid in inside
        assert len(inside) == 2, "the one who forked twice is there, too"
        (left,) = [pid for pid in inside if pid != process.pid]
        assert os.getsid(left) != process.pid
        assert (group.cpu_seconds() or 0) > 0
        await process.end()
        found = processes.read(left)
        assert found is None or found.state in processes.GONE  # a zombie is for init to reap
        assert not group.path.exists()
        nursery.cancel_scope.cancel()
    await transport.aclose()


async def test_killing_one_group_leaves_its_neighbour_alone(own: Path) -> None:
    groups = [Delegation(own).make(name, 0) for name in ("one", "two")]
    one, two = [group for group in groups if group is not None]
    children = [
        subprocess.Popen(entering(group, ["/bin/sleep", "600"]))  # noqa: ASYNC220  # a moment
        for group in (one, two)
    ]
    try:
        with trio.fail_after(20):
            while [len(one.pids()), len(two.pids())] != [1, 1]:
                await trio.lowlevel.checkpoint()
            await one.kill()
        assert children[0].wait() == -9
        assert two.pids() == [children[1].pid]
    finally:
        children[1].kill()
        children[1].wait()
    for group in (one, two):
        group.remove()


def test_the_daemon_moves_below_what_was_given_away(own: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from supervisors.chrome.cgroups import take_delegation\n"
        "own = pathlib.Path(sys.argv[1]); (own / 'cgroup.procs').write_text('0')\n"
        "assert take_delegation().path == own\n"
        "print(pathlib.Path('/proc/self/cgroup').read_text())"
    )
    said = subprocess.run([sys.executable, "-c", code, str(own)], capture_output=True, text=True, check=True)
    assert f"{own.name}/daemon\n" in said.stdout


def test_what_was_not_given_away_is_left_alone(own: Path, tmp_path: Path) -> None:
    os.removexattr(own, DELEGATED)
    assert take_delegation(own) is None
    assert take_delegation(tmp_path) is None
    assert take_delegation(tmp_path / "missing") is None
    assert not (own / "daemon").exists()


def test_the_limit_of_memory_is_the_kernels_where_it_accounts_for_memory(tmp_path: Path) -> None:
    """With files that look like the kernel's: here the controller may belong to version 1."""
    (tmp_path / "session-shop").mkdir()
    limit = tmp_path / "session-shop" / "memory.max"
    limit.write_text("max")
    group = Delegation(tmp_path).make("shop", 2**30)
    assert group == Cgroup(tmp_path / "session-shop")
    assert limit.read_text() == str(2**30)
    Delegation(tmp_path).make("shop", 0)
    assert limit.read_text() == "max"
    assert group.memory_bytes() is None
    (tmp_path / "session-shop" / "memory.current").write_text("4096\n")
    assert group.memory_bytes() == 4096
    assert Delegation(tmp_path).make("desk", 2**30) is not None  # not held, and said so
    assert Delegation(tmp_path / "missing").make("shop", 0) is None


def test_the_limit_of_memory_holds_for_one_session_alone(own: Path) -> None:
    if "memory" not in (own / "cgroup.controllers").read_text():
        pytest.skip("this kernel has no memory controller of version 2: version 1 has it")
    delegation = take_delegation(own)
    assert delegation is not None
    one, two = delegation.make("one", 2**26), delegation.make("two", 0)
    assert one is not None
    assert two is not None
    greedy = [sys.executable, "-c", "x = b'x' * 2**28"]
    assert subprocess.run(entering(one, greedy), check=False).returncode == -9
    assert subprocess.run(entering(two, greedy), check=False).returncode == 0


async def test_a_group_whose_processes_do_not_go_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where there are no descriptors left to wait for them with."""

    def none_left(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    (tmp_path / "cgroup.procs").write_text("1\n")
    with trio.move_on_after(0.01) as deadline:
        await Cgroup(tmp_path).kill()
    assert deadline.cancelled_caught
    assert (tmp_path / "cgroup.kill").read_text() == "1"

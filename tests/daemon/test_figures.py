"""What a browser takes of the machine: by its tree, or by its control group where it has one."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from daemon import figures
from protocol.models import ProcessFigures
from supervisors.chrome import cgroups


async def test_a_control_group_counts_what_its_tree_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With files that look like the kernel's; the group's second process is nobody's child here."""
    group = cgroups.Cgroup(tmp_path)
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n{os.getppid()}\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (tmp_path / "memory.current").write_text("123456\n")
    monkeypatch.setattr(cgroups, "of_process", lambda _pid: group)
    found = (await figures.Browsers().of([os.getpid()]))[os.getpid()]
    assert (found.processes, found.cpu_seconds, found.memory_bytes) == (2, 1.5, 123456)


async def test_without_one_the_tree_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "of_process", lambda _pid: None)
    found = await figures.Browsers().of([os.getpid(), 2**22 + 1])
    assert found.keys() == {os.getpid()}
    assert found[os.getpid()].memory_bytes is None
    assert found[os.getpid()].cpu_seconds is not None


async def test_who_asks_again_and_again_has_no_browser_measured_more_often_than_every_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    looks: list[list[int]] = []

    def measure(pids: Sequence[int]) -> dict[int, ProcessFigures]:
        looks.append(list(pids))
        at = "2026-01-01T00:00:00.000Z"
        return {pid: ProcessFigures(pid=pid, started_at=at, processes=len(looks)) for pid in pids if pid < 9}

    browsers = figures.Browsers(measure)
    for _ in range(2):
        assert (await browsers.of([1, 2])).keys() == {1, 2}
    assert {pid: each.processes for pid, each in (await browsers.of([2, 3, 9])).items()} == {2: 1, 3: 2}
    assert await browsers.of([]) == {}
    await trio.sleep(10)
    assert (await browsers.of([1]))[1].processes == 3
    assert looks == [[1, 2], [3, 9], [1]]


async def test_many_who_ask_at_the_same_time_share_one_measurement() -> None:
    looks: list[list[int]] = []
    looking, go_on = threading.Event(), threading.Event()

    def measure(pids: Sequence[int]) -> dict[int, ProcessFigures]:
        looks.append(list(pids))
        looking.set()
        go_on.wait(5)
        at = "2026-01-01T00:00:00.000Z"
        return {pid: ProcessFigures(pid=pid, started_at=at, processes=len(looks)) for pid in pids}

    browsers = figures.Browsers(measure)
    found: list[dict[int, ProcessFigures]] = []

    async def ask(*pids: int) -> None:
        found.append(await browsers.of(pids))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for pids in ((1, 2), (1, 2), (2,), (2, 3)):
                nursery.start_soon(ask, *pids)
            await trio.to_thread.run_sync(looking.wait)
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
    assert sorted(pid for look in looks for pid in look) == [1, 2, 3]
    assert sorted(map(sorted, found)) == [[1, 2], [1, 2], [2], [2, 3]]


async def test_who_leaves_while_browsers_are_measured_holds_up_nobody() -> None:
    looks: list[list[int]] = []
    looking, go_on = threading.Event(), threading.Event()

    def measure(pids: Sequence[int]) -> dict[int, ProcessFigures]:
        looks.append(list(pids))
        if not looking.is_set():
            looking.set()
            go_on.wait(5)
        at = "2026-01-01T00:00:00.000Z"
        return {pid: ProcessFigures(pid=pid, started_at=at, processes=1) for pid in pids}

    browsers = figures.Browsers(measure)
    with trio.fail_after(4):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(browsers.of, [1])
            await trio.to_thread.run_sync(looking.wait)
            nursery.cancel_scope.cancel()
        assert (await browsers.of([1])).keys() == {1}
    go_on.set()
    assert looks == [[1], [1]]

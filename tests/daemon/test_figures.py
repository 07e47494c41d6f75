"""What a browser takes of the machine: by its tree, or by its control group where it has one."""

import os
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

"""What a browser takes of the machine: by its tree, or by its control group where it has one."""

import os
from pathlib import Path

import pytest

from daemon import figures
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
    found = (await figures.of_browsers([os.getpid()]))[os.getpid()]
    assert (found.processes, found.cpu_seconds, found.memory_bytes) == (2, 1.5, 123456)


async def test_without_one_the_tree_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "of_process", lambda _pid: None)
    found = await figures.of_browsers([os.getpid(), 2**22 + 1])
    assert found.keys() == {os.getpid()}
    assert found[os.getpid()].memory_bytes is None
    assert found[os.getpid()].cpu_seconds is not None

"""A small file system, to be filled."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(directory: Path, size: str) -> Iterator[Path]:
    """Mount a file system of that size, such as "1m", on a new directory; skips the test where it may not."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    directory.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(directory)]
    if subprocess.run(line, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    device = directory.stat().st_dev
    try:
        yield directory
    finally:
        subprocess.run(["umount", _place(device)], check=True)  # noqa: S607


def _place(device: int) -> str:
    """Return where a file system is mounted: the directory above may have got another name meanwhile."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    number = f"{os.major(device)}:{os.minor(device)}"
    return next(words[4] for words in lines if words[2] == number)

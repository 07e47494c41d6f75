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
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)  # noqa: S607

"""wasupctl as a program, and a daemon for it to talk to."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .fake import FakeDaemon

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path / "wasup.sock")
    daemon.start()
    yield daemon
    if daemon.running:
        daemon.stop()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "PYTHONPATH")}
    return {
        **kept,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONWARNINGS": "error",
        "WASUP_SOCKET": str(tmp_path / "wasup.sock"),
    }


@pytest.fixture
def run(env: dict[str, str]) -> Run:
    """Run wasupctl to its end; nothing is a terminal."""

    def run(*argv: str, stdin: str = "", **more: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "daemon.cli", *argv],
            input=stdin,
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run

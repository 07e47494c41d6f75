"""Fixtures: wasup installed as an administrator would, under a systemd of the test's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import sim as sim  # fixtures that are wanted here, too
from tests.system.conftest import simulator_config as simulator_config
from tests.systemd.machine import Machine, Unable, booted

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install DESTDIR=…` puts down."""
    dist, root = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("root")
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), ".")
    install(root, "/usr", dist)
    return root


def install(root: Path, prefix: str, dist: Path) -> None:
    """Install under `root`, which may become a machine's, from the wheel in `dist`."""
    root.chmod(0o755)
    _run("bash", "tools/install.sh", "install", sys.prefix, prefix, str(root), dist=dist)


def _run(*command: str, dist: Path | None = None) -> None:
    environment = {**os.environ, "DIST": str(dist), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def machine(installed: Path) -> Iterator[Machine]:
    """A booted machine on which wasup is installed, and not started."""
    try:
        with booted(installed) as machine:
            yield machine
    except Unable as reason:
        pytest.skip(str(reason))

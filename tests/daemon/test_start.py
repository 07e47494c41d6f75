"""What a start loads: nothing that it does not need."""

import subprocess
import sys

import pytest

import daemon

SPARED = (
    *("asyncio", "difflib", "email.message", "importlib.metadata", "importlib.resources", "tarfile"),
    *("cryptography", "httpx", "prometheus_client", "psutil", "rich", "segno", "selenium", "textual"),
    "trio_websocket",
)


def run(script: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_start_loads_nothing_that_it_does_not_need() -> None:
    script = f"import sys, daemon.__main__; print(*(name for name in {SPARED!r} if name in sys.modules))"
    assert run(script).split() == []


@pytest.mark.parametrize("first", ["", "import asyncio, rich; "])
def test_what_structlog_is_spared_can_be_loaded_later(first: str) -> None:
    script = (
        f"{first}import daemon.lean, structlog; late = structlog.stdlib.asyncio.get_running_loop;"
        "import asyncio, rich; print(late is asyncio.get_running_loop, asyncio.run(asyncio.sleep(0, 1)))"
    )
    assert run(script).split() == ["True", "1"]


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("wasup") == daemon.__version__

"""The processes: the real daemon on its real socket, floors, and the clients that ask them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from protocol.client.blocking import connect

WASUPD: Final = Path(sys.executable).with_name("wasupd")
_PATIENCE_S: Final = 120


@contextmanager
def daemon(directory: Path, settings: str = "") -> Iterator[str]:
    """Run a wasupd, whose state lies in `directory`, for a block; gives its socket once it is ready.

    Args:
        directory: made if missing; a daemon that ran there before left what it kept.
        settings: further TOML for its configuration.
    """
    directory.mkdir(parents=True, exist_ok=True)
    socket = directory / "wasup.sock"
    config = directory / "config.toml"
    config.write_text(
        f'daemon.state_dir = "{directory}/state"\nrpc.socket = "{socket}"\nlog.format = "json"\n{settings}\n'
    )
    with _until_it_says(b'"daemon_ready"', [str(WASUPD), "--config", str(config)]):
        yield str(socket)


@contextmanager
def floor(module: str, *arguments: str) -> Iterator[None]:
    """Run one of the floors for a block, once it has said that it is ready."""
    with _until_it_says(b"ready", [sys.executable, "-m", f"benchmarks.floors.{module}", *arguments]):
        yield


def measured(module: str, *arguments: str, given: bytes = b"") -> dict[str, float]:
    """Run a process of benchmarks to its end, given its standard input; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        input=given,
        stdout=subprocess.PIPE,
        check=True,
        timeout=_PATIENCE_S,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def ask(socket: str, method: str, params: Mapping[str, Any]) -> Any:
    """Ask the daemon one thing."""
    with connect(socket) as client:
        return client.call(method, params)


@contextmanager
def _until_it_says(word: bytes, command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stderr is not None  # noqa: S101  for mypy
        try:
            heard = b""
            while word not in heard:
                line = process.stderr.readline()
                if not line:
                    raise RuntimeError(f"{command[0]} ended: {heard.decode()}")
                heard += line
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            process.wait(_PATIENCE_S)

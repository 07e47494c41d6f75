"""The processes: the real daemon on its real socket, floors, and the clients that ask them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from protocol.client.blocking import connect

WASUPD: Final = Path(sys.executable).with_name("wasupd")
_PATIENCE_S: Final = 120


@contextmanager
def daemon(
    directory: Path,
    settings: str = "",
    log: list[bytes] | None = None,
    pids: list[int] | None = None,
    program: Path = WASUPD,
) -> Iterator[str]:
    """Run a wasupd, whose state lies in `directory`, for a block; gives its socket once it is ready.

    Args:
        directory: made if missing; a daemon that ran there before left what it kept.
        settings: further TOML for its configuration.
        log: what it logs from then on is appended to it.
        pids: its pid is appended to it.
        program: another one that does as wasupd does.

    Its bytecode is kept, as an installed one's is, whatever $PYTHONDONTWRITEBYTECODE says of this process.
    """
    directory.mkdir(parents=True, exist_ok=True)
    socket = directory / "wasup.sock"
    config = directory / "config.toml"
    config.write_text(
        f'daemon.state_dir = "{directory}/state"\nrpc.socket = "{socket}"\nlog.format = "json"\n{settings}\n'
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(program), "--config", str(config)]
    with running(command, b'"daemon_ready"', log=log, env=env) as pid:
        if pids is not None:
            pids.append(pid)
        yield str(socket)


@contextmanager
def floor(module: str, *arguments: str) -> Iterator[None]:
    """Run one of the floors for a block, once it has said that it is ready."""
    with running([sys.executable, "-m", f"benchmarks.floors.{module}", *arguments]):
        yield


def measured(module: str, *arguments: str, given: bytes = b"") -> dict[str, float]:
    """Run a process of benchmarks to its end, given its standard input; return the JSON that it prints."""
    return printed([sys.executable, "-m", f"benchmarks.{module}", *arguments], given)


def printed(command: list[str], given: bytes = b"") -> dict[str, float]:
    """Run any process to its end, given its standard input; return the JSON that it prints."""
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=_PATIENCE_S)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def ask(socket: str, method: str, params: Mapping[str, Any]) -> Any:
    """Ask the daemon one thing."""
    with connect(socket) as client:
        return client.call(method, params)


@contextmanager
def running(
    command: list[str],
    word: bytes = b"ready",
    given: bytes = b"",
    log: list[bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a process for a block, once it has said `word` on its standard error; gives its pid.

    What it says after that is appended to `log`.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdin is not None and process.stderr is not None  # noqa: S101, PT018  for mypy
        process.stdin.write(given)
        process.stdin.close()
        reading = None
        try:
            heard = b""
            while word not in heard:
                line = process.stderr.readline()
                if not line:
                    raise RuntimeError(f"{command[0]} ended: {heard.decode()}")
                heard += line
            # Lest the pipe fill.
            reading = threading.Thread(target=([] if log is None else log).extend, args=(process.stderr,))
            reading.start()
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE_S)
            if reading is not None:
                reading.join()

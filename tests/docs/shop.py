"""What a reader of the documents has before him: a checkout, a daemon, a phone that scans what is shown.

The daemon is real, its Chrome too; WhatsApp is the simulator. They are shared by all tests of the documents
and examples, in processes of their own, so that these can be plain and blocking.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

from protocol.client.blocking import Client, connect
from protocol.client.errors import ConnectionLost
from tests.simulator.client import Client as Simulator
from tests.simulator.errors import SimulatorError
from tests.system.conftest import ADA, SHOP

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PATIENCE_S = 60

# OpenBSD's netcat as far as the documents use it, where the machine has none: -U PATH, and -N.
NETCAT = f"""#!{sys.executable}
import shutil, socket, sys, threading
options, path = "".join(a for a in sys.argv[1:-1]), sys.argv[-1]
assert set(options) <= set("-NU"), options
line = socket.socket(socket.AF_UNIX)
line.connect(path)
def send():
    line.sendall(sys.stdin.buffer.read())
    if "N" in options:
        line.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := line.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_us() -> None:
    """Tell the kernel to end this process with the one that runs the tests, however that ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Shop:
    """A running daemon with a session named shop, and what a program needs to reach it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.checkout = directory / "wasup"
        self.socket = directory / "wasup.sock"
        self.control = directory / f"wasup-simulator-{os.getuid()}.sock"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("WASUP_")},
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory),
            "WASUP_SOCKET": str(self.socket),
            "PATH": f"{directory / 'bin'}:{PROGRAMS}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "error",
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }

    def client(self) -> Client:
        return connect(str(self.socket))

    def phone(self) -> Simulator:
        return Simulator(self.control)

    def open(self) -> None:
        """Have the session, connected; it is there already after the first time."""
        with self.client() as client:
            if not any(each["id"] == "shop" for each in client.call("session.list")["sessions"]):
                client.call("session.create", id="shop", name="The shop")
            if client.call("session.status", sessionId="shop")["status"] == "inactive":
                client.call("session.start", sessionId="shop")
            client.call("session.wait", sessionId="shop", status="connected", timeout=PATIENCE_S)

    def run(self, *command: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end in the checkout, and return what it said."""
        return subprocess.run(
            command, cwd=self.checkout, env=self.environment, text=True, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, **more,
        )  # fmt: skip

    @contextmanager
    def running(self, *command: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
        """Run a program for the length of the block; it may not fail before the end of it."""
        process = subprocess.Popen(
            command, cwd=self.checkout, env={**self.environment, **environment}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_end_with_us,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            yield process
            assert process.poll() in (None, 0), f"{command} has ended: {process.stdout.read()}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


def line(process: "subprocess.Popen[str]", wanted: Callable[[str], bool] = bool) -> str:
    """Return the next line of a program that is as wanted; fails when the program ends or is too slow."""
    assert process.stdout is not None
    late = threading.Timer(PATIENCE_S, process.kill)
    late.start()
    try:
        said = []
        for text in process.stdout:
            said.append(text)
            if wanted(text.strip()):
                return text.strip()
        raise AssertionError("".join(said) or "it ended without a word")
    finally:
        late.cancel()


@contextmanager
def shop(directory: Path) -> Iterator[Shop]:
    """Everything up, for as long as the block lasts; whatever was started is ended."""
    place = Shop(directory)
    (directory / "bin").mkdir()
    if which("nc") is None:
        (directory / "bin/nc").write_text(NETCAT)
        (directory / "bin/nc").chmod(0o755)
    _checkout(place.checkout)
    with place.running(sys.executable, "-P", "-m", "tests.simulator", "serve") as simulator:
        extra = line(simulator, lambda text: text.startswith("extra_args"))
        place.run("wasupd", "--new-key", str(directory / "key"))
        config = directory / "wasup.toml"
        config.write_text(
            f'[daemon]\nstate_dir = "{directory}/state"\n[rpc]\nsocket = "{place.socket}"\n'
            f'[browser]\n{extra}\n[encryption]\nkey_file = "{directory}/key"\n[log]\nformat = "json"\n'
        )
        with place.running("wasupd", "--config", str(config)) as daemon:
            line(daemon, lambda text: '"daemon_ready"' in text)
            drain = threading.Thread(target=_drain, args=(daemon,))
            drain.start()
            phone = threading.Thread(target=_scan, args=(place,))
            phone.start()
            try:
                yield place
            finally:
                daemon.terminate()
                drain.join()
                phone.join()


def _checkout(directory: Path) -> None:
    """A directory that looks like a fresh clone after `make setup`; what is written there stays there."""
    directory.mkdir()
    for path in REPOSITORY.iterdir():
        if path.name not in (".git", "man", "dist"):
            (directory / path.name).symlink_to(path)


def _drain(process: "subprocess.Popen[str]") -> None:
    """Read the log, or the daemon would wait for whoever does."""
    for _ in process.stdout or ():
        pass


def _scan(place: Shop) -> None:
    """Scan every code as its owner would, until the daemon has gone."""
    with place.client() as client, suppress(ConnectionLost):
        for event in client.events(types=["session.qr"], after=0):
            with suppress(SimulatorError), place.phone() as phone:  # it has expired
                phone.scan(SHOP, event["data"]["qrText"])


def hears(place: Shop, text: str) -> dict[str, Any]:
    """Have Ada write to the shop; what the simulator noted."""
    with place.phone() as phone:
        return phone.receive(SHOP, ADA, text)


def said(place: Shop) -> list[str]:
    """The texts that Ada has got from the shop, in order."""
    with place.phone() as phone:
        return [each["text"] for each in phone.messages(SHOP) if each["fromMe"]]

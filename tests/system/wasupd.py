"""A real wasupd as a child of the test, with its own state, socket and configuration."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import trio

from protocol.client.aio import Client, Subscription, connect
from supervisors import faults

PROGRAM = Path(sys.executable).with_name("wasupd")
START_S = 30
STOP_S = 30
UNTIL_S = 90


class CrashedError(Exception):
    """The daemon has ended itself at a fault point."""


class Wasupd:
    """The daemon's process. `directory` holds all that it writes; it can be started again and again."""

    def __init__(
        self,
        directory: Path,
        chrome_args: list[str],
        settings: Mapping[str, object],
        program: Path = PROGRAM,
    ) -> None:
        self.program = program
        self.directory = directory
        self.socket = directory / "wasup.sock"
        self.log = directory / "wasupd.log"
        self.config = directory / "config.toml"
        self.process: trio.Process | None = None
        tables: dict[str, dict[str, object]] = {
            "daemon": {"state_dir": str(directory / "state")},
            "rpc": {"socket": str(self.socket)},
            "browser": {"extra_args": chrome_args},
            "restart": {"cooldown": 0.2, "settle": 0.1},
            "log": {"level": "debug", "format": "json"},
        }
        for key, value in settings.items():
            table, _, name = key.partition(".")
            tables.setdefault(table, {})[name] = value
        self.config.write_bytes(_toml(tables))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self, crash_at: str | None = None) -> None:
        """Start it, and return when it answers clients.

        With `crash_at` (see `supervisors.faults`) it ends itself sooner or later: `CrashedError` if it was
        before it could answer.
        """
        with trio.fail_after(START_S), self.log.open("ab") as log:
            environment = {**os.environ, "PYTHONWARNINGS": "error"}
            if crash_at is not None:
                environment[faults.VARIABLE] = crash_at
            self.process = await trio.lowlevel.open_process(
                [str(self.program), "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
            )
            assert self.process.stderr is not None
            heard = b""
            while b'"daemon_ready"' not in heard:
                data = await self.process.stderr.receive_some()
                if not data and crash_at is not None and await self.process.wait() == -signal.SIGKILL:
                    self.process = None
                    raise CrashedError(crash_at)
                assert data, heard.decode()
                heard += data
                log.write(data)

    async def drain(self) -> None:
        """Keep the log; runs beside the test."""
        assert self.process is not None
        assert self.process.stderr is not None
        with self.log.open("ab") as log:
            async for data in self.process.stderr:
                log.write(data)
                log.flush()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        with trio.fail_after(STOP_S):
            self.process.send_signal(number)
            status = await self.process.wait()
        self.process = None
        return status

    @asynccontextmanager
    async def client(self) -> AsyncIterator["Caller"]:
        """A connection of its own."""
        async with connect(str(self.socket)) as client:
            yield Caller(client)

    def browsers(self) -> list[psutil.Process]:
        """Every process of a Chrome of this daemon's that is still there, with its `info`."""
        mark = str(self.directory / "state")
        return [
            process
            for process in psutil.process_iter(["cmdline", "ppid", "cpu_times"])
            if any(mark in argument for argument in process.info["cmdline"] or ())
        ]

    def logged(self) -> list[dict[str, Any]]:
        """What it has logged so far, line by line."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


class Caller:
    """A client with the few words that tests say all the time."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, method: str, **params: object) -> Any:
        return await self.client.call(method, params, within_s=60)

    async def create(self, session_id: str, **more: object) -> Any:
        return await self("session.create", name=f"The {session_id}", id=session_id, **more)

    async def start(self, session_id: str) -> str:
        """Start a session, and return its status when there is a QR or a connection."""
        status: str = (await self("session.start", sessionId=session_id, wait=True, timeout=45))["status"]
        return status

    async def wait(self, session_id: str, *statuses: str) -> None:
        await self("session.wait", sessionId=session_id, status=list(statuses), timeout=45)

    async def link(self, session_id: str, phone: Any) -> None:
        """Start a session and have a phone scan its picture."""
        assert await self.start(session_id) == "qr_generated"
        code = await self("session.qr", sessionId=session_id)
        await phone.scan_image(code["qrCode"])
        await self.wait(session_id, "connected")

    async def send(self, session_id: str, to: str, text: str, **more: object) -> Any:
        return await self("message.send", sessionId=session_id, to=to, text=text, **more)

    async def pid(self, session_id: str) -> int:
        """The process id of the session's browser."""
        pid: int = (await self("session.get", sessionId=session_id))["process"]["pid"]
        return pid


async def until(events: Subscription, *types: str, **fields: object) -> list[dict[str, Any]]:
    """Take events until each of these types has come, the last with these fields of its data; all of them."""
    seen: list[dict[str, Any]] = []
    missing = list(types)
    with trio.fail_after(UNTIL_S):
        async for event in events:
            seen.append(event)
            if missing and event["type"] == missing[0]:
                last = len(missing) == 1
                if not last or all(event["data"].get(name) == value for name, value in fields.items()):
                    missing.pop(0)
            if not missing:
                return seen
    raise AssertionError("the events ended")


def _toml(tables: Mapping[str, Mapping[str, object]]) -> bytes:
    """JSON's strings, numbers, booleans and lists are TOML's too."""
    lines = []
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines).encode()

"""Another library than the product's: whatsapp-web.js, driven by Puppeteer, runs on the page too."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio

from tests.simulator import Simulator
from tests.simulator_tests.browser import CHROMES, FLAGS
from tests.simulator_tests.conftest import ADA, ALICE

FOLDER = Path(__file__).parents[1] / "simulator/whatsapp-web.js"
CHAT = "4915110000001@c.us"

pytestmark = [
    pytest.mark.chrome,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules/whatsapp-web.js").is_dir(),
        reason=f"missing: PUPPETEER_SKIP_DOWNLOAD=1 npm ci --ignore-scripts --prefix {FOLDER}",
    ),
]


class Driver:
    """The library in its process: what it tells, and messages for it to send."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._lines = b""
        self.told: list[dict[str, Any]] = []

    async def event(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The next event of this name whose data has these values."""
        assert self._process.stdout is not None
        while True:
            while b"\n" in self._lines:
                line, _, self._lines = self._lines.partition(b"\n")
                told = json.loads(line)
                self.told.append(told)
                assert told["event"] != "error", told["error"]
                if told["event"] == name and all(told.get(key) == value for key, value in wanted.items()):
                    return dict(told)
            data = await self._process.stdout.receive_some()
            assert data, f"the library has ended; it told {self.told}"
            self._lines += bytes(data)

    async def send(self, to: str, text: str) -> dict[str, Any]:
        """Have it send a message."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps({"to": to, "text": text}).encode() + b"\n")
        return await self.event("sent")


@asynccontextmanager
async def driver(sim: Simulator, profile: Path) -> AsyncIterator[Driver]:
    with TemporaryDirectory(prefix="w-", ignore_cleanup_errors=True) as temporary:
        flags = [flag for flag in FLAGS if flag != "--remote-debugging-pipe"]
        options = {
            "executablePath": CHROMES["shell"][0],
            "args": [*flags, *sim.chrome_args],
            "userDataDir": str(profile),
        }
        run = partial(
            trio.run_process,
            ["node", str(FOLDER / "drive.js"), json.dumps(options)],
            stdin=PIPE,
            stdout=PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": temporary, "TMPDIR": temporary},
        )
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(run)
            yield Driver(process)
            # The end of its input: it closes the browser, and ends.
            assert process.stdin is not None
            await process.stdin.aclose()


async def test_scan_then_out_and_in(sim: Simulator, profile: Path) -> None:
    phone = sim.phone(ALICE, "Alice")
    with trio.fail_after(60):
        async with driver(sim, profile) as library:
            code = (await library.event("qr"))["text"]
            await library.event("listening")
            await phone.scan(code)
            await library.event("authenticated")
            assert f"+{(await library.event('ready'))['number']}" == phone.number
            sent = await library.send(CHAT, "hello from another library")
            await phone.wait_for(lambda p: p.deliveries)
            assert [(d.recipient, d.text) for d in phone.deliveries] == [(ADA, "hello from another library")]
            assert (await library.event("ack", ack=2))["id"] == sent["id"]
            entry = phone.receive(ADA, "hello back")
            message = await library.event("message")
            assert (message["body"], message["from"]) == ("hello back", CHAT)
            assert message["id"] == f"false_{CHAT}_{entry.id}"
            phone.react(ADA, phone.submissions[0].id, "👍")
            reaction = await library.event("reaction")
            assert (reaction["reaction"], reaction["senderId"]) == ("👍", CHAT)
        await phone.wait_for(lambda p: not p.connected)

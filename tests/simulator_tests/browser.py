"""A small DevTools driver for these tests alone: a real Chrome over a pipe, the real wa-js in its page."""

import json
import os
import signal
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from tests.simulator import Simulator

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "supervisors/whatsapp/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js"
CHROMES = {
    "shell": ("/usr/lib/chromium/chromium-headless-shell",),
    "new": ("/usr/lib/chromium/chromium", "--headless=new"),
}
FLAGS = (
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-breakpad",
    "--password-store=basic",
    "--disable-features=SpareRendererForSitePerProcess,WebUIOmniboxPopup,WebUIOmniboxAimPopup,Translate,"
    "MediaRouter,OptimizationHints",
)
CONFIG = {
    "disableGoogleAnalytics": True,
    "linkPreviewApiServers": [],
    "poweredBy": None,
    "deviceName": "wasup",
}
LISTEN = Path(__file__).with_name("listen.js")


class PageError(Exception):
    """JavaScript threw."""


class Page:
    """The one page of a browser that is linked to the simulator."""

    def __init__(self, pid: int, write: trio.lowlevel.FdStream, read: trio.lowlevel.FdStream) -> None:
        self.pid = pid
        self.events: deque[tuple[str, Any]] = deque()
        self.history: list[tuple[str, Any, int]] = []
        self.console: list[str] = []
        self._write, self._read = write, read
        self._numbers = count(1)
        self._calls: dict[int, trio.MemorySendChannel[dict[str, Any]]] = {}
        self._news = trio.Event()
        self._session: str | None = None
        self._lock = trio.Lock()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a DevTools method."""
        number = next(self._numbers)
        send, receive = trio.open_memory_channel[dict[str, Any]](1)
        self._calls[number] = send
        message = {"id": number, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        async with self._lock:
            await self._write.send_all(json.dumps(message).encode() + b"\0")
        try:
            answer = await receive.receive()
        except trio.EndOfChannel:
            raise PageError(f"{method}: the browser has gone") from None
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def listen(self) -> None:
        """Read what the browser says until it is gone."""
        buffer = b""
        try:
            while data := await self._read.receive_some(65536):
                *messages, buffer = (buffer + data).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        for waiting in self._calls.values():
            waiting.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._calls.pop(message["id"]).send_nowait(message)
        elif message["method"] == "Runtime.bindingCalled":
            name, data, at = json.loads(message["params"]["payload"])
            self.events.append((name, data))
            self.history.append((name, data, at))
            self._news.set()
        elif message["method"] == "Runtime.exceptionThrown":
            self.console.append(json.dumps(message["params"]["exceptionDetails"])[:600])
        elif message["method"] == "Runtime.consoleAPICalled":
            kind, args = message["params"]["type"], message["params"]["args"]
            text = " ".join(str(arg.get("value", arg.get("description"))) for arg in args)
            self.console.append(f"{kind}: {text}")

    async def open(self, url: str, config: dict[str, Any] | None = None, script: str | None = None) -> None:
        """Inject the library at document start and go to the page."""
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        await self.call("Page.enable")
        await self.call("Runtime.enable")
        await self.call("Runtime.addBinding", name="tell")
        if script is None:
            settings = json.dumps(CONFIG if config is None else config)
            script = (
                f"if (window === top) {{ window.WPPConfig = {settings}; {_read(BUNDLE)}\n{_read(LISTEN)} }}"
            )
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """A JavaScript expression's value, awaited."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]["exception"]
            raise PageError(thrown.get("description", thrown.get("value")))
        return answer["result"].get("value")

    async def wpp(self, function: str, *args: Any) -> Any:
        """Call a function of the library; what it returns must be plain."""
        return await self.evaluate(f"WPP.{function}(...{json.dumps(args)})")

    async def event(self, name: str, **wanted: Any) -> Any:
        """The next event of this name whose data has these values; earlier events are passed over."""
        while True:
            while self.events:
                got, data = self.events.popleft()
                if got == name and all(
                    isinstance(data, dict) and data.get(k) == v for k, v in wanted.items()
                ):
                    return data
            self._news = trio.Event()
            await self._news.wait()

    async def event_equal(self, name: str, value: Any) -> None:
        """Wait for an event whose whole data is this value."""
        while await self.event(name) != value:
            pass

    async def code(self) -> str:
        """The next code that is shown."""
        while True:
            data = await self.event("conn.auth_code_change")
            if data:
                return str(data["fullCode"])

    async def main(self) -> None:
        """Wait until the page has come to be linked, loaded and connected."""
        await self.event("main")


def _read(path: Path) -> str:
    return path.read_text()


def _spawn(arguments: list[str], temporary: str) -> tuple[int, int, int]:
    """Start Chrome with its pipes on 3 and 4; its pid, and our ends for writing and reading."""
    (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
    high = [os.dup2(its_in, 40, inheritable=False), os.dup2(its_out, 41, inheritable=False)]
    actions = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    pipes = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
    pid = os.posix_spawn(
        arguments[0],
        arguments,
        {**os.environ, "TMPDIR": temporary},
        file_actions=[*actions, *pipes],
        setsid=True,
        setsigdef=[signal.SIGPIPE],
    )
    for fd in (its_in, its_out, *high):
        os.close(fd)
    return pid, our_out, our_in


@asynccontextmanager
async def browser(sim: Simulator, profile: Path, kind: str = "shell", **options: Any) -> AsyncIterator[Page]:
    """A Chrome on a profile with WhatsApp open; it is killed on leaving, as a crash would."""
    # Chrome keeps a socket in TMPDIR, and a socket's path has to be short.
    with TemporaryDirectory(prefix="w-", ignore_cleanup_errors=True) as temporary:
        arguments = [*CHROMES[kind], *FLAGS, *sim.chrome_args, f"--user-data-dir={profile}", "about:blank"]
        pid, out, in_ = _spawn(arguments, temporary)
        try:
            async with trio.lowlevel.FdStream(out) as write, trio.lowlevel.FdStream(in_) as read:
                page = Page(pid, write, read)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(page.listen)
                    await page.open(sim.url, **options)
                    yield page
                    nursery.cancel_scope.cancel()
        finally:
            os.killpg(pid, signal.SIGKILL)
            with trio.CancelScope(shield=True), trio.fail_after(10):
                await trio.to_thread.run_sync(os.waitpid, pid, 0)

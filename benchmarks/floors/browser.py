"""A minimal client of Chrome over its pipes: launch, load, inject, wait.

`python -m benchmarks.floors.browser WHAT`, given `Work` as JSON on its standard input. WHAT is

- `start`: from the launch to the news waited for, `seconds`;
- `hold`: the same of all commands at once; says `ready` on standard error, and holds until it is killed;
- `renderer`: the renderer is killed then, and the page loaded again: `seconds` from the kill to the news.

It knows one page a browser, no deadline and no error.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil
import trio


class Work(msgspec.Struct):
    """What is to be done: command lines, their environment, and what to inject and to load.

    `until` are pieces of text that the news waited for has, `binding` is what brings news. Without an
    injection the page's load is waited for.
    """

    commands: list[list[str]]
    environment: dict[str, str]
    url: str
    injection: str
    binding: str
    until: list[str]


class Browser:
    """A browser with one page."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        # Above what is placed on 3 and 4, which must close none of the others.
        low = (*os.pipe(), *os.pipe())
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in low]
        theirs_in, ours_out, ours_in, theirs_out = ends
        null = os.open(os.devnull, os.O_RDWR)
        placed = enumerate([null, null, null, theirs_in, theirs_out])
        actions = [(os.POSIX_SPAWN_DUP2, fd, place) for place, fd in placed]
        self.pid = os.posix_spawn(
            command[0], command, environment, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE]
        )
        for fd in (*low, theirs_in, theirs_out, null):
            os.close(fd)
        self._out = trio.lowlevel.FdStream(ours_out)
        self._in = trio.lowlevel.FdStream(ours_in)
        self._rest = b""
        self._messages: list[dict[str, Any]] = []
        self._last = 0
        self._page: str | None = None

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method; events that come meanwhile are dropped."""
        self._last = mine = self._last + 1
        message: dict[str, Any] = {"id": mine, "method": method, "params": params}
        if self._page is not None:
            message["sessionId"] = self._page
        await self._out.send_all(msgspec.json.encode(message) + b"\0")
        while (answer := await self.next()).get("id") != mine:
            pass
        result: dict[str, Any] = answer["result"]
        return result

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        while not self._messages:
            *whole, self._rest = (self._rest + await self._in.receive_some(1 << 18)).split(b"\0")
            self._messages = [msgspec.json.decode(message) for message in whole]
        return self._messages.pop(0)

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for a message."""
        while not is_it(await self.next()):
            pass

    async def load(self, work: Work) -> None:
        """Attach to the page, put everything in place, and load."""
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._page = (await self.call("Target.attachToTarget", targetId=page, flatten=True))["sessionId"]
        await self.call("Page.enable")
        if work.injection:
            await self.call("Runtime.enable")
            await self.call("Runtime.addBinding", name=work.binding)
            await self.call("Page.addScriptToEvaluateOnNewDocument", source=work.injection)
        await self.navigate(work)

    async def navigate(self, work: Work) -> None:
        """Load the page, and wait for the news."""

        def is_it(message: dict[str, Any]) -> bool:
            if not work.injection:
                return bool(message.get("method") == "Page.loadEventFired")
            return message.get("method") == "Runtime.bindingCalled" and all(
                word in message["params"]["payload"] for word in work.until
            )

        await self.call("Page.navigate", url=work.url)
        await self.until(is_it)

    async def close(self) -> None:
        """Ask it to close, and wait for its end."""
        self._page = None
        message = {"id": 0, "method": "Browser.close"}
        await self._out.send_all(msgspec.json.encode(message) + b"\0")
        await trio.to_thread.run_sync(os.waitpid, self.pid, 0)


async def _start(work: Work) -> float:
    begun = time.perf_counter()
    browser = Browser(work.commands[0], work.environment)
    await browser.load(work)
    seconds = time.perf_counter() - begun
    await browser.close()
    return seconds


async def _hold(work: Work) -> float:
    browsers = [Browser(command, work.environment) for command in work.commands]
    async with trio.open_nursery() as nursery:
        for browser in browsers:
            nursery.start_soon(browser.load, work)
    os.write(2, b"ready\n")
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        await anext(signals)
    for browser in browsers:
        await browser.close()
    return 0


def is_renderer(process: psutil.Process) -> bool:
    try:
        return "--type=renderer" in process.cmdline()
    except psutil.NoSuchProcess:  # a helper that has done its work
        return False


async def _renderer(work: Work) -> float:
    browser = Browser(work.commands[0], work.environment)
    await browser.load(work)
    renderer = next(filter(is_renderer, psutil.Process(browser.pid).children(recursive=True)))
    begun = time.perf_counter()
    renderer.kill()
    await browser.until(lambda message: message.get("method") == "Inspector.targetCrashed")
    await browser.navigate(work)
    seconds = time.perf_counter() - begun
    await browser.close()
    return seconds


def main(what: str) -> None:
    """Do it, and print the figure."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    do = {"start": _start, "hold": _hold, "renderer": _renderer}[what]
    print(json.dumps({"seconds": trio.run(do, work)}))


if __name__ == "__main__":
    main(sys.argv[1])

"""What is killed: how soon a client knows why, and how soon the session is back."""

import os
import select
import signal
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from protocol.client.blocking import connect

from .browsers import CONNECTED, Sessions, browser, copies, sessions, simulated, work
from .floors.browser import is_renderer
from .frame import Comparison, Target, interleaved
from .processes import measured


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` times each."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name:
        directory = Path(name)
        with simulated(directory) as page, sessions(directory / "daemon", page) as mine:
            mine.link("shop", "+491701234567", page.control)
            mine.stop("shop")
            profile = copies(mine.profile("shop"), directory / "floor")("f")
            given = work(browser("auto"), [profile], page, CONNECTED[1])
            floor = partial(measured, "floors.browser", "renderer", given=given)
            killed = interleaved(rounds, {"": partial(_kill_browser, mine)})[""]
            back = interleaved(rounds, {"product": partial(_kill_renderer, mine), "floor": floor})
    return [
        Comparison(
            what="browser killed to a client knows why",
            unit="s",
            product=killed["seconds"],
            floor=killed["pidfd_s"],
            floor_is="the pidfd of the same one",
            target=Target(bound="at most", ratio=2),
        ),
        Comparison(
            what="renderer killed to connected",
            unit="s",
            product=back["product"]["seconds"],
            floor=back["floor"]["seconds"],
            floor_is="the page loaded again by a minimal client",
            target=Target(bound="at most", ratio=1.3),
        ),
    ]


def _kill_browser(mine: Sessions) -> dict[str, float]:
    """The same death as two see it: how long the kernel takes for one differs from one to the next."""
    mine.start("shop", until=CONNECTED[0])
    pid = mine.browser("shop").pid
    pidfd = os.pidfd_open(pid)
    gone: list[float] = []

    def wait() -> None:
        select.select([pidfd], [], [])
        gone.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    with connect(mine.socket) as client:
        events = client.events(sessions=["shop"], types=["session.disconnected"])
        begun = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        next(events)
        seconds = time.perf_counter() - begun
    waiting.join()
    os.close(pidfd)
    mine.stop("shop")
    return {"seconds": seconds, "pidfd_s": gone[0] - begun}


def _kill_renderer(mine: Sessions) -> dict[str, float]:
    mine.start("shop", until=CONNECTED[0])
    children = mine.browser("shop").children(recursive=True)
    renderer = next(filter(is_renderer, children))
    with connect(mine.socket) as client:
        events = client.events(sessions=["shop"], types=[CONNECTED[0]])
        begun = time.perf_counter()
        renderer.kill()
        next(events)
        seconds = time.perf_counter() - begun
    mine.stop("shop")
    return {"seconds": seconds}

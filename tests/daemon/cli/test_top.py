"""`wasupctl top`: driven from within, and once in a real terminal."""

import asyncio
import codecs
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from fcntl import ioctl
from typing import Any

import pyte
import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from daemon.cli.board import MINUTES, Board, short
from daemon.cli.invocation import Invocation
from daemon.cli.live import Top
from protocol.errors import RpcError
from protocol.times import rfc3339

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, session
from .terminal import decode

CODE = "2@" + "abcDEF0123" * 23
NOW = 1_800_000_000


def event(seq: int, kind: str, session_id: str, at_s: float, **data: Any) -> Params:
    return {
        "seq": seq,
        "type": kind,
        "sessionId": session_id,
        "timestamp": rfc3339(int(at_s * 1000)),
        "data": data,
    }


# -- what it knows


def test_messages_are_counted_by_the_minute_and_forgotten() -> None:
    board, shop = Board(), session("shop", "s1")
    events = [event(n, "message.sent", "s1", NOW - 60 * n) for n in range(MINUTES + 9)]
    board.take([shop], [*events, event(90, "message.queued", "s1", NOW)], NOW)
    assert board.per_minute("s1", NOW) == [1] * MINUTES
    board.take([shop], [event(91, "message.received", "s1", NOW)], NOW + 60)
    assert board.per_minute("s1", NOW + 60) == [*[1] * (MINUTES - 2), 2, 0]
    assert board.row(shop, NOW + 60)[6].endswith("  2")
    assert sum(board.per_minute("other", NOW)) == 0


def test_the_processor_is_what_was_used_between_two_figures() -> None:
    board = Board()

    def shown(now: float, cpu: float | None, pid: int = 7) -> str:
        process = None if cpu is None else {"pid": pid, "cpuSeconds": cpu, "rssBytes": 2048}
        one = session("shop", "s1", process=process)
        board.take([one], [], now)
        return board.row(one, now)[4]

    assert [shown(0, 10.0), shown(20, 20.0), shown(21, 20.0)] == ["-", "50 %", "50 %"]
    assert shown(60, 20.0) == "0 %"
    assert shown(61, 1.0, pid=8) == "0 %"
    assert shown(62, None) == "-"


def test_a_figure_that_was_old_when_it_was_first_told_makes_nobody_look_busy() -> None:
    """The daemon had measured for somebody else nine seconds before; 2 s within ten are a fifth."""
    board = Board()
    for now, cpu in ((0, 10.0), (1, 12.0)):
        one = session("shop", "s1", process={"pid": 7, "cpuSeconds": cpu, "rssBytes": 2048})
        board.take([one], [], now)
    assert board.row(one, 1)[4] == "20 %"


def test_short_times() -> None:
    assert [short(s) for s in (-1, 0, 59, 60, 3599, 7200, 900_000)] == [
        "0s",
        "0s",
        "59s",
        "1m",
        "59m",
        "2h",
        "10d",
    ]


# -- on the screen


class World:
    """A daemon with sessions, and a log that tests add to."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.log: list[Params] = []
        self.said: list[Params] = []
        connected = {"connectedAt": rfc3339(int((time.time() - 7300) * 1000))}
        process = {"pid": 5, "rssBytes": 300 << 20, "cpuSeconds": 10.0, "processes": 9}
        self.sessions = Sessions(
            daemon,
            session("shop", "s1", status="connected", connectionInfo=connected, process=process),
            session("\x1b[31mevil [bold]", "e1"),
            session("waits", "w1", status="qr_generated"),
        )
        daemon.answers["events.list"] = self._events
        daemon.answers["session.incidents"] = {
            "incidents": [{"at": rfc3339(NOW * 1000), "kind": "browser_crashed", "detail": "\x1b[2Jsignal 9"}]
        }
        daemon.answers["session.qr"] = {"qrText": CODE}
        daemon.answers["session.log"] = lambda params: {
            "records": [record for record in self.said if record["seq"] > params.get("after", 0)]
        }

    def _events(self, params: Params) -> Params:
        wanted = params.get("sessions")
        found = [
            one for one in self.log if one["seq"] > params.get("after", 0)
            and (wanted is None or one["sessionId"] in wanted)
        ]  # fmt: skip
        return {"events": found[: params["limit"]], "oldest": 1 if self.log else 0, "latest": len(self.log)}

    def happened(self, kind: str, session_id: str, **data: Any) -> None:
        self.log.append(event(len(self.log) + 1, kind, session_id, time.time() - 60, **data))

    def say(self, event: str, level: str = "info", **data: Any) -> None:
        seq = len(self.said) + 1
        at = rfc3339(NOW * 1000)
        self.said.append({"seq": seq, "timestamp": at, "level": level, "event": event, "data": data})


@pytest.fixture
def world(daemon: FakeDaemon) -> World:
    return World(daemon)


def drive(
    world: World, steps: Callable[[Top, "Seen"], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    async def run() -> None:
        app = Top(Invocation(str(world.daemon.path), as_json=False))
        async with app.run_test(size=size) as pilot:
            await steps(app, Seen(app, pilot))

    asyncio.run(run())


class Seen:
    """What is on the screen, as text."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self._app = app
        self._pilot = pilot

    @property
    def text(self) -> str:
        screen = self._app.screen
        parts = [str(static.render()) for static in screen.query(Static) if static.display]
        for table in screen.query(DataTable):
            parts += [" ".join(map(_plain, table.get_row_at(n))) for n in range(table.row_count)]
        for log in screen.query(RichLog):
            parts += [line.text for line in log.lines] if log.display else []
        return "\n".join(parts)

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self._pilot.pause(0.02)


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def test_the_table_shows_sessions_as_they_are(world: World) -> None:
    async def steps(_app: Top, seen: Seen) -> None:
        world.happened("message.sent", "s1")
        await seen.until(lambda: "█" in seen.text)
        assert "3 sessions: 1 connected, 1 inactive, 1 qr_generated" in seen.text
        assert r"\x1b[31mevil [bold] inactive" in seen.text
        assert "shop connected 2h 300 MiB" in seen.text
        key = _app.screen.active_bindings["enter"].binding
        assert (key.description, key.show) == ("Open", True), "nobody would find out"
        world.sessions.change("s1", status="disconnected", messageQueue=17)
        await seen.until(lambda: "shop disconnected - 300 MiB" in seen.text and " 17 " in seen.text)
        world.sessions.all.append(session("new", "n1"))
        await seen.until(lambda: "new inactive" in seen.text)

    drive(world, steps)


def test_a_session_is_stopped_only_after_a_yes(world: World) -> None:
    daemon = world.daemon
    daemon.answers["session.stop"] = {"status": "inactive"}
    daemon.answers["session.start"] = RpcError("BROWSER_UNAVAILABLE")

    async def steps(app: Top, seen: Seen) -> None:
        await seen.until(lambda: "shop" in seen.text)
        await seen.press("down", "x")
        await seen.until(lambda: "Stop shop? y: yes, any other key: no" in seen.text)
        await seen.press("n")
        await seen.until(lambda: "shop connected" in seen.text)
        assert daemon.asked("session.stop") == []
        await seen.press("x", "y")
        await seen.until(lambda: daemon.asked("session.stop") == [{"sessionId": "s1"}])
        await seen.press("s")
        await seen.until(lambda: any("BROWSER_UNAVAILABLE" in one.message for one in app._notifications))
        await seen.press("q")

    drive(world, steps)


def test_a_page_has_code_events_and_incidents(world: World) -> None:
    world.happened("session.status", "w1", **{"from": "connecting", "to": "qr_generated", "reason": None})
    world.happened("session.status", "s1", **{"from": "connecting", "to": "connected", "reason": None})

    async def steps(app: Top, seen: Seen) -> None:
        await seen.until(lambda: "waits" in seen.text)
        await seen.press("down", "down", "enter")
        await seen.until(lambda: "browser_crashed" in seen.text and "connecting → qr_generated" in seen.text)
        assert "connecting → connected" not in seen.text
        assert "\x1b" not in seen.text
        await seen.until(lambda: "Its code needs" in seen.text)
        assert "this terminal has 80 and 24" in seen.text
        world.sessions.change("w1", status="connected")
        await seen.until(lambda: "Its code needs" not in seen.text)
        world.happened("session.connected", "w1", phoneNumber="+49170")
        await seen.until(lambda: "session.connected +49170" in seen.text)
        await seen.press("t")
        assert not app.current_theme.dark
        await seen.press("escape")
        await seen.until(lambda: "3 sessions" in seen.text)

    drive(world, steps)


def test_a_page_has_what_the_log_says(world: World) -> None:
    world.say("session_restarting", "warning", attempt=1, reason="\x1b[2J")

    async def steps(_app: Top, seen: Seen) -> None:
        await seen.until(lambda: "waits" in seen.text)
        await seen.press("enter")
        await seen.until(lambda: r"session_restarting attempt=1 reason=\x1b[2J" in seen.text)
        world.say("request_failed", "error", exception="Traceback:\nZeroDivisionError")
        await seen.until(lambda: "ZeroDivisionError" in seen.text)
        assert seen.text.count("session_restarting") == 1
        await seen.press("escape")
        await seen.until(lambda: "3 sessions" in seen.text)
        world.daemon.answers["session.log"] = RpcError("FORBIDDEN", "session.log needs the role operator")
        await seen.press("enter")
        await seen.until(lambda: "FORBIDDEN: session.log needs the role operator" in seen.text)
        await seen.press("q")

    drive(world, steps)


def test_link_starts_the_session_and_opens_its_page(world: World) -> None:
    def started(_params: Params) -> Params:
        world.sessions.change("e1", status="qr_generated")
        return {"status": "connecting"}

    world.daemon.answers["session.start"] = started

    async def steps(_app: Top, seen: Seen) -> None:
        await seen.until(lambda: "evil" in seen.text)
        await seen.press("l")
        await seen.until(lambda: "(e1)  qr_generated" in seen.text and "▀" in seen.text)
        assert world.daemon.asked("session.start") == [{"sessionId": "e1"}]

    drive(world, steps, size=(80, 45))


def test_it_says_what_it_needs(run: Run, world: World) -> None:
    assert "needs a terminal" in run("top").stderr
    done = run("top", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    world.daemon.stop()


# -- in a real terminal


class Real:
    """wasupctl top in a pseudo-terminal that pyte understands."""

    def __init__(self, env: dict[str, str], columns: int, lines: int) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon.cli", "top"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )  # fmt: skip
        os.close(slave)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, holds: Callable[[], bool], within_s: float = 40) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            left = deadline - time.monotonic()
            assert left > 0, self.text
            if select.select([self._master], [], [], left)[0]:
                self._stream.feed(self._decoder.decode(os.read(self._master, 65536)))

    def read_code(self) -> str | None:
        def colour(name: str) -> tuple[int, int, int]:
            known = {"black": (0, 0, 0), "default": (0, 0, 0), "white": (255, 255, 255)}
            if name in known:
                return known[name]
            red, green, blue = bytes.fromhex(name) if len(name) == 6 else (128, 128, 128)
            return (red, green, blue)

        rows = [
            [self.screen.buffer[y][x] for x in range(self.screen.columns)] for y in range(self.screen.lines)
        ]
        return decode([[(c.data, colour(c.fg), colour(c.bg)) for c in row] for row in rows])

    def end(self) -> int:
        while True:
            try:
                if not os.read(self._master, 65536):
                    break
            except OSError:  # EIO: the other side is closed
                break
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def test_in_a_real_terminal(world: World, env: dict[str, str]) -> None:
    """The code can be scanned; the daemon goes, comes back, and the program ends as it should."""
    daemon = world.daemon
    real = Real(env, 80, 45)
    try:
        real.until(lambda: "3 sessions" in real.text and "waits" in real.text)
        assert any("connected" in line and "300 MiB" in line for line in real.screen.display)
        real.type("\x1b[B\x1b[B\r")
        real.until(lambda: real.read_code() == CODE)
        real.type("\x7f")
        real.until(lambda: "3 sessions" in real.text)
        daemon.stop()
        real.until(lambda: "The daemon is gone" in real.text)
        world.sessions.change("s1", status="disconnected")
        daemon.start()
        real.until(lambda: "The daemon is gone" not in real.text and "2 disconnected" not in real.text)
        real.until(lambda: "1 disconnected" in real.text)
        real.type("q")
        assert real.end() == 0
    finally:
        real.close()

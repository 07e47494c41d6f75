"""`wasupctl log`: what the daemon's log said of a session, and what it says from then on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemon.cli.log import said
from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, session
from .terminal import Terminal


class Log:
    """What the daemon keeps; tests add to it."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.records: list[Params] = []
        daemon.answers["session.log"] = self._answer

    def say(self, event: str, level: str = "info", **data: object) -> Params:
        seq = len(self.records) + 1
        record = {
            "seq": seq, "timestamp": f"2026-11-21T10:00:{seq:02}.000Z", "level": level, "event": event,
            "data": data,
        }  # fmt: skip
        self.records.append(record)
        return record

    def _answer(self, params: Params) -> Params:
        found = [record for record in self.records if record["seq"] > params.get("after", 0)]
        return {"records": found[-params["limit"] :]}


@pytest.fixture(autouse=True)
def log(daemon: FakeDaemon) -> Log:
    Sessions(daemon, session("shop", "s1"))
    return Log(daemon)


def test_a_line_says_what_it_is_about() -> None:
    data = {"attempt": 2, "reason": "NETWORK", "detail": "two words", "path": "", "pid": None, "hung": True}
    assert said({"data": data}) == 'attempt=2 reason=NETWORK detail="two words" path="" hung=true'


def test_the_latest_lines_are_shown(run: Run, log: Log, daemon: FakeDaemon) -> None:
    log.say("session_created", uid=0)
    log.say("session_restarting", "warning", attempt=1, reason="\x1b[2J")
    log.say("request_failed", "error", exception="Traceback:\n  File \x1b\nZeroDivisionError")
    done = run("log", "shop", "--limit", "2")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        r"2026-11-21 10:00:02 warning session_restarting attempt=1 reason=\x1b[2J",
        "2026-11-21 10:00:03 error   request_failed",
        "    exception:",
        "      Traceback:",
        r"        File \x1b",
        "      ZeroDivisionError",
    ]
    assert daemon.asked("session.log") == [{"sessionId": "s1", "limit": 2}]
    assert json.loads(run("log", "shop", "--json").stdout) == {"records": log.records}


def test_it_says_where_more_is_when_there_is_nothing(run: Run) -> None:
    done = run("log", "shop")
    assert (done.returncode, done.stdout) == (0, "")
    assert "shop: nothing was said of it since the daemon was started. Look at" in done.stderr


def test_levels_are_coloured_on_a_terminal(env: dict[str, str], log: Log) -> None:
    log.say("session_restarting", "warning", attempt=1)
    with Terminal(["log", "shop"], env, columns=80) as terminal:
        assert terminal.end() == 0
        assert terminal.screen.coloured
        assert "warning session_restarting attempt=1" in terminal.screen.text()


@contextmanager
def _following(env: dict[str, str], *argv: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "log", "shop", "-f", *argv],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def test_it_goes_on_across_the_daemons_restarts(env: dict[str, str], daemon: FakeDaemon, log: Log) -> None:
    first = log.say("session_created")
    with _following(env, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline()) == first
        second = log.say("status_changed")
        assert json.loads(process.stdout.readline()) == second
        daemon.stop()
        assert "Waiting for the daemon to come back." in process.stderr.readline()
        third = log.say("login_copied")
        daemon.start()
        assert "The daemon is back" in process.stderr.readline()
        assert json.loads(process.stdout.readline()) == third
    assert {params.get("after", 0) for params in daemon.asked("session.log")} >= {0, 1, 2}


def test_a_session_that_is_deleted_ends_it(env: dict[str, str], daemon: FakeDaemon, log: Log) -> None:
    log.say("session_created")
    with _following(env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "session_created" in process.stdout.readline()
        daemon.answers["session.log"] = RpcError("SESSION_NOT_FOUND")
        assert "SESSION_NOT_FOUND" in process.stderr.readline()
        assert process.wait(20) == 1

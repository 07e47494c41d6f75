"""Watching events, across the daemon's restarts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, message, session


@pytest.fixture(autouse=True)
def _log(daemon: FakeDaemon) -> None:
    Sessions(daemon, session("shop", "s1"))
    daemon.answers["events.list"] = {"events": [], "oldest": 1, "latest": 6}
    daemon.answers["events.subscribe"] = lambda params: {"subscription": 1, "cursor": params["after"]}
    daemon.answers["events.unsubscribe"] = {"unsubscribed": True}


def _event(seq: int, type_: str, data: Params | None = None, session_id: str | None = "s1") -> Params:
    time = f"2026-11-21T10:00:{seq:02}.000Z"
    return {"seq": seq, "type": type_, "sessionId": session_id, "timestamp": time, "data": data or {}}


@contextmanager
def _watching(env: dict[str, str], *argv: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "watch", *argv],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(stream: Any) -> str:
    line = stream.readline()
    assert isinstance(line, str)
    return line.rstrip("\n")


def test_events_are_a_line_each(env: dict[str, str], daemon: FakeDaemon) -> None:
    said = message(direction="in", **{"from": "49@c.us", "text": "a\nb\x1b[2J"})
    with _watching(env) as process:
        daemon.wait_answered("events.subscribe")
        daemon.tell(_event(7, "session.status", {"from": "connecting", "to": "connected", "reason": None}))
        assert _line(process.stdout) == "2026-11-21 10:00:07 shop session.status connecting → connected"
        daemon.tell(_event(8, "message.received", {"message": said}))
        assert _line(process.stdout) == (
            r"2026-11-21 10:00:08 shop message.received 3EB0AA from 49@c.us: a\nb\x1b[2J"
        )
        daemon.tell(_event(9, "session.created", {"name": "new"}, "s9"))
        assert _line(process.stdout) == "2026-11-21 10:00:09 new session.created new"
        daemon.tell(_event(10, "daemon.stopping", session_id=None))
        assert _line(process.stdout).split() == ["2026-11-21", "10:00:10", "-", "daemon.stopping"]
    assert daemon.asked("events.subscribe") == [{"after": 6}]


def test_it_goes_on_when_the_daemon_comes_back(env: dict[str, str], daemon: FakeDaemon) -> None:
    with _watching(env, "--json", "--since", "3", "shop", "--type", "message.d*") as process:
        daemon.wait_answered("events.subscribe")
        event = _event(7, "message.delivered", {"message": message(text="\x1b")})
        daemon.tell(event)
        assert json.loads(_line(process.stdout)) == event
        daemon.stop()
        assert "connection to the daemon is lost" in _line(process.stderr)
        daemon.start()
        daemon.wait_answered("events.subscribe", 2)
        assert "The daemon is back" in _line(process.stderr)
        daemon.tell(_event(8, "message.deleted"))
        assert json.loads(_line(process.stdout))["seq"] == 8
    wanted = {"sessions": ["s1"], "types": ["message.delivered", "message.deleted"]}
    assert daemon.asked("events.subscribe") == [{**wanted, "after": 3}, {**wanted, "after": 7}]


def test_a_log_that_was_cut_meanwhile_is_told(env: dict[str, str], daemon: FakeDaemon) -> None:
    def subscribe(params: Params) -> Params:
        if params["after"] == 6 and len(daemon.asked("events.subscribe")) > 1:
            raise RpcError("CURSOR_EXPIRED", oldest=20)
        return {"subscription": 1, "cursor": params["after"]}

    daemon.answers["events.subscribe"] = subscribe
    with _watching(env) as process:
        daemon.wait_answered("events.subscribe")
        daemon.stop()
        _line(process.stderr)
        daemon.start()
        daemon.wait_answered("events.subscribe", 3)
        assert _line(process.stderr) == "wasupctl: The log begins at 20: events after 6 are lost."
    assert [params["after"] for params in daemon.asked("events.subscribe")] == [6, 6, 19]


def test_a_start_that_the_log_no_longer_reaches_is_an_error(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["events.subscribe"] = RpcError("CURSOR_EXPIRED", oldest=20)
    done = run("watch", "--since", "3")
    assert done.returncode == 1
    assert done.stderr.startswith("wasupctl: CURSOR_EXPIRED: ")


def test_a_daemon_that_never_was_there_is_not_waited_for(run: Run, daemon: FakeDaemon) -> None:
    daemon.stop()
    assert run("watch").returncode == 3

"""Sending and listing messages, and the commands about the daemon."""

import json

import pytest

from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Sessions, message, session
from .terminal import Terminal


@pytest.fixture(autouse=True)
def _sessions(daemon: FakeDaemon) -> None:
    Sessions(daemon, session("shop", "s1", status="connected"), session("off", "s2"))


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["hello", "there"], "hello there"),
        (["-"], "from\nstdin"),
        (["a", "-", "b"], "a - b"),
        (["--", "--wait", "-"], "--wait -"),
        (["-5", "°C"], "-5 °C"),
    ],
)
def test_send(run: Run, daemon: FakeDaemon, argv: list[str], text: str) -> None:
    daemon.answers["message.send"] = message()
    done = run("send", "shop", "+49 170 1234567", *argv, stdin="from\nstdin\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3EB0AA queued\n", "")
    assert daemon.asked("message.send") == [
        {"sessionId": "s1", "to": "+49 170 1234567", "text": text, "wait": "queued", "timeout": 60}
    ]


def test_send_waits_with_a_key(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["message.send"] = message(status="delivered")
    done = run("send", "s1", "49170", "x", "--wait", "delivered", "--key", "k", "--timeout", "5")
    assert done.stdout == "3EB0AA delivered\n"
    sent = daemon.asked("message.send")[0]
    assert (sent["wait"], sent["idempotencyKey"], sent["timeout"]) == ("delivered", "k", 5)


def test_send_to_a_session_that_is_not_connected_says_that_it_waits(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["message.send"] = message()
    done = run("send", "off", "49170", "x")
    assert done.returncode == 0
    assert "leaves when it is connected" in done.stderr


def test_a_wait_that_runs_out_gives_the_id_all_the_same(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["message.send"] = RpcError("PAGE_TIMEOUT", message=message(status="sending"))
    done = run("send", "s1", "49170", "x", "--wait", "sent")
    assert (done.returncode, done.stdout) == (1, "3EB0AA sending\n")
    assert "stays accepted" in done.stderr
    assert json.loads(run("send", "s1", "49170", "x", "--json").stdout)["data"]["code"] == "PAGE_TIMEOUT"


def test_a_message_that_failed_ends_with_1(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["message.send"] = message(
        status="failed", error={"code": "NO_ENCRYPTION_SESSION", "message": "No sessions", "details": {}}
    )
    done = run("send", "s1", "49170", "x", "--wait", "sent")
    assert (done.returncode, done.stdout) == (1, "3EB0AA failed\n")
    assert "NO_ENCRYPTION_SESSION: No sessions." in done.stderr


def test_an_empty_text_is_bad_usage(run: Run, daemon: FakeDaemon) -> None:
    assert run("send", "s1", "49170", "-", stdin="").returncode == 2
    assert daemon.requests == []


def test_messages_are_listed_the_newest_last(run: Run, daemon: FakeDaemon) -> None:
    found = {
        "messages": [
            message(id="B", direction="in", status="received", text="two\n\x1b[2J[red]"),
            message(id="A", type="document", text=None, media={"mimetype": "x/y", "filename": "a\x1bb.pdf"}),
        ],
        "next": None,
    }
    daemon.answers["message.list"] = found
    done = run("messages", "shop", "--chat", "49170", "--limit", "7")
    _, first, second = done.stdout.splitlines()
    assert first == r"2026-11-21 10:00:00  →  491701234567@c.us  queued    A   [document a\x1bb.pdf]"
    assert second == r"2026-11-21 10:00:00  ←  491701234567@c.us  received  B   two\n\x1b[2J[red]"
    assert daemon.asked("message.list") == [{"sessionId": "s1", "chatId": "49170", "limit": 7}]
    assert json.loads(run("messages", "shop", "--json").stdout) == found


def test_on_a_narrow_terminal_what_messages_say_stands_below(env: dict[str, str], daemon: FakeDaemon) -> None:
    found = message(id="3EB0" + "A" * 18, text="words " * 20)
    daemon.answers["message.list"] = {"messages": [found], "next": None}
    with Terminal(["messages", "shop"], env, columns=80) as terminal:
        assert terminal.end() == 0
        first, *below = terminal.screen.text().splitlines()
    assert first == f"2026-11-21 10:00:00 → 491701234567@c.us queued {found['id']}"
    assert [line.split(" ", 4)[:4] for line in below] == [[""] * 4] * 2
    assert " ".join("".join(below).split()) == ("words " * 20).strip()


def test_messages_are_found_by_what_they_are(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["message.list"] = {"messages": [], "next": None}
    done = run("messages", "shop")
    assert "No message is there yet." in done.stderr
    wanted = ["--direction", "out", "--status", "failed", "--since", "2026-11-21T10:00", "--until", "1m"]
    done = run("messages", "shop", *wanted, "--cursor", "c1")
    assert "No message matches." in done.stderr
    asked = daemon.asked("message.list")[-1]
    until = asked.pop("until")
    assert asked == {
        "sessionId": "s1", "direction": "out", "status": "failed", "since": "2026-11-21T10:00:00.000Z",
        "cursor": "c1", "limit": 50,
    }  # fmt: skip
    assert until.endswith("Z")
    daemon.answers["message.list"] = {"messages": [message()], "next": "c 2"}
    assert "There are older ones: --cursor 'c 2'" in run("messages", "shop").stderr
    assert run("messages", "shop", "--since", "7").returncode == 2


HEALTH = {
    "status": "degraded",
    "version": "1.2.3",
    "uptime": 90061.5,
    "config": {"timeoutMinutes": 0, "cleanupInterval": 0, "maxSessions": 500, "eventRetainDays": 30},
    "sessions": {"connected": 2, "inactive": 1, "disconnected": 0},
    "store": {"path": "/s/wasup.db", "bytes": 5 << 20, "messages": 10, "events": 20, "oldest": 1},
    "browser": {"path": None, "version": None, "sandbox": True},
    "page": {"library": "wa-js", "version": "4.6.0"},
    "lastBackup": None,
    "problems": [
        {
            "code": "BROWSER_UNAVAILABLE",
            "message": "No browser.",
            "action": "Install chromium.",
            "sessionId": "s1",
        }
    ],
}


def test_health(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["daemon.health"] = HEALTH
    shown = run("health").stdout
    for text in (
        "Status: degraded",
        "1.2.3, up for 25 h 1 min",
        "2 connected, 1 inactive (at most 500)",
        "/s/wasup.db: 5.0 MiB, 10 messages, 20 events",
        "Browser: none",
        "Problem: BROWSER_UNAVAILABLE (s1): No browser. Install chromium.",
    ):
        assert text in shown
    assert json.loads(run("health", "--json").stdout) == HEALTH


def test_whoami(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["daemon.whoami"] = {"uid": 0, "gid": 4_000_000, "role": "admin"}
    assert run("whoami").stdout == "uid=0(root) gid=4000000 role=admin\n"


def test_shutdown_needs_yes(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["daemon.health"] = HEALTH
    daemon.answers["daemon.shutdown"] = {"stopping": True}
    assert run("shutdown").returncode == 2
    assert daemon.asked("daemon.shutdown") == []
    assert run("shutdown", "-y").returncode == 0
    assert json.loads(run("shutdown", "--yes", "--json").stdout) == {"stopping": True}

"""The commands that ask one thing: figures, codes, waits, the page, the configuration, the past."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.failures import UsageError
from daemon.cli.plots import bar, bars, gathered, sparkline
from daemon.cli.program import run as wasupctl
from daemon.cli.since import cursor_at, parse_since, parse_time
from protocol.client.blocking import connect
from protocol.errors import RpcError
from protocol.times import rfc3339

from .fake import FakeDaemon, Params, Sessions, message, session
from .terminal import Terminal, decode_plain

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def sessions(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sessions:
    monkeypatch.setenv("WASUP_SOCKET", str(daemon.path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    return Sessions(daemon, session("shop", "s1", status="connected"))


def test_plots() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▂▅█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""
    assert bar(8, 8, 4) == "████"
    assert bar(1, 8, 4) == "▌"
    assert bar(1, 10_000, 4) == "▏"
    assert bar(0, 8, 4) == bar(1, 0, 4) == ""
    assert bars({"b": 1, "a": 1, "c": 2}, 2) == [("c", "██", "2"), ("a", "█", "1"), ("b", "█", "1")]
    assert gathered([1, 2, 3, 4, 5], 3) == [3, 7, 5]


def test_stats_are_drawn(daemon: FakeDaemon, capsys: Out, env: dict[str, str]) -> None:
    answer: Params = {
        "stats": {
            "total": 12, "sent": 8, "received": 4, "failed": 1,
            "byType": {"text": 9, "image": 3}, "byDay": {"2000-01-01": {"sent": 8, "received": 4}},
        },
        "performance": {
            "averageResponseTime": 61.0, "uptime": 99.5, "messagesPerHour": 0.5, "errorRate": 11.1,
        },
    }  # fmt: skip
    daemon.answers["session.stats"] = answer
    assert wasupctl(["stats", "shop", "--days", "7"]) == 0
    shown = capsys.readouterr().out
    assert "8 sent, 4 received, 1 failed" in shown
    assert "Connected: 99.5 %" in shown
    assert "     text ██████████████████████████████ 9" in shown
    assert "    image ██████████ 3" in shown
    assert "\x1b" not in shown
    assert daemon.asked("session.stats") == [{"sessionId": "s1", "days": 7}]
    wasupctl(["stats", "shop", "--json"])
    assert json.loads(capsys.readouterr().out) == answer
    with Terminal(["stats", "shop"], env, columns=80) as terminal:
        assert terminal.end() == 0
        assert terminal.screen.coloured


def test_incidents_are_listed_the_newest_last(daemon: FakeDaemon, capsys: Out) -> None:
    daemon.answers["session.incidents"] = {
        "incidents": [
            {"at": "2026-11-21T11:00:00.000Z", "kind": "page_hung", "detail": None, "action": "restart"},
            {
                "at": "2026-11-21T10:00:00.000Z",
                "kind": "browser_crashed",
                "detail": "signal 9",
                "action": "restart",
                "recoveredAt": "2026-11-21T10:00:03.000Z",
            },
        ]
    }
    assert wasupctl(["incidents", "shop"]) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split("  ") == [
        "2026-11-21 10:00:00", "browser_crashed", "signal 9", "restart", "after 3 s",
    ]  # fmt: skip
    assert second.split()[2:] == ["page_hung", "-", "restart", "not", "yet"]


CODE = {
    "qrCode": "",
    "qrText": "2@abc,def",
    "format": "text",
    "generatedAt": "2026-11-21T10:00:00.000Z",
    "expiresAt": "2026-11-21T10:00:20.000Z",
}


def test_qr(daemon: FakeDaemon, capsys: Out, tmp_path: Path) -> None:
    daemon.answers["session.qr"] = CODE
    assert wasupctl(["qr", "shop"]) == 0
    shown = capsys.readouterr()
    assert decode_plain(shown.out) == "2@abc,def"
    assert "expires at 2026-11-21 10:00:20" in shown.err
    assert wasupctl(["qr", "shop", "--text"]) == 0
    assert capsys.readouterr().out == "2@abc,def\n"
    assert wasupctl(["qr", "shop", "--png", "code.png", "--svg", "code.svg"]) == 0
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "code.svg").read_text()
    assert stat.S_IMODE((tmp_path / "code.svg").stat().st_mode) == 0o600


def test_wait_ends_with_1_when_the_status_does_not_come(sessions: Sessions, capsys: Out) -> None:
    assert wasupctl(["wait", "shop"]) == 0
    assert capsys.readouterr().out == "shop: connected.\n"
    assert wasupctl(["wait", "shop", "inactive", "--timeout", "0"]) == 1
    assert "PAGE_TIMEOUT" in capsys.readouterr().err


def test_whatsapp_call_takes_json_and_texts(daemon: FakeDaemon, capsys: Out) -> None:
    daemon.answers["whatsapp.call"] = {"id": "x"}
    assert (
        wasupctl(["whatsapp", "call", "shop", "chat.mute", "49@c.us", '{"duration": 5}', "-1", "true"]) == 0
    )
    assert json.loads(capsys.readouterr().out) == {"id": "x"}
    assert daemon.asked("whatsapp.call")[0]["args"] == ["49@c.us", {"duration": 5}, -1, True]


def test_functions_are_filtered(daemon: FakeDaemon, capsys: Out) -> None:
    daemon.answers["whatsapp.functions"] = {"functions": ["chat.get", "group.create"]}
    assert wasupctl(["whatsapp", "functions", "shop", "group.*"]) == 0
    assert capsys.readouterr().out == "group.create\n"


def test_a_download_is_named_by_nobody_else(daemon: FakeDaemon, capsys: Out, tmp_path: Path) -> None:
    """Strangers choose what files are called; none of theirs replaces one of ours."""
    (tmp_path / "bashrc").write_text("mine")
    daemon.answers["message.download"] = {
        "mimetype": "text/plain",
        "filename": "../../.bashrc",
        "data": "aGk=",
    }
    assert wasupctl(["message", "download", "shop", "3EB0"]) == 0
    assert capsys.readouterr().out == "bashrc-2 (text/plain, 2 B)\n"
    assert (tmp_path / "bashrc-2").read_text() == "hi"
    assert (tmp_path / "bashrc").read_text() == "mine"
    daemon.answers["message.download"] = {"mimetype": "image/png", "filename": None, "data": "aGk="}
    assert wasupctl(["message", "download", "shop", "3EB0"]) == 0
    assert capsys.readouterr().out == "3EB0.png (image/png, 2 B)\n"
    assert wasupctl(["message", "download", "shop", "3EB0", "-"]) == 0
    assert capsys.readouterr().out == "hi"


def test_lists_are_tables(daemon: FakeDaemon, capsys: Out) -> None:
    chat = {"id": "49@c.us", "name": "Ada", "unreadCount": 3, "pinned": True, "archived": False}
    daemon.answers["chat.list"] = {"chats": [chat], "total": 8}
    assert wasupctl(["chat", "list", "shop", "--limit", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:4] == ["NAME", "ID", "UNREAD", "PINNED"]
    assert shown.out.splitlines()[1].split()[:5] == ["Ada", "49@c.us", "3", "yes", "-"]
    assert "1 of 8: --limit and --offset" in shown.err
    daemon.answers["contact.list"] = {"contacts": [], "total": 0}
    assert wasupctl(["contact", "list", "shop"]) == 0
    assert "There are no contacts." in capsys.readouterr().err


def test_a_narrow_terminal_shows_what_there_is_to_say(daemon: FakeDaemon, env: dict[str, str]) -> None:
    """Columns without a word go first; what is long goes on below, between words."""
    chat = {"id": "4915110000001@c.us", "name": "Ada", "unreadCount": 3, "lastMessageAt": rfc3339(0)}
    daemon.answers["chat.list"] = {"chats": [chat], "total": 1}
    with Terminal(["chat", "list", "shop"], env, columns=80) as terminal:
        assert terminal.end() == 0
        assert terminal.screen.text().splitlines()[-1].split() == [
            "Ada", "4915110000001@c.us", "3", "-", "-", "1970-01-01", "00:00:00",
        ]  # fmt: skip
    with Terminal(["chat", "list", "shop"], env, columns=110) as terminal:
        assert terminal.end() == 0
        assert "MUTED UNTIL" in terminal.screen.text()
    at = "2026-11-21T11:00:00.000Z"
    detail = "the browser has ended by a signal"
    daemon.answers["session.incidents"] = {
        "incidents": [{"at": at, "kind": "BROWSER_CRASHED", "detail": detail, "action": "NEW_BROWSER"}]
    }
    with Terminal(["incidents", "shop"], env, columns=80) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen.text().splitlines()
        assert len(lines) == 3
        assert lines[2].split() == ["ended", "by", "a", "signal"]


def test_an_error_is_broken_between_words(env: dict[str, str]) -> None:
    with Terminal(["show", "another session"], env, columns=60) as terminal:
        assert terminal.end() == 1
        lines = terminal.screen.text().splitlines()
    assert len(lines) > 1
    assert " ".join(lines).endswith('the name "another session". `wasupctl list` shows all.')


def test_one_message_is_shown_with_all_that_it_has(daemon: FakeDaemon, capsys: Out) -> None:
    daemon.answers["message.get"] = message(text="a\x1b[2J")
    assert wasupctl(["message", "get", "shop", "3EB0"]) == 0
    shown = capsys.readouterr().out
    assert "Chat id: 491701234567@c.us" in shown
    assert r"Text: a\x1b[2J" in shown
    assert "Created at: 2026-11-21 10:00:00" in shown


def test_what_cannot_be_taken_back_is_asked(daemon: FakeDaemon, env: dict[str, str], capsys: Out) -> None:
    daemon.answers["message.delete"] = message(status="sent")
    with Terminal(["message", "delete", "shop", "3EB0"], env) as terminal:
        terminal.until(lambda screen: "Delete this message? [y/N]" in screen.text())
        terminal.type("n\n")
        assert terminal.end() == 1
    assert daemon.asked("message.delete") == []
    with Terminal(["message", "delete", "shop", "3EB0", "--no-for-everyone"], env) as terminal:
        terminal.until(lambda screen: "[y/N]" in screen.text())
        terminal.type("y\n")
        assert terminal.end() == 0
    assert daemon.asked("message.delete") == [{"sessionId": "s1", "messageId": "3EB0", "forEveryone": False}]


def test_config_check(capsys: Out, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("[sessions]\nmax = 5\n")
    (tmp_path / "bad.toml").write_text("[sessions]\nmx = 5\n")
    assert wasupctl(["config", "check", "good.toml"]) == 0
    assert capsys.readouterr().out == "good.toml: good.\n"
    assert wasupctl(["config", "check", "bad.toml"]) == 1
    assert "max" in capsys.readouterr().err


# -- the past

HOUR = 3600


def log(count: int) -> Any:
    """A log whose events came an hour apart since 1970, from seq 11 on."""
    events = [
        {"seq": 11 + n, "type": "daemon.started", "timestamp": rfc3339((n + 1) * HOUR * 1000), "data": {}}
        for n in range(count)
    ]

    def answer(params: Params) -> Params:
        after = params.get("after", 0)
        if 0 < after < 10:
            raise RpcError("CURSOR_EXPIRED", oldest=11)
        page = [event for event in events if event["seq"] > after][: params["limit"]]
        return {"events": page, "oldest": 11 if events else 0, "latest": 10 + count if events else 0}

    return answer


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
def test_a_time_is_found_in_the_log(daemon: FakeDaemon, count: int) -> None:
    daemon.answers["events.list"] = log(count)
    with connect(str(daemon.path)) as client:
        for hours in range(count + 2):
            found = cursor_at(client, float(hours * HOUR))
            assert found == (10 + max(0, hours - 1) if count else 0)
        assert cursor_at(client, 5) == 5


def test_since_in_words() -> None:
    assert parse_since("17", 0) == 17
    assert [parse_since(text, 1e6) for text in ("90s", "1.5m", "2h", "1d")] == [
        999910.0, 999910.0, 992800.0, 913600.0,
    ]  # fmt: skip
    assert parse_since("1970-01-01T01:00Z", 0) == 3600.0
    for wrong in ("yesterday", "-1", "", "5w"):
        with pytest.raises(UsageError, match="is no time: give a number, a time as"):
            parse_since(wrong, 0)


def test_times_in_words() -> None:
    assert parse_time("1970-01-01T01:00Z", 0) == "1970-01-01T01:00:00.000Z"
    assert parse_time("1.5m", 90.5) == "1970-01-01T00:00:00.500Z"
    for wrong in ("17", "yesterday", "99999999d"):
        with pytest.raises(UsageError):
            parse_time(wrong, 0)


def test_events_of_the_past(daemon: FakeDaemon, capsys: Out) -> None:
    daemon.answers["events.list"] = log(9)
    argv = ["events", "shop", "--since", "1970-01-01T03:00Z", "--type", "daemon.*", "--limit", "2"]
    assert wasupctl(argv) == 0
    shown = capsys.readouterr()
    assert shown.out == "1970-01-01 03:00:00 - daemon.started \n1970-01-01 04:00:00 - daemon.started \n"
    assert "--since 14" in shown.err
    assert daemon.asked("events.list")[-1] == {
        "limit": 2, "types": ["daemon.started", "daemon.stopping"], "sessions": ["s1"], "after": 12,
    }  # fmt: skip

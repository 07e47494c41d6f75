"""Sessions: making, finding, showing, changing, starting, deleting them."""

import json
import os
import re
from pathlib import Path

import pytest

from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, session
from .terminal import Terminal

_TIME = "2026-11-21T10:00:00.000Z"
_HOSTILE = "\x1b]0;owned\x07[bold red]x[/]\nfake  row \u202e"


@pytest.fixture
def sessions(daemon: FakeDaemon) -> Sessions:
    return Sessions(
        daemon,
        session(
            "shop", "s1", status="connected", phoneNumber="+49170", lastActivity="2026-01-01T00:00:00.000Z"
        ),
        session("twin", "t1"),
        session("twin", "t2", status="disconnected", reason="RESTART_LIMIT_EXCEEDED"),
        session(_HOSTILE, "h1", description=_HOSTILE),
    )


def test_create_sends_what_was_given(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["session.create"] = lambda params: session(params["name"], params.get("id", "f00"))
    done = run(
        "create",
        "My shop",
        "--description",
        "d",
        "--start",
        "--tag",
        "a",
        "--tag",
        "b",
        "--set",
        "markRead=true",
    )
    assert (done.returncode, done.stdout) == (0, "f00\n")
    assert "wasupctl link f00" in done.stderr
    assert run("create", "x", "--id", "my-id").stdout == "my-id\n"
    assert daemon.asked("session.create") == [
        {
            "name": "My shop",
            "description": "d",
            "start": True,
            "settings": {"markRead": True, "tags": ["a", "b"]},
        },
        {"name": "x", "id": "my-id"},
    ]


def test_a_second_session_of_a_name_is_warned_of(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.create"] = session("shop", "s9")
    done = run("create", "shop")
    assert (done.returncode, done.stdout) == (0, "s9\n")
    assert 'other sessions of this name (s1): "shop" alone now means none of them' in done.stderr
    assert "wasupctl update s9 --name NAME" in done.stderr
    assert "other sessions" not in run("create", "else").stderr


def test_show_leaves_out_settings_that_are_empty(run: Run, sessions: Sessions) -> None:
    sessions.change("s1", settings={"tags": [], "webhookEvents": [], "markRead": True})
    shown = run("show", "shop").stdout
    assert "Settings: markRead = true" in shown
    assert "tags" not in shown
    assert "webhookEvents" not in shown


def test_update(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.update"] = lambda _params: sessions.all[0]
    done = run("update", "shop", "--description", "", "--set", "proxy=null")
    assert (done.returncode, done.stdout) == (0, "shop: updated.\n")
    assert daemon.asked("session.update") == [
        {"sessionId": "s1", "description": None, "settings": {"proxy": None}}
    ]


def test_list_is_a_table_that_is_not_cut_off(run: Run, sessions: Sessions) -> None:
    sessions.change("s1", name="a very long name " * 20)
    done = run("list", COLUMNS="40")
    head, first, *rest = done.stdout.splitlines()
    columns = re.split(r"  +", head)
    assert columns == ["NAME", "ID", "STATUS", "REASON", "PHONE", "LAST ACTIVITY", "QUEUE", "RESTARTS"]
    cells = re.split(r"  +", first)
    assert cells[:5] == [("a very long name " * 20).strip(), "s1", "connected", "-", "+49170"]
    assert cells[-2:] == ["2", "1"]
    assert len(rest) == 3
    assert "\x1b" not in done.stdout


def test_hostile_names_are_made_visible_and_are_no_markup(run: Run, sessions: Sessions) -> None:
    for argv in (["list"], ["show", "h1"]):
        done = run(*argv)
        assert r"\x1b]0;owned\x07[bold red]x[/]\nfake  row \u202e" in done.stdout
        assert not set(done.stdout) & set("\x1b\x07\u202e")


def test_list_asks_for_what_is_wanted_and_for_every_page(run: Run, daemon: FakeDaemon) -> None:
    Sessions(daemon, *(session(f"n{n}", f"s{n}") for n in range(1100)))
    done = run("list", "--json", "--status", "inactive", "--tag", "x")
    assert len(json.loads(done.stdout)["sessions"]) == 1100
    assert [params["offset"] for params in daemon.asked("session.list")] == [0, 1000]
    assert daemon.asked("session.list")[0] == {"status": "inactive", "tag": "x", "limit": 1000, "offset": 0}


def test_no_session_is_told_apart_from_no_match(run: Run, daemon: FakeDaemon) -> None:
    Sessions(daemon)
    assert "wasupctl create" in run("list").stderr
    assert "No session matches" in run("list", "--tag", "x").stderr


def test_the_table_fits_its_terminal_and_has_colours(env: dict[str, str], sessions: Sessions) -> None:
    sessions.change("s1", id="0123456789abcdef0123456789abcdef")
    with Terminal(["list"], env, columns=100) as terminal:
        assert terminal.end() == 0
        assert terminal.screen.coloured
        lines = terminal.screen.text().splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:3] == ["shop", "0123456…", "connected"]
    assert lines[3].split()[:4] == ["twin", "t2", "disconnected", "RESTART_LIMIT_EXCEEDED"]
    with Terminal(["list"], {**env, "NO_COLOR": "1"}, columns=200) as terminal:
        assert terminal.end() == 0
        assert "0123456789abcdef0123456789abcdef" in terminal.screen.text()


def test_show_has_everything(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    sessions.change(
        "s1",
        connectionInfo={"connectedAt": _TIME, "platform": "android", "wid": "49170@c.us"},
        settings={"tags": ["shop"], "markRead": True},
        process={"pid": 77, "startedAt": _TIME, "processes": 8, "pssBytes": 300 << 20, "cpuSeconds": 3},
    )
    daemon.answers["session.incidents"] = {
        "incidents": [
            {
                "at": "2026-11-21T10:00:01.000Z",
                "kind": "PAGE_HUNG",
                "detail": "no \x1b answer",
                "action": "reloaded",
            }
        ]
    }
    shown = run("show", "shop").stdout
    for text in (
        "● shop (s1)",
        "Status: connected since 2026-11-21 10:00:00",
        "Phone: +49170",
        "Device: android, 49170@c.us",
        "Messages: 3 sent, 4 received, 1 failed; 2 waiting",
        "Restarts: 1 of 3 within 2 min",
        "Browser: pid 77, 8 processes, 300 MiB, 3 s CPU",
        "     Settings: markRead = true\n               tags = shop\n",
        r"2026-11-21 10:00:01  PAGE_HUNG  no \x1b answer  reloaded",
    ):
        assert text in shown
    assert "begins a new budget" in run("show", "t2").stdout
    assert json.loads(run("show", "s1", "--json").stdout) == sessions.all[0]


def test_an_unknown_session_is_answered_with_names_like_it(run: Run, sessions: Sessions) -> None:
    done = run("show", "SHOPP", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["data"]["code"] == "SESSION_NOT_FOUND"
    assert done.stderr == (
        'wasupctl: SESSION_NOT_FOUND: No session has the id or the name "SHOPP".'
        ' Did you mean "shop"? `wasupctl list` shows all.\n'
    )


def test_an_ambiguous_name_is_answered_with_the_ids(run: Run, sessions: Sessions) -> None:
    done = run("show", "twin")
    assert done.returncode == 2
    assert "t1, t2" in done.stderr


def test_start_says_what_comes_next(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.start"] = lambda params: {
        "status": "qr_generated" if params["wait"] else "connecting"
    }
    assert run("start", "t1").stdout == "twin: connecting. To link it to a phone, run: wasupctl link t1\n"
    done = run("start", "--wait", "t1", "--timeout", "5")
    assert done.stdout == "twin: waits for a phone. Run: wasupctl link t1\n"
    assert daemon.asked("session.start") == [
        {"sessionId": "t1", "wait": False, "timeout": 90},
        {"sessionId": "t1", "wait": True, "timeout": 5},
    ]


def test_several_are_stopped_and_one_that_fails_does_not_spare_the_others(
    run: Run, daemon: FakeDaemon, sessions: Sessions
) -> None:
    def stop(params: Params) -> Params:
        if params["sessionId"] == "t1":
            raise RpcError("PAGE_TIMEOUT")
        return {"status": "inactive"}

    daemon.answers["session.stop"] = stop
    done = run("stop", "t1", "shop", "s1")
    assert (done.returncode, done.stdout) == (1, "shop: stopped.\n")
    assert done.stderr.startswith("wasupctl: twin: PAGE_TIMEOUT: ")
    results = json.loads(run("stop", "t1", "shop", "--json").stdout)
    assert [result.get("status") for result in results] == [None, "inactive"]
    assert results[0]["error"]["data"]["code"] == "PAGE_TIMEOUT"


def test_nothing_is_restarted_unless_all_are_known(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.restart"] = {"status": "connecting"}
    assert run("restart", "shop", "nobody").returncode == 1
    assert daemon.asked("session.restart") == []
    assert run("restart", "shop").stdout == "shop: connecting.\n"


def test_delete_asks_on_a_terminal(env: dict[str, str], daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.delete"] = {"deleted": True, "backup": "/b/s1.tar"}
    with Terminal(["delete", "h1"], env) as terminal:
        terminal.until(lambda screen: "[y/N]" in screen.text())
        terminal.type("\n")
        assert terminal.end() == 1
        assert "Nothing was done" in terminal.screen.text()
    assert daemon.asked("session.delete") == []
    with Terminal(["delete", "shop"], env) as terminal:
        terminal.until(lambda screen: "(s1, +49170)" in screen.text() and "[y/N]" in screen.text())
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "The backup is /b/s1.tar." in terminal.screen.text()
    assert daemon.asked("session.delete") == [{"sessionId": "s1", "backup": True}]


def test_delete_without_a_terminal_needs_yes(run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.delete"] = {"deleted": True, "backup": None}
    done = run("delete", "shop", stdin="y\n")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert daemon.asked("session.delete") == []
    assert run("delete", "shop", "--yes", "--no-backup").stdout == "shop: deleted.\n"
    assert daemon.asked("session.delete") == [{"sessionId": "s1", "backup": False}]


def test_reload_logout_screenshot(run: Run, daemon: FakeDaemon, sessions: Sessions, tmp_path: Path) -> None:
    daemon.answers["session.reload"] = {"status": "connecting"}
    assert run("reload", "shop").stdout == "shop: connecting.\n"
    daemon.answers["session.logout"] = {"status": "qr_generated"}
    assert (
        run("logout", "shop", "--yes").stdout == "shop: unlinked; waits for a phone. Run: wasupctl link s1\n"
    )
    daemon.answers["session.screenshot"] = {"image": "data:image/png;base64,iVBORw=="}
    picture = tmp_path / "page.png"
    assert run("screenshot", "shop", str(picture)).returncode == 0
    assert picture.read_bytes() == b"\x89PNG"
    assert picture.stat().st_mode & 0o777 == 0o600
    daemon.answers["session.screenshot"] = RpcError("SESSION_NOT_STARTED")
    assert "SESSION_NOT_STARTED" in run("screenshot", "shop", str(picture)).stderr


def test_nothing_but_a_file_is_replaced(
    run: Run, daemon: FakeDaemon, sessions: Sessions, tmp_path: Path
) -> None:
    """Whoever may make files in /dev would else have one in the place of /dev/null."""
    daemon.answers["session.screenshot"] = {"image": "data:image/png;base64,iVBORw=="}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (".", "/", str(tmp_path), str(pipe)):
        done = run("screenshot", "shop", place)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"wasupctl: {place} is no file, and stays as it is: give a file's name.\n"
    assert pipe.is_fifo()


def test_wiping_a_login_asks(env: dict[str, str], run: Run, daemon: FakeDaemon, sessions: Sessions) -> None:
    daemon.answers["session.clearAuth"] = {"status": "connecting"}
    assert run("clear-auth", "shop").returncode == 2
    with Terminal(["clear-auth", "shop"], env) as terminal:
        terminal.until(lambda screen: "(s1, +49170)" in screen.text() and "[y/N]" in screen.text())
        terminal.type("n\n")
        assert terminal.end() == 1
    assert daemon.asked("session.clearAuth") == []
    done = run("clear-auth", "shop", "--yes")
    assert done.stdout == "shop: its login is wiped. To link it anew, run: wasupctl link s1\n"


def test_terminating(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["session.terminateInactive"] = {"terminated": ["s1"], "orphansKilled": [4711]}
    done = run("terminate-inactive")
    assert done.stdout == "s1: stopped.\nbrowser 4711: ended; no session owned it.\n"
    daemon.answers["session.terminateAll"] = {"terminated": [], "orphansKilled": []}
    assert run("terminate-all").returncode == 2
    assert daemon.asked("session.terminateAll") == []
    done = run("terminate-all", "--yes")
    assert (done.stdout, done.stderr) == ("", "There was nothing to stop.\n")
    assert json.loads(run("terminate-all", "-y", "--json").stdout) == {"terminated": [], "orphansKilled": []}

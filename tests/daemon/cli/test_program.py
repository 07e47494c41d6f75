"""Usage, exit codes, `call`, and what happens when there is no daemon."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from daemon.cli import unreachable
from daemon.cli.program import application
from daemon.cli.refusal import refused
from daemon.cli.tree import spaces
from protocol.client.errors import DaemonUnreachable
from protocol.errors import ERRORS, RpcError

from .conftest import Run
from .fake import FakeDaemon, Sessions, session


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("create", "link", "send", "watch", "call", "--socket", "--json", "cannot be reached"):
        assert word in done.stdout
    assert done.stderr == ""


def test_every_command_and_every_argument_is_explained() -> None:
    def unexplained(app: App, words: str) -> Iterator[str]:
        for name in (name for name in app if not name.startswith("-")):
            inner, path = app[name], f"{words} {name}"
            if not inner.help.strip():
                yield path
            if any(not one.startswith("-") for one in inner):
                yield from unexplained(inner, path)
                continue
            for one in inner.assemble_argument_collection(parse_docstring=True):
                if one.parse and one.show and not one.parameter.help:
                    yield f"{path} {one.name}"

    assert list(unexplained(application(spaces()), "wasupctl")) == []


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("send", "[OPTIONS] SESSION TO [TEXT...]"),
        ("start", "[OPTIONS] SESSIONS..."),
        ("wait", "[OPTIONS] SESSION [STATUS]"),
        ("group create", "SESSION SUBJECT PARTICIPANTS..."),
        ("whoami", ""),
    ],
)
def test_the_usage_names_the_arguments(run: Run, command: str, usage: str) -> None:
    first, blank, *_ = run(*command.split(), "--help").stdout.splitlines()
    assert (first, blank) == (f"Usage: wasupctl {command} {usage}".rstrip(), "")


def test_what_is_to_be_done_is_said_in_commands() -> None:
    assert refused(RpcError("SESSION_NOT_CONNECTED")).endswith(
        "Wait until it is connected (`wasupctl wait`), or link it: `wasupctl link`."
    )
    assert refused(RpcError("MESSAGE_NOT_FOUND")).endswith("Ask `wasupctl messages` which messages are kept.")
    foreign = RpcError("PAGE_ERROR", action="See chat.example.org, a.session.get and file.txt")
    assert refused(foreign).endswith("See chat.example.org, a.session.get and file.txt")
    path = RpcError("INVALID_PARAMS", "$.to: Too short", path="$.to", action="Correct `$.to`.")
    assert refused(path) == "INVALID_PARAMS: to: Too short."


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_says_what_to_do(code: str) -> None:
    assert ERRORS[code].action


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "wasupctl")


@pytest.mark.parametrize(
    "argv",
    [
        ["lst"],
        ["list", "--stauts", "connected"],
        ["list", "--status", "sleeping"],
        ["send", "s1"],
        ["start"],
        ["call"],
        ["call", "x", "{"],
        ["call", "x", "{}", "more"],
        ["messages", "s1", "--limit", "0"],
        ["watch", "--type", "message.recieved"],
        ["create", "a", "--set", "proxi=x"],
        ["create", "a", "--set", "reconnectInterval=soon"],
        ["update", "a"],
        ["list", b"\xff"],
    ],
)
def test_bad_usage_ends_with_2_and_asks_nothing(run: Run, daemon: FakeDaemon, argv: list[str]) -> None:
    done = run(*argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("wasupctl: ")
    assert "Traceback" not in done.stderr
    assert daemon.requests == []


@pytest.mark.parametrize("argv", [[], ["webhook"], ["chat"], ["webhook", "--json"]])
def test_no_command_shows_the_help_and_is_bad_usage(run: Run, argv: list[str]) -> None:
    done = run(*argv)
    assert done.returncode == 2
    assert " ".join(["Usage: wasupctl", *argv[:1]]) in done.stdout


@pytest.mark.parametrize("argv", [["--help"], ["webhook", "--help"], ["webhook", "list", "-h"]])
def test_help_that_was_asked_for_is_no_bad_usage(run: Run, argv: list[str]) -> None:
    done = run(*argv)
    assert done.returncode == 0
    assert "Usage: wasupctl" in done.stdout


@pytest.mark.parametrize(
    "argv", [["--socket", "{}", "whoami", "--json"], ["--json", "whoami", "--socket={}"]]
)
def test_global_options_stand_before_and_after_the_command(
    run: Run, daemon: FakeDaemon, argv: list[str]
) -> None:
    daemon.answers["daemon.whoami"] = {"uid": 0, "gid": 0, "role": "admin"}
    done = run(*(word.format(daemon.path) for word in argv), WASUP_SOCKET="/nowhere")
    assert json.loads(done.stdout) == {"uid": 0, "gid": 0, "role": "admin"}


@pytest.mark.parametrize(
    ("given", "params"), [([], {}), (['{"a": 1}'], {"a": 1}), (["-"], {"b": ["ü"]}), (["{}", "--json"], {})]
)
def test_call_sends_any_request(run: Run, daemon: FakeDaemon, given: list[str], params: object) -> None:
    daemon.answers["not.known"] = lambda params: {"had": params}
    done = run("call", "not.known", *given, stdin='{"b": ["ü"]}\n')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"had": params}


@pytest.mark.parametrize("params", ["[1]", "5", "null"])
def test_call_sends_params_that_are_no_object(run: Run, daemon: FakeDaemon, params: str) -> None:
    done = run("call", "session.list", params)
    assert done.returncode == 1
    assert json.loads(done.stdout)["data"]["code"] in ("INVALID_PARAMS", "INVALID_REQUEST")


def test_call_prints_the_error_as_json_and_says_it_in_words(run: Run, daemon: FakeDaemon) -> None:
    error = RpcError("SESSION_NOT_CONNECTED", currentStatus="inactive")
    daemon.answers["whatsapp.call"] = error
    done = run("call", "whatsapp.call", '{"sessionId": "x"}')
    assert done.returncode == 1
    assert json.loads(done.stdout) == error.to_wire()
    assert done.stderr == (
        "wasupctl: SESSION_NOT_CONNECTED: The session is not connected to WhatsApp."
        " Wait until it is connected (`wasupctl wait`), or link it: `wasupctl link`.\n"
    )


def test_json_is_utf8_whatever_the_locale_and_has_no_raw_controls(run: Run, daemon: FakeDaemon) -> None:
    hostile = "ü \x9b31m \u202e \x1b]0;x\x07 \U000e0041 👩\u200d👧"
    daemon.answers["x"] = hostile
    done = run("call", "x", PYTHONIOENCODING="latin-1")
    assert json.loads(done.stdout) == hostile
    assert not set(done.stdout) & set("\x9b\u202e\x1b\x07\U000e0041")
    assert "ü" in done.stdout


def test_no_daemon_ends_with_3_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "wasup.sock"
    done = run("list", WASUP_SOCKET=str(missing))
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{missing}: No such file or directory" in done.stderr
    assert "Start it: " in done.stderr


def test_advice_names_systemd_only_where_it_has_the_unit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(unreachable, "_UNIT_DIRS", (str(tmp_path),))
    gone = DaemonUnreachable([("/s", "No such file or directory")])
    assert "systemctl" not in unreachable.explain(gone)
    assert "journalctl" not in unreachable.log_advice()
    (tmp_path / "wasupd.service").touch()
    assert "Start it: `systemctl start wasupd`." in unreachable.explain(gone)
    assert "journalctl -u wasupd" in unreachable.log_advice()


def test_call_with_a_name_says_the_id(run: Run, daemon: FakeDaemon) -> None:
    Sessions(daemon, session("shop", "s1"), session("twin", "t1"), session("twin", "t2"))
    done = run("call", "session.get", '{"sessionId": "shop"}')
    assert done.returncode == 1
    assert 'the session with the name "shop" has the id s1.' in done.stderr
    assert json.loads(done.stdout)["data"]["details"]["action"] in done.stderr
    assert "has the id t1 or t2." in run("call", "session.get", '{"sessionId": "twin"}').stderr
    assert "has the id" not in run("call", "session.get", '{"sessionId": "gone"}').stderr


def test_a_socket_that_nobody_serves(run: Run, daemon: FakeDaemon) -> None:
    daemon.stop()
    done = run("list")
    assert done.returncode == 3
    assert "no daemon behind it" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a socket away")
def test_a_socket_of_a_group_that_one_is_not_in(env: dict[str, str], tmp_path: Path) -> None:
    place = Path("/tmp") / f"wasupctl-{os.getpid()}"  # noqa: S108 - nobody can pass through tmp_path
    place.mkdir(mode=0o755)
    path = place / "wasup.sock"
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
            sock.listen()
            os.chown(path, 0, 4)  # adm
            path.chmod(0o660)
            done = subprocess.run(
                [sys.executable, "-c", _AS_NOBODY, "--socket", str(path), "list"],
                env=env,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
    finally:
        path.unlink(missing_ok=True)
        place.rmdir()
    assert done.returncode == 3
    assert "You are not in the group adm" in done.stderr
    assert "usermod -aG adm nobody" in done.stderr
    assert "systemctl" not in done.stderr


_AS_NOBODY = """
import os
from daemon.cli import main
import daemon.cli.program, encodings.idna, difflib, pwd, grp, rich.table
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main()
"""


def test_a_connection_that_is_lost_ends_with_3(run: Run, daemon: FakeDaemon) -> None:
    def crash(_params: object) -> None:
        for connection in daemon.connections:
            connection.close()

    daemon.answers["daemon.whoami"] = crash
    done = run("whoami")
    assert done.returncode == 3
    assert "connection to the daemon is lost" in done.stderr


def test_ctrl_c_ends_with_130_and_no_traceback(env: dict[str, str], daemon: FakeDaemon) -> None:
    daemon.answers["events.list"] = {"events": [], "oldest": 0, "latest": 0}
    daemon.answers["events.subscribe"] = {"subscription": 1, "cursor": 0}
    daemon.answers["events.unsubscribe"] = {"unsubscribed": True}
    Sessions(daemon)
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "watch"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts its background jobs with SIGINT ignored, and the tests may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        daemon.wait_answered("events.subscribe")
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_has_gone_ends_it_quietly(env: dict[str, str], daemon: FakeDaemon) -> None:
    Sessions(daemon, *(session(f"n{n}", f"s{n}", description="x" * 500) for n in range(300)))
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "--json", "list"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 141


def test_a_full_disk_is_told(env: dict[str, str], daemon: FakeDaemon) -> None:
    daemon.answers["x"] = 1
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "daemon.cli", "call", "x"],
            env=env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr

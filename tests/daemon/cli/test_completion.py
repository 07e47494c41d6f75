"""Completion: what may come next, and the shells that ask."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import completion
from daemon.cli.program import application, run

from .fake import FakeDaemon, Sessions, session


@pytest.fixture(autouse=True)
def _sessions(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    Sessions(
        daemon,
        session("shop", "s1", status="connected"),
        session("My own", "m1"),
        session("twin", "t1"),
        session("twin", "t2"),
        session("\x1b]0;x\x07", "h1"),
    )
    monkeypatch.setenv("WASUP_SOCKET", str(daemon.path))


def told(*words: str) -> list[str]:
    return [word for word, _ in completion.candidates(application(words), words)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sen"], ["send", "send-many"]),
        (["--json", "chat", "l"], ["list"]),
        (["send", ""], ["shop", "My own", "t1", "t2", "h1"]),
        (["send", "sh"], ["shop"]),
        (["send", "m"], ["m1"]),
        (["stop", "shop", "t"], ["t1", "t2"]),
        (["webhook", "create", "https://a", "--session", "s"], ["shop"]),
        (["send", "shop", "+49", "--as", "v"], ["video", "voice"]),
        (["send", "shop", "+49", "--wait", ""], ["queued", "sent", "delivered"]),
        (["send", "shop", "+49", "--file", ""], [":files"]),
        (["send", "shop", "+49", "--qu"], ["--quote"]),
        (["send", "shop", "+49", "hello", ""], []),
        (["wait", "shop", "conn"], ["connecting", "connected"]),
        (["wait", "shop", "connected", ""], []),
        (["wait", "--timeout", "5", "sh"], ["shop"]),
        (["update", "shop", "--set", "mark"], ["markRead="]),
        (
            ["watch", "--type", "session.r"],
            ["session.restarting", "session.restart_limit", "session.recovered"],
        ),
        (["call", "session.get"], ["session.get"]),
        (["config", "check", ""], [":files"]),
        (["--socket", ""], [":files"]),
        (["--so"], ["--socket"]),
        (["message", "delete", "shop", "x", "--y"], ["--yes"]),
        (["nonsense", ""], []),
    ],
)
def test_what_may_come_next(words: list[str], found: list[str]) -> None:
    assert sorted(told(*words)) == sorted(found)


def test_without_a_daemon_there_are_no_names(daemon: FakeDaemon) -> None:
    daemon.stop()
    assert told("send", "") == []
    assert told("--socket", "/nowhere", "send", "") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wasupctl ", [""]),
        ("wasupctl send My\\ ow", ["send", "My ow"]),
        ('wasupctl send "My ow', ["send", "My ow"]),
        ("wasupctl send 'My own' ", ["send", "My own", ""]),
    ],
)
def test_a_line_of_bash_is_read_as_bash_does(line: str, words: list[str]) -> None:
    assert completion.words_of(["--line", line]) == words


def test_names_come_with_what_they_are_and_no_controls(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["__complete", "--", "show", ""]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "shop\tconnected",
        "My own\tinactive",
        "t1\ttwin, inactive",
        "t2\ttwin, inactive",
        r"h1	\x1b]0;x\x07, inactive",
    ]


@pytest.fixture
def shell_env(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A PATH where wasupctl is this one."""
    program = tmp_path / "bin" / "wasupctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m daemon.cli "$@"\n')
    program.chmod(0o755)
    return {**env, "PATH": f"{program.parent}:{env['PATH']}"}


@pytest.mark.parametrize(
    ("line", "word", "reply"),
    [
        ("wasupctl sen", "sen", ["send", "send-many"]),
        ("wasupctl show My", "My", ["My\\ own"]),
        ("wasupctl update shop --set mark", "mark", ["markRead="]),
        ("wasupctl webhook create http://a --session=", "", []),
    ],
)
def test_bash(shell_env: dict[str, str], line: str, word: str, reply: list[str]) -> None:
    script = (
        "source <(wasupctl completion bash); COMP_LINE=$1 COMP_POINT=${#1}; compopt() { :; };"
        ' _wasupctl wasupctl "$2"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", line, word],  # noqa: S607 - whichever there is
        env=shell_env, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert (done.stdout.split("\n")[:-1], done.stderr) == (reply or [""], "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish(shell_env: dict[str, str]) -> None:
    script = "wasupctl completion fish | source; complete -C 'wasupctl show '"
    done = subprocess.run(
        ["fish", "-c", script],  # noqa: S607
        env=shell_env, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert {"shop\tconnected", "My own\tinactive"} <= set(done.stdout.splitlines())


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh(shell_env: dict[str, str], tmp_path: Path) -> None:
    """A whole zsh in a terminal of its own: a Tab completes the only session that begins so."""
    (tmp_path / ".zshrc").write_text(
        "autoload -Uz compinit; compinit -u\nsource <(wasupctl completion zsh)\nPS1='ready> '\n"
    )
    script = r"""
        zmodload zsh/zpty; zpty z zsh -i
        zpty -r z seen '*ready> *'; zpty -w -n z $'wasupctl show M\t'
        zpty -r z seen '*own*'; print -r -- $seen; zpty -d z
    """
    done = subprocess.run(
        ["zsh", "-fc", script],  # noqa: S607
        env=shell_env, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert "My\\ own" in done.stdout

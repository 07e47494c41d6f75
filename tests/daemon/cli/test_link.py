"""Linking: the code that a phone can scan from the terminal."""

import json
import stat
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from daemon.cli.letters import large
from protocol.errors import RpcError
from protocol.times import rfc3339

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, session
from .terminal import Screen, Terminal, decode_plain

_CODE = "2@" + "Ab3/+x" * 38 + "==,{}"


class Phone:
    """The code that is up, and its scanning."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.sessions = Sessions(daemon, session("shop", "s1"))
        self.code: str | None = None
        daemon.answers["session.start"] = self._start
        daemon.answers["session.qr"] = self._qr

    def show(self, code: str | None) -> None:
        self.code = code
        self.sessions.change("s1", status="qr_generated")

    def scan(self) -> None:
        self.sessions.change("s1", status="connected", phoneNumber="+49170")

    def _start(self, _params: Params) -> Params:
        self.sessions.change("s1", status="connecting")
        return {"status": "connecting"}

    def _qr(self, params: Params) -> Params:
        if self.code is None:
            raise RpcError("QR_CODE_EXPIRED")
        now = int(time.time() * 1000)
        return {
            "qrCode": self.code,
            "qrText": self.code,
            "format": params["format"],
            "generatedAt": rfc3339(now),
            "expiresAt": rfc3339(now + 17_000),
        }


@pytest.fixture
def phone(daemon: FakeDaemon) -> Phone:
    return Phone(daemon)


def test_the_code_is_shown_refreshed_and_gone_when_it_is_linked(env: dict[str, str], phone: Phone) -> None:
    with Terminal(["link", "shop"], {**env, "NO_COLOR": "1"}) as terminal:
        terminal.until(lambda screen: "connecting" in screen.text())
        phone.show(_CODE.format(1))
        terminal.until(lambda screen: screen.read_code() == _CODE.format(1))
        assert "expires in 17 s" in terminal.screen.text()
        phone.show(_CODE.format(2))
        terminal.until(lambda screen: screen.alternate and screen.read_code() == _CODE.format(2))
        phone.show(None)
        terminal.until(lambda screen: "new one is on its way" in screen.text() and screen.read_code() is None)
        phone.scan()
        assert terminal.end() == 0
        assert not terminal.screen.alternate
        assert terminal.screen.text() == "shop: linked to +49170."
    assert len(phone.daemon.asked("session.start")) == 1


def test_ctrl_c_leaves_the_terminal_and_the_session_as_they_were(env: dict[str, str], phone: Phone) -> None:
    phone.show(_CODE)
    with Terminal(["link", "shop"], env) as terminal:
        terminal.until(lambda screen: screen.read_code() == _CODE)
        terminal.interrupt()
        assert terminal.end() == 130
        assert terminal.screen.text() == ""
        assert not terminal.screen.alternate
    assert {method for method, _ in phone.daemon.requests} <= {
        "session.get", "session.list", "session.status", "session.qr", "session.wait",
    }  # fmt: skip


def test_termination_leaves_the_terminal_as_it_was(env: dict[str, str], phone: Phone) -> None:
    phone.show(_CODE)
    with Terminal(["link", "shop"], env) as terminal:
        terminal.until(lambda screen: screen.read_code() == _CODE)
        terminal.process.terminate()
        assert terminal.end() == 143
        assert not terminal.screen.alternate


@pytest.mark.parametrize(("columns", "lines"), [(63, 60), (100, 34)])
def test_a_tight_terminal_gets_a_narrow_quiet_zone(
    env: dict[str, str], phone: Phone, columns: int, lines: int
) -> None:
    phone.show(_CODE)
    with Terminal(["link", "shop"], env, columns, lines) as terminal:
        terminal.until(lambda screen: screen.read_code() == _CODE)


def test_a_terminal_that_is_too_small_is_told_so(env: dict[str, str], phone: Phone, tmp_path: Path) -> None:
    phone.show(_CODE)

    def told(screen: Screen) -> bool:
        return "this terminal has 80 and 24" in screen.text() and "--png" in screen.text()

    with Terminal(["link", "shop", "--png", str(tmp_path / "code.png")], env, 80, 24) as terminal:
        terminal.until(told)
        phone.scan()
        assert terminal.end() == 0
    picture = tmp_path / "code.png"
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    with Image.open(picture) as image:
        assert zxingcpp.read_barcodes(image)[0].text == _CODE
    assert list(tmp_path.glob(".code*")) == []


def test_what_is_no_terminal_gets_each_code_once(env: dict[str, str], phone: Phone) -> None:
    phone.show(_CODE.format(1))
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "link", "shop"], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        phone.daemon.wait_answered("session.qr", 2)
        phone.show(_CODE.format(2))
        phone.daemon.wait_answered("session.qr", len(phone.daemon.asked("session.qr")) + 2)
        phone.scan()
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "\x1b" not in out
    parts = out.split("scan this code.\n")[1:]
    codes = [decode_plain(part.partition("This code expires")[0]) for part in parts]
    assert codes == [_CODE.format(1), _CODE.format(2)]
    assert out.endswith("shop: linked to +49170.\n")


def test_json_is_a_line_each_code_and_the_status(env: dict[str, str], phone: Phone) -> None:
    phone.show(_CODE)
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "link", "shop", "--json"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["qrText"] == _CODE
        phone.scan()
        assert json.loads(process.stdout.readline())["status"] == "connected"
        assert process.stdout.read() == ""
    assert process.returncode == 0


class Pairing(Phone):
    """A code that is typed."""

    def __init__(self, daemon: FakeDaemon) -> None:
        super().__init__(daemon)
        daemon.answers["session.pair"] = self._pair

    def _pair(self, params: Params) -> Params:
        assert params["phoneNumber"] == "+49170"
        if self.code is None:
            raise RpcError("QR_NOT_AVAILABLE")
        return {"pairingCode": self.code, "expiresAt": rfc3339(int(time.time() * 1000) + 195_000)}


def test_a_code_to_type_is_large_and_gone_when_it_is_linked(env: dict[str, str], daemon: FakeDaemon) -> None:
    phone = Pairing(daemon)
    with Terminal(["link", "shop", "--phone", "+49170"], env) as terminal:
        phone.show("ABCD1234")
        terminal.until(lambda screen: "ABCD-1234" in screen.text() and "█████  ████   █" in screen.text())
        assert "expires in 195 s" in terminal.screen.text()
        phone.sessions.change("s1", status="connecting")  # the browser was restarted
        terminal.until(lambda screen: "do not type it any more" in screen.text())
        assert "ABCD" not in terminal.screen.text()
        phone.show("WXYZ5678")
        terminal.until(lambda screen: "WXYZ-5678" in screen.text())
        phone.scan()
        assert terminal.end() == 0
        assert terminal.screen.text() == "shop: linked to +49170."
    assert daemon.asked("session.qr") == []


def test_what_is_no_terminal_gets_each_code_to_type_once(env: dict[str, str], daemon: FakeDaemon) -> None:
    phone = Pairing(daemon)
    phone.show("ABCD1234")
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "link", "shop", "--phone", "+49170"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        daemon.wait_answered("session.pair", 2)
        phone.scan()
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.count("\nABCD-1234\n") == 1
    assert out.endswith("shop: linked to +49170.\n")


@pytest.mark.parametrize("error", ["PAGE_ERROR", "INVALID_PARAMS"])
def test_a_number_that_is_refused_is_told(run: Run, phone: Phone, error: str) -> None:
    phone.show(_CODE)
    phone.daemon.answers["session.pair"] = RpcError(error, "not this number")
    done = run("link", "shop", "--phone", "1")
    assert done.returncode == 1
    assert f"{error}: not this number" in done.stderr


def test_every_letter_of_a_code_can_be_drawn() -> None:
    drawings = {letter: tuple(large(letter)) for letter in string.digits + string.ascii_uppercase + "-"}
    assert len(set(drawings.values())) == len(drawings)
    for lines in drawings.values():
        assert [len(line) for line in lines] == [5] * 5
    assert [len(line) for line in large("ABCD-1234")] == [61] * 5
    assert list(large("é")) == ["é"]


def test_a_session_that_is_linked_needs_no_code(run: Run, phone: Phone) -> None:
    phone.scan()
    done = run("link", "shop")
    assert (done.returncode, done.stdout) == (0, "shop: linked to +49170.\n")
    assert phone.daemon.asked("session.qr") == []


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("disconnected", "RESTART_LIMIT_EXCEEDED", "RESTART_LIMIT_EXCEEDED: The session died too often"),
        ("inactive", "PHONE_NUMBER_IN_USE", "PHONE_NUMBER_IN_USE: Another session"),
        ("inactive", "STOPPED", "shop is inactive (STOPPED): there is no code."),
    ],
)
def test_a_session_that_will_not_come_ends_it(
    run: Run, phone: Phone, status: str, reason: str, told: str
) -> None:
    def start(_params: Params) -> Params:
        phone.sessions.change("s1", status=status, reason=reason)
        return {"status": "connecting"}

    phone.daemon.answers["session.start"] = start
    done = run("link", "shop")
    assert done.returncode == 1
    assert done.stderr.startswith(f"wasupctl: {told}")


def test_a_start_that_is_refused_is_told(run: Run, phone: Phone) -> None:
    phone.daemon.answers["session.start"] = RpcError("BROWSER_UNAVAILABLE")
    done = run("link", "shop")
    assert done.returncode == 1
    assert "BROWSER_UNAVAILABLE" in done.stderr

"""wasupctl doctor: what is wrong is found, said, and comes with what to do."""

import http.server
import json
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon import doctor
from daemon.config import parse
from daemon.doctor import Check, Patient
from supervisors.chrome.sandbox import Kernel
from tests.daemon.cli.conftest import Run, env, run  # noqa: F401  fixtures

Server = Callable[[int], str]


@pytest.fixture
def server() -> Iterator[Server]:
    """A WhatsApp of this machine, whose clock is some seconds away."""
    running: list[http.server.HTTPServer] = []

    def start(skew_s: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(200)
                self.end_headers()

            def date_time_string(self, timestamp: float | None = None) -> str:

                return super().date_time_string(time.time() + skew_s)

            def log_message(self, *_args: object) -> None:
                pass

        running.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever).start()
        return f"http://127.0.0.1:{running[-1].server_port}/"

    yield start
    for each in running:
        each.shutdown()
        each.server_close()


def patient(tmp_path: Path, text: str = "", **more: object) -> Patient:
    state_dir = tmp_path / "state"
    text = f'[daemon]\nstate_dir = "{state_dir}"\n[rpc]\nsocket = "{tmp_path}/wasup.sock"\n{text}'
    return Patient(config=parse(text, {}), state_dir=state_dir, **more)  # type: ignore[arg-type]


async def found(name: str, who: Patient, monkeypatch: pytest.MonkeyPatch) -> Check:
    """The one finding of a check; an action comes with whatever is not ok."""
    monkeypatch.setattr(doctor, "_CHECKS", {name: doctor._CHECKS[name]})
    (check,) = await doctor.examine(who)
    assert check.name == name
    assert (check.action is None) == (check.status == "ok"), check
    return check


async def test_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[browser]\npath = "/nowhere/chrome"'
    check = await found("browser", patient(tmp_path, text), monkeypatch)
    assert (check.status, "/nowhere/chrome" in check.message) == ("error", True)
    check = await found_anew("sandbox", patient(tmp_path, text + "\nsandbox = false"), monkeypatch)
    assert check.status == "warning"


async def found_anew(name: str, who: Patient, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.undo()
    return await found(name, who, monkeypatch)


@pytest.mark.parametrize(
    ("kernel", "status"),
    [
        (Kernel(1000, 1, 0), "ok"),
        (Kernel(1000, None, None), "ok"),
        (Kernel(0, 1, 0), "error"),
        (Kernel(1000, 0, 0), "error"),
        (Kernel(1000, 1, 1), "warning"),
    ],
)
async def test_user_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: Kernel, status: str
) -> None:
    monkeypatch.setattr("supervisors.chrome.sandbox.read_kernel", lambda: kernel)
    assert (await found("user namespaces", patient(tmp_path), monkeypatch)).status == status


@pytest.mark.parametrize(("controllers", "status"), [(None, "warning"), ("cpu", "warning"), ("memory", "ok")])
async def test_cgroups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: str | None, status: str
) -> None:
    monkeypatch.setattr(doctor, "CGROUPS", tmp_path)
    if controllers is not None:
        (tmp_path / "cgroup.controllers").write_text(controllers)
    assert (await found("cgroup", patient(tmp_path), monkeypatch)).status == status


@pytest.mark.parametrize(("mib", "status"), [(100, "error"), (500, "warning"), (4000, "ok")])
async def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int, status: str) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=mib * 2**20))
    assert (await found("memory", patient(tmp_path), monkeypatch)).status == status


@pytest.mark.parametrize(("size", "status"), [(1000, "error"), (100 * 2**20, "warning"), (2**40, "ok")])
async def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, status: str) -> None:
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage(size))
    assert (await found("disk", patient(tmp_path), monkeypatch)).status == status


@pytest.mark.parametrize(("skew_s", "status"), [(0, "ok"), (120, "warning"), (-4000, "error")])
async def test_the_clock_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, skew_s: int, status: str
) -> None:
    text = f'[whatsapp]\nurl = "{server(skew_s)}"'
    assert (await found("clock", patient(tmp_path, text), monkeypatch)).status == status
    assert (await found_anew("network", patient(tmp_path, text), monkeypatch)).status == "ok"


async def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[whatsapp]\nurl = "http://127.0.0.1:9/"'
    assert (await found("network", patient(tmp_path, text), monkeypatch)).status == "error"
    check = await found_anew("clock", patient(tmp_path, text), monkeypatch)
    assert check.status in ("ok", "warning")  # the kernel is asked instead


async def test_no_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FONTS", (str(tmp_path),))
    assert (await found("fonts", patient(tmp_path), monkeypatch)).status == "warning"


async def test_no_page_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'[whatsapp]\npage_library = "{tmp_path}/none.js"'
    assert (await found("page library", patient(tmp_path, text), monkeypatch)).status == "error"


@pytest.mark.parametrize("place", [".", "wasup.db", "sessions/shop/media/3EB0", "backups/shop.tar"])
async def test_what_others_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    who = patient(tmp_path)
    for directory in ("sessions/shop/media", "backups"):
        (who.state_dir / directory).mkdir(parents=True)
    for file in ("wasup.db", "sessions/shop/media/3EB0", "backups/shop.tar"):
        (who.state_dir / file).touch(mode=0o600)
    for path in (who.state_dir, *who.state_dir.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert (await found("permissions", who, monkeypatch)).status == "ok"
    target = who.state_dir / place
    target.chmod(0o755 if target.is_dir() else 0o640)
    if place.count("/") == 3:  # behind directories that are nobody else's
        return
    check = await found_anew("permissions", who, monkeypatch)
    assert (check.status, str(target) in check.message) == ("error", True)


async def test_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who = patient(tmp_path)
    assert (await found("leftovers", who, monkeypatch)).status == "ok"
    (tmp_path / "wasup.sock").touch()
    assert (await found_anew("leftovers", who, monkeypatch)).status == "warning"
    (who.state_dir / "sessions" / ".removed").mkdir(parents=True)
    lives = patient(tmp_path, health={"version": "1"}, sessions=frozenset({"shop"}))
    assert (await found_anew("leftovers", lives, monkeypatch)).status == "ok"
    (who.state_dir / "sessions" / "ghost").mkdir(parents=True)
    lives = patient(tmp_path, health={"version": "1"}, sessions=frozenset({"shop"}))
    check = await found_anew("leftovers", lives, monkeypatch)
    assert (check.status, "ghost" in check.message) == ("warning", True)


async def test_what_the_daemon_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"code": "DISK_LOW", "message": "3 MiB are left", "action": "Free space."}
    who = patient(tmp_path, health={"version": "1", "problems": [problem]})
    check = await found("daemon", who, monkeypatch)
    assert (check.status, check.action) == ("warning", "Free space.")
    assert (await found_anew("daemon", patient(tmp_path), monkeypatch)).status == "warning"


async def test_a_check_that_fails_is_an_error_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("shutil.disk_usage", broken)
    chosen = {name: doctor._CHECKS[name] for name in ("disk", "leftovers")}
    monkeypatch.setattr(doctor, "_CHECKS", chosen)
    assert [check.status for check in await doctor.examine(patient(tmp_path))] == ["error", "ok"]


def test_the_command_ends_with_1_for_an_error(run: Run, tmp_path: Path, server: Server) -> None:  # noqa: F811
    file = tmp_path / "config.toml"
    text = f'[daemon]\nstate_dir = "{tmp_path}/state"\n[whatsapp]\nurl = "{server(0)}"\n'
    file.write_text(text)
    done = run("doctor", "--config", str(file), "--json")
    told = json.loads(done.stdout)
    assert {check["name"] for check in told["checks"]} == {"configuration", *doctor._CHECKS}
    assert done.returncode == (told["status"] == "error")
    file.write_text(text + '[browser]\npath = "/nowhere/chrome"\n')
    done = run("doctor", "--config", str(file))
    assert done.returncode == 1
    assert "/nowhere/chrome" in done.stdout
    assert done.stderr == ""
    file.write_text("[browser]\npth = 1\n")
    done = run("doctor", "--config", str(file))
    assert (done.returncode, "browser.path" in done.stdout) == (1, True)

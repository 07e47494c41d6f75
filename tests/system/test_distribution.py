"""The wheel: what is in it, and that it runs where nothing else of the checkout is."""

import csv
import io
import re
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd

REPOSITORY = Path(__file__).parents[2]
LIBRARY = "supervisors/whatsapp/node_modules/@wppconnect/wa-js"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes."""
    directory = tmp_path_factory.mktemp("dist")
    _pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(REPOSITORY))
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(params=["light", pytest.param("whole", marks=pytest.mark.slow)])
def program(
    request: pytest.FixtureRequest, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """wasupd in an environment of its own, run from a directory of its own.

    Light: the dependencies are lent by the environment of the tests. Whole: it gets its own.
    """
    home = tmp_path / "installed"
    venv.create(home, with_pip=False, symlinks=True)
    python = str(home / "bin/python")
    if request.param == "light":
        _pip("--python", python, "install", "--no-index", "--no-deps", str(wheel))
        (packages,) = home.glob("lib/python*/site-packages")
        (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))  # no .pth in there is read
    else:
        pins = re.findall(r"^[\w.-]+==\S+", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
        (tmp_path / "pins.txt").write_text("\n".join(pins))
        _pip("--python", python, "install", "--constraint", str(tmp_path / "pins.txt"), str(wheel))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    yield home / "bin/wasupd"
    assert not list(elsewhere.iterdir())


def _pip(*arguments: str) -> None:
    line = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_carries_what_runs_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        files = [row[0] for row in csv.reader(io.StringIO(archive.read(record).decode()))]
        assert sorted(files) == sorted(archive.namelist())
        for licence in ("LICENSE", "dist/wppconnect-wa.js.LICENSE.txt", "dist/wppconnect-wa.js"):
            name = f"{LIBRARY}/{licence}"
            assert archive.read(name) == (REPOSITORY / name).read_bytes()
        pinned = f"wa-js v{_pinned()} ".encode()
        assert pinned in archive.read(f"{LIBRARY}/dist/wppconnect-wa.js")[:200]
    assert {name.split("/")[0] for name in files} == {
        "daemon",
        "supervisors",
        "protocol",
        record.split("/")[0],
    }
    others = [name for name in files if not name.endswith(".py") and ".dist-info/" not in name]
    assert {_kind(name) for name in others} == {
        "daemon/store/migrations/*.sql",
        "protocol/*.typed",
        "supervisors/whatsapp/*.js",
        "supervisors/whatsapp/*.json",
        "supervisors/whatsapp/bridge/*.js",
        f"{LIBRARY}/LICENSE",
        f"{LIBRARY}/dist/*.js",
        f"{LIBRARY}/dist/*.txt",
    }
    assert [name for name in others if "node_modules" in name and name.endswith(".js")] == [
        f"{LIBRARY}/dist/wppconnect-wa.js"
    ]
    # Everything that is committed of the packages is there, too.
    committed = subprocess.run(
        ["git", "ls-files", "daemon", "supervisors", "protocol"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(committed) <= set(files)


def _kind(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"*{path.suffix}")) if path.suffix else name


def _pinned() -> str:
    text = (REPOSITORY / "supervisors/whatsapp/package.json").read_text()
    found = re.search(r'"@wppconnect/wa-js": "([\d.]+)"', text)
    assert found is not None
    return found[1]


@pytest.mark.chrome
async def test_it_runs_where_the_checkout_is_not(
    program: Path, sim: Simulator, wasupd: Wasupd, call: Caller
) -> None:
    check = [str(program), "--config", str(wasupd.config), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)  # noqa: ASYNC221  # a moment
    assert done.returncode == 0, done.stderr
    where = [str(program.with_name("python")), "-c", "import daemon, supervisors; print(daemon.__file__)"]
    place = subprocess.run(where, capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221
    assert Path(place.strip()).is_relative_to(program.parents[1])
    assert program.with_name("wasupctl").exists()
    health = await call("daemon.health")
    assert health["page"]["version"] == _pinned()
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    assert (await call.send("shop", ADA, "hello", wait="delivered"))["status"] == "delivered"

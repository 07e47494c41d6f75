"""The Debian package: installed, used, upgraded, removed and purged on a machine of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator import Simulator
from tests.system.conftest import SHOP
from tests.systemd.conftest import REPOSITORY
from tests.systemd.machine import Machine, Unable, booted
from tests.systemd.service import GROUP, client, configure

pytestmark = [pytest.mark.chrome, pytest.mark.slow]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the package in /root, and one that is newer by its number."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    dist, tree = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("tree")
    tree.chmod(0o755)
    (tree / "root").mkdir(mode=0o700)
    environment = {**os.environ, "DIST": str(dist)}
    for command in (
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), "."],
        ["bash", "tools/deb.sh", sys.prefix, str(dist)],
    ):
        subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    (package,) = dist.glob("*.deb")
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(dist / "raw")], check=True)  # noqa: S607
    control = dist / "raw/DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 99."))
    new = [
        "dpkg-deb",
        "--root-owner-group",
        "--build",
        "-Znone",
        str(dist / "raw"),
        str(tree / "root/new.deb"),
    ]
    subprocess.run(new, check=True)
    shutil.copy(package, tree / "root/wasup.deb")
    return tree


def test_lintian_finds_no_error(packages: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    command = ["lintian", "--fail-on=error", "--allow-root", str(packages / "root/wasup.deb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_from_installation_to_purge(packages: Path, sim: Simulator) -> None:
    try:
        with booted(packages) as machine:
            await _live_through(machine, sim)
    except Unable as reason:
        pytest.skip(str(reason))


async def _live_through(machine: Machine, sim: Simulator) -> None:
    machine.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)  # of containers: it forbids starts
    await machine.run("dpkg", "--install", "/root/wasup.deb")
    assert await machine.property("ActiveState") == "active"
    assert await machine.property("UnitFileState") == "enabled"
    assert await machine.property("UnitFileState", "wasupd.socket") == "enabled"
    assert (await machine.run("stat", "--format=%U:%G %a", "/etc/wasup/config.toml")) == "root:wasupd 640\n"
    configure(machine, sim)
    await machine.systemctl("restart", "wasupd.service")
    async with client(machine) as call:
        await call.create("shop")
        await call.link("shop", sim.phone(SHOP))
    before = await machine.property("MainPID")

    await machine.run("dpkg", "--install", "/root/new.deb")
    assert await machine.property("MainPID") != before
    async with client(machine) as call:
        await call.wait("shop", "connected")
        assert len((await call("events.list", types=["session.qr"], after=0))["events"]) == 1

    await machine.run("dpkg", "--remove", "wasup")
    assert machine.pids(GROUP) == []
    assert not machine.path("/usr/lib/wasup").exists()
    assert not machine.path("/run/wasup/wasup.sock").exists()
    assert machine.path("/var/lib/wasup/wasup.db").exists()
    await machine.run("dpkg", "--install", "/root/wasup.deb")
    async with client(machine) as call:
        await call.wait("shop", "connected")

    await machine.run("dpkg", "--purge", "wasup")
    left = await machine.run(
        *("find", "/etc", "/usr", "/var/lib", "/var/cache", "/run", "-iname", "*wasup*"),
        *("-not", "-path", "/run/systemd/*"),
    )
    assert left == ""

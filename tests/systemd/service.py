"""wasup on a machine, as an administrator has it: set up, started, asked."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import psutil

from protocol.client.aio import connect
from tests.simulator import Simulator
from tests.system.wasupd import Caller
from tests.systemd.machine import Machine

GROUP = "/system.slice/wasupd.service"


def configure(machine: Machine, sim: Simulator) -> None:
    """Write a configuration for the simulator."""
    config = f'[browser]\nextra_args = {json.dumps(sim.chrome_args)}\n[log]\nlevel = "debug"\n'
    config += "[restart]\ncooldown = 0.2\nsettle = 0.1\n"
    machine.path("/etc/wasup/config.toml").write_text(config)


async def set_up(machine: Machine, sim: Simulator, **unit: str) -> None:
    """What `make install` and `systemctl enable` do on a machine, and a configuration for the simulator."""
    await machine.run("systemd-sysusers")
    await machine.run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/wasup.conf")
    configure(machine, sim)
    if unit:
        lines = "\n".join(f"{name}={value}" for name, value in unit.items())
        directory = machine.path("/etc/systemd/system/wasupd.service.d")
        directory.mkdir()
        (directory / "test.conf").write_text(f"[Service]\n{lines}\n")
    await machine.systemctl("daemon-reload")
    await machine.systemctl("enable", "--quiet", "wasupd.service")
    await machine.systemctl("start", "wasupd.service")


@asynccontextmanager
async def client(machine: Machine) -> AsyncIterator[Caller]:
    async with connect(machine.socket) as connection:
        yield Caller(connection)


def browsers(machine: Machine, kind: str = "") -> list[psutil.Process]:
    """The browsers' processes under the service, or those of one kind such as `renderer`."""
    return [process for process, words in _processes(machine, "chrom") if f"--type={kind}" in " ".join(words)]


def daemon(machine: Machine) -> int:
    """The daemon's pid as it is seen from here."""
    ((process, _),) = [*_processes(machine, "wasupd")]
    return process.pid


def _processes(machine: Machine, name: str) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Those under the service with this in their name, and their command lines."""
    for pid in machine.pids(GROUP):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            process = psutil.Process(pid)
            if name in process.name():
                yield process, process.cmdline()

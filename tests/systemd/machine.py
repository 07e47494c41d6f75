"""A machine of its own for a test: a real systemd in namespaces, and on it the daemon as it is installed."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

BOOT = Path(__file__).with_name("boot.sh")
UNABLE = 77
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Unable(Exception):
    """No private systemd can be had here; the message says why."""


class Machine:
    """A booted systemd. `root` is its file system as it is seen from here."""

    def __init__(self, init: int, group: Path) -> None:
        self._init = init
        self._group = group
        self.root = Path(f"/proc/{init}/root")

    @property
    def socket(self) -> str:
        """The daemon's socket as it is reached from here; the kernel sees the caller as root."""
        return str(self.root / "run/wasup/wasup.sock")

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    async def run(self, *command: str, user: str | None = None, status: int | None = 0) -> str:
        """Run a command on the machine and return what it wrote; its exit status must be `status`."""
        if user is not None:
            command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command)
        with trio.fail_after(120):
            done = await trio.run_process(
                [*("nsenter", "-t", str(self._init), "-m", "-u", "-i", "-p", "-C", "--"), *command],
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
                env=ENVIRONMENT,
                preexec_fn=self._enter,
            )
        said = done.stdout.decode(errors="replace")
        assert status is None or done.returncode == status, said
        return said

    def _enter(self) -> None:
        (self._group / "cgroup.procs").write_text("0")

    async def systemctl(self, *arguments: str, status: int | None = 0) -> str:
        return await self.run("systemctl", "--no-pager", *arguments, status=status)

    async def property(self, name: str, unit: str = "wasupd.service") -> str:
        return (await self.systemctl("show", "--value", "--property", name, unit)).strip()

    async def journal(self, *matches: str) -> list[dict[str, Any]]:
        """What journalctl finds, as it writes it with `-o json`."""
        await self.run("journalctl", "--sync")
        lines = await self.run("journalctl", "--no-pager", "--all", "--output=json", *matches)
        return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]

    def inside(self, pid: int) -> int:
        """The number that a process has on the machine."""
        (line,) = re.findall(r"^NSpid:.*$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(line.split()[2])

    def pids(self, cgroup: str) -> list[int]:
        """The processes, by their numbers out here, of a control group of the machine and of all below it."""
        top = self._group.parent / cgroup.lstrip("/")
        found = []
        for procs in top.rglob("cgroup.procs"):
            with suppress(OSError):  # the group has been removed since it was listed
                found += [int(pid) for pid in procs.read_text().split() if int(pid)]
        return found

    def cgroups(self, cgroup: str) -> list[str]:
        """The control groups below one of the machine."""
        top = self._group.parent / cgroup.lstrip("/")
        return sorted(str(each.relative_to(top)) for each in top.rglob("*") if each.is_dir())


@contextmanager
def booted(tree: Path) -> Iterator[Machine]:
    """Boot on an overlay of this machine, the files of `tree` put into it; power off afterwards.

    Raises:
        Unable: it cannot be done here.
    """
    boot = subprocess.Popen(
        ["bash", str(BOOT), str(tree)],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "PATH": os.environ["PATH"]},
    )
    assert boot.stdout is not None
    assert boot.stderr is not None
    try:
        init, _, group = boot.stdout.readline().strip().partition(" ")
        if not init:
            reason = boot.communicate()[1].strip()
            assert boot.returncode == UNABLE, reason
            raise Unable(reason)
        yield Machine(int(init), Path(group))
    finally:
        if boot.returncode is None:
            boot.communicate()

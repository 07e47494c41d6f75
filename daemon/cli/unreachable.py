"""Why no daemon answers, and what the person at the terminal can do about it."""

import errno
import grp
import os
from collections.abc import Sequence
from pathlib import Path

from protocol.client.errors import DaemonUnreachable

_DENIED = os.strerror(errno.EACCES)
_REFUSED = os.strerror(errno.ECONNREFUSED)


def explain(error: DaemonUnreachable) -> str:
    """Return several lines: the sockets that were tried, what was wrong with each, what to do."""
    lines = ["The daemon cannot be reached. Tried:"]
    lines += [f"  {path}: {_why(reason)}" for path, reason in error.tried]
    denied = [path for path, reason in error.tried if reason == _DENIED]
    if denied:
        lines += _permission(denied[0])
    else:
        lines += [
            f"Start it: {_how_to_start()}.",
            "If it runs elsewhere, name its socket with --socket or $WASUP_SOCKET.",
        ]
    return "\n".join(lines)


_UNIT_DIRS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_UNIT = "wasupd.service"


def log_advice() -> str:
    """Return how to see the daemon's log."""
    if has_unit():
        return "Look at the daemon's log: `journalctl -u wasupd`."
    return "Look at what the daemon writes to its standard error."


def has_unit() -> bool:
    """Return whether this machine's systemd knows the daemon."""
    return any((Path(place) / _UNIT).exists() for place in _UNIT_DIRS)


def _how_to_start() -> str:
    return "`systemctl start wasupd`" if has_unit() else "`wasupd`, or `make run` in a checkout"


def _why(reason: str) -> str:
    return f"{reason} (a socket is there, no daemon behind it)" if reason == _REFUSED else reason


def _permission(path: str) -> Sequence[str]:
    group = _group_of(Path(path))
    if group is None:
        return ["You may not open this socket. Ask the administrator, or run wasupctl as root."]
    name, mine = group
    if not mine:
        return [
            f"You are not in the group {name}, which may use the daemon.",
            f"Have the administrator run `usermod -aG {name} {_user()}`, then log in again.",
        ]
    return [f"You are in the group {name}; if you have joined it just now, log in again."]


def _group_of(socket: Path) -> tuple[str, bool] | None:
    """Return the group of what cannot be passed, if it is a group's business, and whether we are in it."""
    for place in (socket, socket.parent):
        try:
            gid = place.stat().st_gid
        except OSError:
            continue
        if gid == 0:
            return None
        try:
            group = grp.getgrgid(gid)
        except KeyError:
            return f"{gid}", gid in os.getgroups()
        return group.gr_name, gid in os.getgroups() or _user() in group.gr_mem
    return None


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())

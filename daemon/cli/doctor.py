"""The command that looks for what could keep sessions from running."""

import logging
import os
from pathlib import Path
from typing import Any

from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError

from .failures import Failure
from .invocation import QUERY_S, At, Invocation
from .unreachable import has_unit

_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}
_UNITS_STATE = "/var/lib/wasup"
_MOST = 1000


def doctor(*, config: Path | None = None, at: At) -> None:
    """Look at browser, sandbox, memory, disk, clock, network and more, with or without a running daemon.

    Each is ok, a warning, or an error, with what to do. The exit code is 1 if there is an error.

    Args:
        config: The daemon's file; else $WASUP_CONFIG, else /etc/wasup/config.toml, else the defaults.
    """
    import attrs
    import structlog

    from daemon import config as configuration
    from daemon import doctor as doctoring

    # Its findings are the answer; what the parts would log is not.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    env = dict(os.environ)
    if has_unit():
        env.setdefault("STATE_DIRECTORY", _UNITS_STATE)
    try:
        found = configuration.load(config, env)
    except configuration.ConfigError as error:
        checks = [
            doctoring.Check("configuration", "error", str(error), "Correct it; the daemon would not start")
        ]
    else:
        named = f"{found.file or 'The built-in defaults'}: good."
        health, sessions = _ask(at)
        patient = doctoring.Patient(
            config=found,
            state_dir=Path(health["store"]["path"]).parent if health else found.state_dir,
            health=health,
            sessions=sessions,
        )
        checks = [doctoring.Check("configuration", "ok", named), *doctoring.run(patient)]
    status = doctoring.worst(checks)

    def show() -> None:
        width = max(len(check.name) for check in checks)
        for check in checks:
            status = f"{check.status:7}", _STYLES[check.status]
            at.out.cells(status, f"{check.name:{width}}", check.message, hang=width + 9)
            if check.action is not None and check.status != "ok":
                at.out.cells(" " * (width + 8), check.action, hang=width + 9)

    at.result({"status": status, "checks": [attrs.asdict(check) for check in checks]}, show)
    if status == "error":
        raise Failure("")


def _ask(at: Invocation) -> tuple[dict[str, Any] | None, frozenset[str] | None]:
    """Return what the daemon tells of itself, and its sessions' ids where they are all to be seen."""
    try:
        with at.connect() as client:
            health: dict[str, Any] = client.call("daemon.health", within_s=QUERY_S)
            if client.call("daemon.whoami", within_s=QUERY_S)["role"] != "admin":
                return health, None
            listed = client.call("session.list", limit=_MOST, within_s=QUERY_S)
    except (DaemonUnreachable, ConnectionLost, CallTimeout, RpcError):
        return None, None
    ids = frozenset(session["id"] for session in listed["sessions"])
    return health, ids if len(ids) == listed["total"] else None

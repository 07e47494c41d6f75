"""The command that shows what the daemon's log said of a session."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError

from .figures import local
from .invocation import QUERY_S, At, Invocation
from .lookup import find
from .output import tell
from .unreachable import log_advice

AGAIN_S: Final = 1
"""Between two questions for what is new, and two attempts to reach a daemon that has gone."""

MOST: Final = 1000
"""Lines that are asked for at once: more than the daemon keeps of a session, but for very short ones."""

LEVEL_STYLES: Final = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}

_HANG: Final = 6
"""How far in stands what the terminal's line has no room for."""

LogLine = dict[str, Any]


def log(
    session: str,
    /,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative="")] = False,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=MOST))] = 100,
    at: At,
) -> None:
    """Show what the daemon's log said of a session, the newest last.

    The daemon keeps the latest 64 KiB of each session as long as it runs. All of the log, of the daemon too,
    goes to its standard error: under systemd, `journalctl -u wasupd`. With --follow and --json, each line of
    the log is a line of JSON.

    Args:
        session: The session's id or name.
        follow: Go on with what is said from now on, until Ctrl-C, also when the daemon goes and comes back.
        limit: How many lines at most, of those that there are.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call("session.log", sessionId=found["id"], limit=limit, within_s=QUERY_S)
    records = answer["records"]
    if follow:
        for record in _following(at, found["id"], records):
            if at.as_json:
                at.out.json_line(record)
            else:
                _show(at, record)
        return

    def show() -> None:
        for record in records:
            _show(at, record)
        if not records:
            tell(f"{found['name']}: nothing was said of it since the daemon was started. {log_advice()}")

    at.result(answer, show)


def _following(at: Invocation, session_id: str, begun: list[LogLine]) -> Iterator[LogLine]:
    """Yield lines for ever; a daemon that is gone is waited for."""
    records, gone = begun, False
    after = 0
    while True:
        for record in records:
            after = record["seq"]
            yield record
        records = []
        time.sleep(AGAIN_S)
        try:
            with at.connect() as client:
                if gone:
                    tell("wasupctl: The daemon is back; going on.")
                    gone = False
                records = client.call(
                    "session.log", sessionId=session_id, after=after, limit=MOST, within_s=QUERY_S
                )["records"]
        except (DaemonUnreachable, ConnectionLost, CallTimeout) as error:
            if not gone:
                reason = str(error).split("\n", 1)[0].rstrip(".")
                tell(f"wasupctl: {reason}. Waiting for the daemon to come back.")
                gone = True
        except RpcError as error:
            if error.code != "SHUTTING_DOWN":
                raise


def _show(at: Invocation, record: LogLine) -> None:
    level = record["level"]
    head = local(record["timestamp"]), (f"{level:7}", LEVEL_STYLES.get(level, "")), (record["event"], "bold")
    at.out.cells(*head, *filter(None, [said(record)]), hang=_HANG)
    for line in more(record):
        at.out.cells(line, hang=_HANG)


def said(record: LogLine) -> str:
    """Return what a line of the log says of its event in one line: `attempt=1 reason=NETWORK`."""
    told = (
        (key, value) for key, value in record["data"].items() if value is not None and not _is_long(value)
    )
    return " ".join(f"{key}={_value(value)}" for key, value in told)


def more(record: LogLine) -> Iterator[str]:
    """Yield what it says in several lines: tracebacks, and what a browser wrote at its end."""
    for key, value in record["data"].items():
        if _is_long(value):
            yield f"    {key}:"
            yield from (f"      {line}" for line in value.splitlines())


def _is_long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _value(value: object) -> str:
    if isinstance(value, str) and value and " " not in value:
        return value
    return msgspec.json.encode(value).decode()

"""The commands that start, stop, restart and reload sessions, unlink them, and clean up after them."""

import base64
import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import Failure
from .files import write_private
from .invocation import QUERY_S, At, Invocation
from .lookup import Session, find
from .output import tell
from .refusal import refused

Seconds = Annotated[float, Parameter(validator=Number(gte=0, lte=86400))]
Wait = Annotated[bool, Parameter(negative="--no-wait")]
Sessions = Annotated[str, Parameter(required=True)]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), negative="")]

_LONG_S = 600
"""Seconds for what waits for backups and for browsers to close."""


def start(*sessions: Sessions, wait: Wait = False, timeout: Seconds = 90, at: At) -> None:
    """Start sessions.

    With --json the result is a list of {sessionId, status}, or {sessionId, error} for one that failed.

    Args:
        sessions: Ids or names of sessions.
        wait: Come back when a QR code is up, the session is connected, or it failed; else at once.
        timeout: Seconds to wait for each.
    """
    _each(at, "session.start", sessions, {"wait": wait, "timeout": timeout}, timeout)


def stop(*sessions: Sessions, timeout: Seconds = 90, at: At) -> None:
    """Stop sessions; comes back when their browsers are gone.

    With --json the result is a list of {sessionId, status}, or {sessionId, error} for one that failed.

    Args:
        sessions: Ids or names of sessions.
        timeout: Seconds to wait for each.
    """
    _each(at, "session.stop", sessions, {"timeout": timeout}, timeout)


def restart(*sessions: Sessions, wait: Wait = False, timeout: Seconds = 90, at: At) -> None:
    """Give sessions a new browser; starts those that are stopped.

    With --json the result is a list of {sessionId, status}, or {sessionId, error} for one that failed.

    Args:
        sessions: Ids or names of sessions.
        wait: Come back when a QR code is up, the session is connected, or it failed; else at once.
        timeout: Seconds to wait for each.
    """
    _each(at, "session.restart", sessions, {"wait": wait, "timeout": timeout}, timeout)


def reload(*sessions: Sessions, wait: Wait = False, timeout: Seconds = 90, at: At) -> None:
    """Load the pages of sessions again, in the same browsers.

    With --json the result is a list of {sessionId, status}, or {sessionId, error} for one that failed.

    Args:
        sessions: Ids or names of sessions.
        wait: Come back when a QR code is up, the session is connected, or it failed; else at once.
        timeout: Seconds to wait for each.
    """
    _each(at, "session.reload", sessions, {"wait": wait, "timeout": timeout}, timeout)


def logout(session: str, /, *, yes: Yes = False, at: At) -> None:
    """Unlink a session, on the phone too; it goes on to a new QR code. Its messages are kept.

    Args:
        session: The session's id or name.
        yes: Do not ask.
    """
    with at.connect() as client:
        found = find(client, session)
        at.confirm(f"Unlink {_described(found)}? To link it again takes the phone.", yes=yes)
        result = client.call("session.logout", sessionId=found["id"], within_s=_LONG_S)
    at.result(result, lambda: at.out.line(f"{found['name']}: unlinked; {_outcome(found, result['status'])}"))


def clear_auth(session: str, /, *, yes: Yes = False, at: At) -> None:
    """Wipe what a session's browser has stored, its login included, after a backup. Its messages are kept.

    The phone still lists the old device: `wasupctl logout` takes it off, where that still works.

    Args:
        session: The session's id or name.
        yes: Do not ask.
    """
    with at.connect() as client:
        found = find(client, session)
        at.confirm(f"Wipe the login of {_described(found)}? A backup is made first.", yes=yes)
        result = client.call("session.clearAuth", sessionId=found["id"], within_s=_LONG_S)
    link = f"wasupctl link {shlex.quote(found['id'])}"
    at.result(
        result, lambda: at.out.line(f"{found['name']}: its login is wiped. To link it anew, run: {link}")
    )


def screenshot(session: str, file: Path, /, *, at: At) -> None:
    """Write what a session's page looks like to a file, as a PNG.

    Args:
        session: The session's id or name.
        file: Where to; readable by you alone, for it may show a code to scan, or messages.
    """
    with at.connect() as client:
        found = find(client, session)
        result = client.call("session.screenshot", sessionId=found["id"], within_s=_LONG_S)
    write_private(file, base64.b64decode(result["image"].partition(",")[2]))
    at.result({"file": str(file)}, lambda: at.out.line(f"{found['name']}: {file}"))


def terminate_inactive(*, at: At) -> None:
    """Stop every session that is inactive or disconnected, and end browsers that no session owns.

    No data is deleted.
    """
    with at.connect() as client:
        result = client.call("session.terminateInactive", within_s=_LONG_S)
    at.result(result, lambda: _show_terminated(at, result))


def terminate_all(*, yes: Yes = False, at: At) -> None:
    """Stop every session, and end browsers that no session owns. No data is deleted.

    Args:
        yes: Do not ask.
    """
    with at.connect() as client:
        at.confirm("Stop every session? They stay stopped until they are started again.", yes=yes)
        result = client.call("session.terminateAll", within_s=_LONG_S)
    at.result(result, lambda: _show_terminated(at, result))


def _show_terminated(at: Invocation, result: dict[str, Any]) -> None:
    for session_id in result["terminated"]:
        at.out.line(f"{session_id}: stopped.")
    for pid in result["orphansKilled"]:
        at.out.line(f"browser {pid}: ended; no session owned it.")
    if not result["terminated"] and not result["orphansKilled"]:
        tell("There was nothing to stop.")


def _described(session: Session) -> str:
    return f'"{session["name"]}" ({session["id"]}, {session.get("phoneNumber") or "not linked"})'


def _each(
    at: Invocation, method: str, refs: tuple[str, ...], params: dict[str, Any], timeout_s: float
) -> None:
    """Do the same with each session, in order; nothing is done unless all are known."""
    with at.connect() as client:
        found = {session["id"]: session for session in [find(client, ref) for ref in refs]}
        results = [_one(at, client, method, session, params, timeout_s) for session in found.values()]
    if at.as_json:
        at.out.json(results)
    if any("error" in result for result in results):
        raise Failure


def _one(
    at: Invocation, client: Client, method: str, session: Session, params: dict[str, Any], timeout_s: float
) -> dict[str, Any]:
    try:
        answer = client.call(method, params, sessionId=session["id"], within_s=timeout_s + QUERY_S)
    except RpcError as error:
        tell(f"wasupctl: {session['name']}: {refused(error)}")
        return {"sessionId": session["id"], "error": error.to_wire()}
    if not at.as_json:
        at.out.line(f"{session['name']}: {_outcome(session, answer['status'])}")
    return {"sessionId": session["id"], **answer}


def _outcome(session: Session, status: str) -> str:
    link = f"wasupctl link {shlex.quote(session['id'])}"
    match status:
        case "qr_generated":
            return f"waits for a phone. Run: {link}"
        case "connecting" if not session.get("phoneNumber"):
            return f"connecting. To link it to a phone, run: {link}"
        case "inactive":
            return "stopped."
    return f"{status}."

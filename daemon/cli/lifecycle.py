"""The commands that start, stop and restart sessions."""

import shlex
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import Failure
from .invocation import QUERY_S, At, Invocation
from .lookup import Session, find
from .output import tell
from .refusal import refused

Seconds = Annotated[float, Parameter(validator=Number(gte=0, lte=86400))]
Wait = Annotated[bool, Parameter(negative="--no-wait")]
Sessions = Annotated[str, Parameter(required=True)]


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

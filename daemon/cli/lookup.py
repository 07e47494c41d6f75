"""Which session is meant: by its id, or by a name that no other session has."""

import re
from typing import Any

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import UsageError
from .invocation import QUERY_S

Session = dict[str, Any]
"""A session as PROTOCOL names its fields."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_PAGE = 1000  # the most that the daemon gives at once


def find(client: Client, ref: str) -> Session:
    """Return the session with this id, else the one with this name.

    Raises RpcError SESSION_NOT_FOUND, which names sessions of a similar name, and UsageError where several
    sessions have the name.
    """
    if _ID.fullmatch(ref):
        try:
            found: Session = client.call("session.get", sessionId=ref, within_s=QUERY_S)
        except RpcError as error:
            if error.code != "SESSION_NOT_FOUND":
                raise
        else:
            return found
    sessions = every(client)["sessions"]
    same: list[Session] = [session for session in sessions if session["name"] == ref]
    match same:
        case [session]:
            return session
        case []:
            raise _not_found(ref, sessions)
    ids = ", ".join(session["id"] for session in same)
    raise UsageError(f'{len(same)} sessions have the name "{ref}": {ids}. Give the id of one.')


def named(client: Client, name: str) -> list[Session]:
    """Return the sessions of this name."""
    return [session for session in every(client)["sessions"] if session["name"] == name]


def every(client: Client, **wanted: Any) -> dict[str, Any]:
    """Return {sessions, total} of all sessions that match, of as many pages as that takes."""
    sessions: list[Session] = []
    while True:
        page = client.call("session.list", wanted, limit=_PAGE, offset=len(sessions), within_s=QUERY_S)
        sessions += page["sessions"]
        if not page["sessions"] or len(sessions) >= page["total"]:
            return {"sessions": sessions, "total": page["total"]}


def _not_found(ref: str, sessions: list[Session]) -> RpcError:
    import difflib

    known = {s["name"].casefold(): s["name"] for s in sessions} | {
        s["id"].casefold(): s["id"] for s in sessions
    }
    near = difflib.get_close_matches(ref.casefold()[:100], known, n=3)
    meant = " or ".join(f'"{known[word]}"' for word in near)
    action = f"Did you mean {meant}? " if near else ""
    return RpcError(
        "SESSION_NOT_FOUND",
        f'No session has the id or the name "{ref}"',
        action=f"{action}`wasupctl list` shows all.",
    )

"""The command that shows events as they happen, across restarts of the daemon."""

import fnmatch
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.client.blocking import Client
from protocol.client.errors import ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError
from protocol.models import EVENT_TYPES
from protocol.params import nearest

from .failures import UsageError
from .figures import local
from .invocation import QUERY_S, At, Invocation
from .lookup import every, find
from .output import tell
from .since import cursor_at, parse_since
from .summary import summary

_AGAIN_S = 1
"""Between two attempts to reach a daemon that has gone."""

Event = dict[str, Any]


def watch(
    *sessions: str,
    type_: Annotated[list[str] | None, Parameter(name="--type", negative="")] = None,
    since: str | None = None,
    at: At,
) -> None:
    """Show events as they happen, a line each, until Ctrl-C.

    When the daemon goes and comes back, the events go on where they ended. With --json each line is an event
    as the daemon tells it.

    Args:
        sessions: Ids or names; none: all sessions, and the daemon itself.
        type_: Only events of this type, such as message.received, or session.* for all of a kind; may be
            repeated.
        since: Begin with what came after this: an event's number (seq; 0: the start of the log), a time such
            as 2026-11-21T10:00, or how long ago, as 90s, 15m, 2h or 3d. Without it, only what happens
            from now on.
    """
    types = _types(type_ or ())
    begin = None if since is None else parse_since(since, time.time())
    with at.connect() as client:
        ids = [find(client, ref)["id"] for ref in sessions]
        names = _names(client)
        cursor = None if begin is None else cursor_at(client, begin)
    for event in _lasting(at, ids or None, types or None, cursor):
        if at.as_json:
            at.out.json_line(event)
        else:
            _show(at, event, names)


def events(
    *sessions: str,
    type_: Annotated[list[str] | None, Parameter(name="--type", negative="")] = None,
    since: str = "0",
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 100,
    at: At,
) -> None:
    """Show events of the past, a line each; `wasupctl watch` goes on with those to come.

    Args:
        sessions: Ids or names; none: all sessions, and the daemon itself.
        type_: Only events of this type, such as message.received, or session.* for all of a kind; may be
            repeated.
        since: Begin with what came after this: an event's number (seq), a time such as 2026-11-21T10:00, or
            how long ago, as 90s, 15m, 2h or 3d.
        limit: How many at most.
    """
    types = _types(type_ or ())
    begin = parse_since(since, time.time())
    with at.connect() as client:
        wanted: dict[str, Any] = {"limit": limit} | ({"types": types} if types else {})
        if ids := [find(client, ref)["id"] for ref in sessions]:
            wanted["sessions"] = ids
        names = _names(client)
        answer = client.call("events.list", wanted, after=cursor_at(client, begin), within_s=QUERY_S)

    def show() -> None:
        for event in answer["events"]:
            _show(at, event, names)
        if len(answer["events"]) == limit:
            tell(f"There may be more: --since {answer['events'][-1]['seq']}")

    at.result(answer, show)


def _lasting(
    at: Invocation, sessions: list[str] | None, types: list[str] | None, since: int | None
) -> Iterator[Event]:
    """Yield events for ever; a daemon that is gone is waited for."""
    cursor = since
    reached = False
    told = False
    while True:
        try:
            with at.connect() as client:
                if cursor is None:
                    cursor = client.call("events.list", limit=1, within_s=QUERY_S)["latest"]
                events = client.events(sessions=sessions, types=types, after=cursor)
                if told:
                    tell("wasupctl: The daemon is back; going on.")
                reached, told = True, False
                for event in events:
                    cursor = event["seq"]
                    yield event
        except (DaemonUnreachable, ConnectionLost) as error:
            if not reached:
                raise
            if not told:
                tell(f"wasupctl: {_first_line(error)} Waiting for the daemon to come back.")
                told = True
        except RpcError as error:
            if not reached or error.code not in ("SHUTTING_DOWN", "CURSOR_EXPIRED"):
                raise
            if error.code == "CURSOR_EXPIRED":
                oldest = int(error.details.get("oldest", 0))
                tell(f"wasupctl: The log begins at {oldest}: events after {cursor} are lost.")
                cursor = max(oldest - 1, 0)
                continue
        time.sleep(_AGAIN_S)


def _types(wanted: Sequence[str]) -> list[str]:
    """Return the event types that are meant; raises UsageError for what is none."""
    types: list[str] = []
    for pattern in wanted:
        found = fnmatch.filter(EVENT_TYPES, pattern)
        if not found:
            near = nearest(pattern, EVENT_TYPES)
            hint = f'did you mean "{near}"?' if near else f"there are: {', '.join(EVENT_TYPES)}."
            raise UsageError(f'There is no event type "{pattern}": {hint}')
        types += found
    return list(dict.fromkeys(types))


def _names(client: Client) -> dict[str, str]:
    return {session["id"]: session["name"] for session in every(client)["sessions"]}


def _show(at: Invocation, event: Event, names: dict[str, str]) -> None:
    session = event.get("sessionId")
    if event["type"] in ("session.created", "session.updated") and session:
        names[session] = event["data"].get("name", session)
    who = names.get(session, session) if session else "-"
    at.out.cells(local(event["timestamp"]), (who or "-", "bold"), (event["type"], "cyan"), summary(event))


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".") + "."

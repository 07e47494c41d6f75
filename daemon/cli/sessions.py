"""The commands that make, show, change and delete sessions."""

import shlex
import time
from contextlib import suppress
from typing import Annotated, Any

from cyclopts import Parameter

from protocol.errors import RpcError
from protocol.models import SessionStatus

from .failures import UsageError
from .figures import ago
from .invocation import QUERY_S, At
from .lookup import Session, every, find, named
from .output import status_cell, tell
from .session_view import show_session
from .settings import parse_settings

Tags = Annotated[list[str] | None, Parameter(name="--tag", negative="")]
Assignments = Annotated[list[str] | None, Parameter(name="--set", negative="")]


def create(
    name: str,
    /,
    *,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    description: str | None = None,
    start: Annotated[bool, Parameter(negative="")] = False,
    tag: Tags = None,
    set_: Assignments = None,
    at: At,
) -> None:
    """Create a session.

    Args:
        name: What people call the session.
        id_: What programs call it; the daemon chooses one if this is left out.
        description: What it is for.
        start: Start it at once.
        tag: A tag; may be repeated.
        set_: A setting as key=value, such as proxy=socks5://localhost:1080; may be repeated.
    """
    wanted = {"name": name, "id": id_, "description": description, "start": start or None}
    params: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    if settings := parse_settings(set_ or (), tag or ()):
        params["settings"] = settings
    with at.connect() as client:
        session: Session = client.call("session.create", params, within_s=QUERY_S)
        others: list[str] = []
        with suppress(RpcError):  # it is created, whatever becomes of this
            others = [other["id"] for other in named(client, name) if other["id"] != session["id"]]

    def show() -> None:
        at.out.line(session["id"])
        tell(f"{session['name']}: created. Link it to a phone: wasupctl link {shlex.quote(session['id'])}")

    at.result(session, show)
    if others:
        tell(
            f'wasupctl: There are other sessions of this name ({", ".join(others)}): "{name}" alone now means'
            f" none of them. Use ids, or `wasupctl update {session['id']} --name NAME`."
        )


def update(
    session: str,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    tag: Tags = None,
    set_: Assignments = None,
    at: At,
) -> None:
    """Change a session's name, description or settings.

    Args:
        session: The session's id or name.
        name: Its new name.
        description: Its new description; an empty one takes it away.
        tag: A tag, instead of those that it has; may be repeated.
        set_: A setting as key=value, key=null for its default; may be repeated.
    """
    params: dict[str, Any] = {} if name is None else {"name": name}
    if description is not None:
        params["description"] = description or None
    if settings := parse_settings(set_ or (), tag or ()):
        params["settings"] = settings
    if not params:
        raise UsageError("Nothing to change: give --name, --description, --tag or --set.")
    with at.connect() as client:
        found = find(client, session)
        changed = client.call("session.update", params, sessionId=found["id"], within_s=QUERY_S)
    at.result(changed, lambda: at.out.line(f"{changed['name']}: updated."))


def list_(
    *,
    status: Annotated[SessionStatus | None, Parameter(negative="")] = None,
    tag: str | None = None,
    at: At,
) -> None:
    """List sessions.

    Args:
        status: Only those of this status.
        tag: Only those with this tag.
    """
    wanted = {key: value for key, value in (("status", status), ("tag", tag)) if value is not None}
    with at.connect() as client:
        found = every(client, **wanted)

    def show() -> None:
        now = time.time()
        columns = ("NAME", "ID", "STATUS", "REASON", "PHONE", "LAST ACTIVITY", "QUEUE", "RESTARTS")
        rows = [
            (
                session["name"],
                session["id"],
                status_cell(session["status"]),
                session.get("reason") or "-",
                session.get("phoneNumber") or "-",
                ago(session.get("lastActivity"), now),
                str(session.get("messageQueue", 0)),
                str(session.get("restarts", {}).get("count", 0)),
            )
            for session in found["sessions"]
        ]
        at.out.table(columns, rows, shrink=("ID", "NAME", "REASON"))
        if not rows:
            tell(f"No session {'matches' if wanted else 'exists: make one with `wasupctl create NAME`'}.")

    at.result(found, show)


def show(session: str, /, *, at: At) -> None:
    """Show how a session is.

    Args:
        session: The session's id or name.
    """
    with at.connect() as client:
        found = find(client, session)
        at.result(found, lambda: show_session(at.out, client, found, time.time()))


def delete(
    session: str,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False,
    backup: Annotated[bool, Parameter(negative="--no-backup")] = True,
    at: At,
) -> None:
    """Stop a session and delete it, its login and its messages.

    Args:
        session: The session's id or name.
        yes: Do not ask.
        backup: Keep a backup of what is deleted.
    """
    with at.connect() as client:
        found = find(client, session)
        which = f'"{found["name"]}" ({found["id"]}, {found.get("phoneNumber") or "not linked"})'
        saved = "A backup is made first." if backup else "NO backup is made."
        at.confirm(f"Delete the session {which}, its login and its messages? {saved}", yes=yes)
        result = client.call("session.delete", sessionId=found["id"], backup=backup)

    def show() -> None:
        kept = f" The backup is {result['backup']}." if result.get("backup") else ""
        at.out.line(f"{found['name']}: deleted.{kept}")

    at.result(result, show)

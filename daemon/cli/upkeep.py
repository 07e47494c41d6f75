"""The commands that back everything up, and that wipe everything."""

from typing import Annotated

from cyclopts import Parameter

from .figures import size
from .invocation import QUERY_S, At


def backup(*, at: At) -> None:
    """Copy the daemon's store while it is in use: sessions, messages, events.

    Logins and kept pages are not in it. docs/backup.md says what to take along, and how a copy is put back.
    """
    with at.connect() as client:
        result = client.call("daemon.backup")
    at.result(result, lambda: at.out.line(f"{result['path']} ({size(result['bytes'])})"))


def force_cleanup(
    *, yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False, at: At
) -> None:
    """Stop and delete every session, all logins and all messages, after a backup of everything.

    Args:
        yes: Do not ask.
    """
    with at.connect() as client:
        health = client.call("daemon.health", within_s=QUERY_S)
        count, stored = sum(health["sessions"].values()), health["store"]["messages"]
        at.confirm(
            f"Delete all {count} sessions, their logins and {stored} messages? A backup is made first.",
            yes=yes,
        )
        result = client.call("daemon.forceCleanup", confirm=True)

    def show() -> None:
        at.out.line(f"{len(result['sessions'])} sessions and {result['messages']} messages deleted.")
        at.out.line(f"Backup of the store: {result['backup']}")
        for path in result["backups"]:
            at.out.line(f"Backup of a session: {path}")

    at.result(result, show)

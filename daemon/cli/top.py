"""The command that shows all sessions live, on the whole terminal."""

import sys

from .failures import UsageError
from .invocation import At


def top(*, at: At) -> None:
    """Show sessions live, with their memory, queue and messages a minute; keys start, stop and link them.

    Enter opens a session: its code while it waits for a phone, its events, its part of the daemon's log, its
    incidents.
    """
    if at.as_json:
        raise UsageError(
            "top is for people: `wasupctl list --json` and `wasupctl watch --json` are for programs."
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal; `wasupctl list` does not.")
    with at.connect():
        pass  # a daemon that is not there is told as everywhere, before the screen is taken
    from .live import Top  # textual is for this command alone

    Top(at).run()

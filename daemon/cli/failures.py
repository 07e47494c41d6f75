"""What wasupctl ends with, and the exceptions that say so."""

from typing import Final

OK: Final = 0
REFUSED: Final = 1
"""The daemon answered an error, or what was asked for did not come about."""
USAGE: Final = 2
"""The command line is wrong; nothing was done."""
UNREACHABLE: Final = 3
"""No daemon answers, or it stopped answering."""
INTERRUPTED: Final = 130
"""Ctrl-C: what a shell reports for SIGINT."""
TERMINATED: Final = 143
"""What a shell reports for SIGTERM."""
PIPE_CLOSED: Final = 141
"""Nobody reads the output any more: what a shell reports for SIGPIPE."""


class Failure(Exception):
    """wasupctl ends with `exit_code`, after `str(self)` on stderr (nothing where it is empty)."""

    exit_code: int = REFUSED


class UsageError(Failure):
    """The command line is wrong."""

    exit_code = USAGE

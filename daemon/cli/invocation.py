"""One run of wasupctl: its global options, its connection, its questions."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

from protocol.client.blocking import Client, connect

from .failures import Failure, UsageError
from .output import Output
from .printable import printable

QUERY_S = 30
"""Seconds for an answer that needs no browser: a daemon that takes longer does not answer at all."""

STDIN = "\0"
"""What `-` becomes on its way through the argument parser, which takes a hyphen for an option."""


class Invocation:
    """What every command is given."""

    def __init__(self, socket: str | None, *, as_json: bool) -> None:
        self._socket = socket
        self.as_json = as_json
        self.out = Output()

    def connect(self) -> Client:
        """Connect to the daemon, for a `with` block; raises DaemonUnreachable."""
        return connect(self._socket)

    def result(self, value: Any, show: Callable[[], None]) -> None:
        """Write the result as JSON if that was asked for; else let `show` write it."""
        if self.as_json:
            self.out.json(value)
        else:
            show()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be taken back, unless `yes`.

        Raises UsageError where nobody can be asked, and Failure for any answer but yes.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageError("This asks for a confirmation, and stdin is not a terminal: give --yes.")
        sys.stderr.write(f"{printable(question)} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Failure("Nothing was done.")


def read_stdin() -> str:
    """Return what stdin has, without its last newline; raises UsageError where it is not UTF-8."""
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8.") from None


At = Annotated[Invocation, Parameter(parse=False)]
"""The annotation of the argument by which a command is given its Invocation."""

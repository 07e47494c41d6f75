"""wasupctl as a program: its commands, its global options, and what it ends with."""

import os
import sys
from collections.abc import Container, Sequence
from typing import Annotated, Any, TextIO

from cyclopts import App, CycloptsError, Group, Parameter

from daemon import __version__
from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError

from . import completion
from .failures import INTERRUPTED, OK, PIPE_CLOSED, REFUSED, UNREACHABLE, USAGE, Failure
from .invocation import STDIN, Invocation
from .output import tell
from .refusal import refused
from .tree import add_commands, tell_usage
from .unreachable import explain, log_advice

HELP = "Work with wasupd, the daemon that keeps WhatsApp Web sessions alive."
EPILOGUE = """\
SESSION is a session's id, or a name that no other session has.

Exit codes: 0 done; 1 the daemon answered an error; 2 bad usage; 3 the daemon cannot be reached; 130 Ctrl-C.

With --json, stdout has the result or, with exit code 1, the error, as one JSON document \
(watch and link: one line each time)."""


def run(argv: Sequence[str]) -> int:
    """Carry out a command line; return the exit code. Nothing is raised but KeyboardInterrupt's like."""
    for name in ("stdout", "stderr"):
        _make_writable(name)
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        code = PIPE_CLOSED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        tell(f"wasupctl: {error}")
        code = REFUSED
    _silence()
    return code


def _run(argv: Sequence[str]) -> int:
    if argv[:1] == [completion.REQUEST]:
        words = completion.words_of(argv[1:])
        return completion.answer(application(words), words)
    program = _Program(argv)
    try:
        return program.run(argv)
    except CycloptsError as error:
        tell(f"wasupctl: {error}\nTry `{' '.join(['wasupctl', *(error.command_chain or ())])} --help`.")
        return USAGE
    except Failure as failure:
        if str(failure):
            tell(f"wasupctl: {failure}")
        return failure.exit_code
    except RpcError as error:
        return program.refuse(error)
    except DaemonUnreachable as error:
        tell(f"wasupctl: {explain(error)}")
        return UNREACHABLE
    except ConnectionLost as error:
        if error.refusal is not None:
            return program.refuse(error.refusal)
        tell(f"wasupctl: {error}. Whether the daemon has carried the request out is not known.")
        return UNREACHABLE
    except CallTimeout as error:
        tell(f"wasupctl: {error}. {log_advice()}")
        return UNREACHABLE


class _Program:
    """The commands, and the invocation that the global options make."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._app = application(argv)
        self._app.meta.group_parameters = Group("Global options", sort_key=99)
        self._app.meta.default(self._launch)
        self._at: Invocation | None = None

    def run(self, argv: Sequence[str]) -> int:
        """Carry the command line out; raises CycloptsError for what is none, and what commands raise."""
        try:
            "".join(argv).encode()
        except UnicodeEncodeError:
            tell("wasupctl: An argument is not UTF-8.")
            return USAGE
        if {"--help", "-h"} & {*argv}:
            tell_usage(self._app, argv)
        words = [STDIN if word == "-" else word for word in argv]
        code = self._app.meta(words, exit_on_error=False, print_error=False)
        return code if isinstance(code, int) else OK

    def refuse(self, error: RpcError) -> int:
        """Say what the daemon answered; return the exit code."""
        if self._at is not None and self._at.as_json:
            self._at.out.json(error.to_wire())
        tell(f"wasupctl: {refused(error)}")
        return REFUSED

    def _launch(
        self,
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        socket: str | None = None,
        json: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    ) -> int:
        """Read the global options, wherever they stand, and carry the command out.

        Args:
            socket: The daemon's socket; else $WASUP_SOCKET, else the usual places.
            json: Print what the daemon answers, as JSON.
        """
        self._at = Invocation(socket, as_json=json)
        command, bound, ignored = self._app.parse_args(list(tokens), exit_on_error=False, print_error=False)
        extra: dict[str, Any] = {"at": self._at} if "at" in ignored else {}
        command(*bound.args, **bound.kwargs, **extra)
        helped_unasked = bound.arguments.get("tokens") == list(tokens)  # no command, or only a group of them
        return USAGE if helped_unasked else OK


def application(wanted: Container[str]) -> App:
    """Return the parser of command lines; of generated commands it has those of the `wanted` groups."""
    app = App(
        name="wasupctl",
        help=HELP,
        help_epilogue=EPILOGUE,
        help_format="markdown",
        group_parameters=Group("Options", sort_key=50),
        default_parameter=Parameter(show_default=_default),
        version=f"wasupctl {__version__}",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    add_commands(app, wanted)
    return app


def _default(value: object) -> str | None:
    """Return the default that help shows: that an option is not given needs no word."""
    return None if value is None or value is False else str(value)


def _make_writable(name: str) -> None:
    """Have a stream that takes what its encoding cannot say, and one at all where it was closed."""
    stream: TextIO | None = getattr(sys, name)
    if stream is None:
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for the life of the process
    else:
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]


def _silence() -> None:
    """Drop what is left in stdout if it cannot be written: Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)

"""The terminal as a whole, while a code is shown on it: what was there before comes back afterwards."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from daemon.qr import BLACK_ON_WHITE, PLAIN, Code, half_blocks

from .failures import TERMINATED
from .printable import printable

# ECMA-48 and xterm's ctlseqs: the alternate screen, the cursor, erasing.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_END_OF_LINE = "\x1b[K"
_REST = "\x1b[J"

_QUIET = (4, 2, 1)
"""Widths of the quiet zone in modules, as many as the terminal has room for; ISO/IEC 18004 asks for 4."""


class Screen:
    """The alternate screen of the terminal on stdout, for a `with` block; SIGTERM leaves it too."""

    def __init__(self) -> None:
        self._former: Any = None

    def __enter__(self) -> Self:
        self._former = signal.signal(signal.SIGTERM, _terminate)
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(_LEAVE)
        signal.signal(signal.SIGTERM, self._former)

    def show_text(self, lines: Sequence[str]) -> None:
        """Show nothing but these lines, cut off at the edge."""
        size = _size()
        self._show([_cut(line, size.columns) for line in lines[: size.lines]])

    def show_code(self, above: Sequence[str], code: Code, below: Sequence[str]) -> None:
        """Show a code with lines around it; where the terminal is too small, say so instead."""
        size = _size()
        room = size.lines - len(above) - len(below)
        fitting = [quiet for quiet in _QUIET if _fits(code, quiet, size.columns, room)]
        if not fitting:
            side = len(code) + 2 * _QUIET[-1]
            needed = f"{side} columns and {(side + 1) // 2 + len(above) + len(below)} lines"
            self.show_text(
                [
                    f"The code needs {needed};",
                    f"this terminal has {size.columns} and {size.lines}.",
                    "Enlarge it or take a smaller font,",
                    "or leave with Ctrl-C and use --png FILE.",
                    *below,
                ]
            )
            return
        picture = half_blocks(code, quiet=fitting[0], draw="dark")
        self._show(
            [
                *(_cut(line, size.columns) for line in above),
                *(f"{BLACK_ON_WHITE}{line}{PLAIN}" for line in picture),
                *(_cut(line, size.columns) for line in below),
            ]
        )

    def _show(self, lines: Sequence[str]) -> None:
        self._write(_HOME + "\r\n".join(line + _END_OF_LINE for line in lines) + _REST)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _size() -> os.terminal_size:
    """Return the terminal's size as it is now: $COLUMNS and $LINES do not follow a window that is resized."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size if size.columns and size.lines else os.terminal_size((80, 24))  # a serial line knows none


def _fits(code: Code, quiet: int, columns: int, lines: int) -> bool:
    side = len(code) + 2 * quiet
    return side <= columns and (side + 1) // 2 <= lines


def _cut(line: str, columns: int) -> str:
    from rich.cells import set_cell_size

    line = printable(line)
    return set_cell_size(line, columns).rstrip()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)

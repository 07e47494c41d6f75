"""Where wasupctl writes: results on stdout, as people or programs read them; everything else on stderr.

Every text passes through `printable`, and none is read as rich's markup.
"""

import math
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .printable import json_text, printable

if TYPE_CHECKING:
    from rich.console import Console

STATUS_STYLES = {
    "connected": "green",
    "qr_generated": "yellow",
    "connecting": "cyan",
    "disconnected": "red",
    "inactive": "dim",
    "failed": "red",
    "queued": "yellow",
    "sending": "yellow",
    "cancelled": "dim",
    "ok": "green",
    "degraded": "red",
}
"""How the words for a status are coloured, on a terminal."""

_GAP = 2
"""Spaces between columns."""

_LEAST = 8
"""What is left of a column that is cut off."""

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


class Output:
    """stdout of this process; rich is imported when a table or a colour needs it."""

    def __init__(self) -> None:
        self._console: Console | None = None

    def json(self, value: Any) -> None:
        """Write one JSON document, indented."""
        _write_utf8(json_text(value, indent=2) + "\n")

    def json_line(self, value: Any) -> None:
        """Write one JSON document on one line, at once."""
        _write_utf8(json_text(value, indent=-1) + "\n")

    def line(self, text: str) -> None:
        """Write a line, at once."""
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()

    def cells(self, *cells: Cell, hang: int | None = None) -> None:
        """Write a line of texts with spaces between them, coloured on a terminal.

        With `hang` what the terminal's line has no room for goes on below, so far from the edge.
        """
        if not sys.stdout.isatty():
            self.line(" ".join(cell if isinstance(cell, str) else cell[0] for cell in cells))
            return
        from rich.text import Text

        text = Text(" ").join(_text(cell) for cell in cells)
        console = self.console()
        if hang is None or text.cell_len <= console.width or console.width <= 2 * hang:
            console.print(text, soft_wrap=True)
            return
        first, rest = text.divide([hang])
        for number, line in enumerate(rest.wrap(console, console.width - hang)):
            line.rstrip()
            console.print(Text.assemble(first if number == 0 else " " * hang, line), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, shrink: Sequence[str], fold: str = ""
    ) -> None:
        """Write a table, each row on one line.

        Where the terminal is too narrow, columns that say nothing are left out, from the right; then the
        columns `shrink` are cut off, one after the other. The column `fold` goes on below instead.
        """
        from rich.table import Table

        texts = [[_text(cell) for cell in row] for row in rows]
        widths = [max(cell_widths) for cell_widths in zip(*_widths(columns, texts), strict=True)]
        console = self.console()
        if console.is_terminal:
            columns, texts, widths = _without_blanks(columns, texts, widths, console.width)
            widths = _shrunk(columns, widths, console.width, shrink)
        console.width = _total(widths)
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for column, width in zip(columns, widths, strict=True):
            table.add_column(column, no_wrap=column != fold, overflow="ellipsis", max_width=width)
        for row in texts:
            table.add_row(*row)
        with console.capture() as captured:
            console.print(table, crop=False)
        sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())

    def section(self, rows: Iterable[tuple[str, Sequence[Cell]]]) -> None:
        """Write lines of a label and what it stands for, the labels right-aligned; an empty one goes on."""
        rows = list(rows)
        width = max(len(label) for label, _ in rows) + 1
        for label, cells in rows:
            self.cells((f"{f'{label}:' if label else '':>{width}}", "bold"), *cells, hang=width + 1)

    def width(self) -> float:
        """Return how many columns the terminal has; what is no terminal has as many as are needed."""
        return self.console().width if sys.stdout.isatty() else math.inf

    def console(self) -> "Console":
        """Return rich's console on stdout."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                markup=False,
                highlight=False,
                emoji=False,
                force_terminal=sys.stdout.isatty(),
            )
        return self._console


def tell(text: str) -> None:
    """Write to stderr; `text` may have several lines, each made printable, and broken between words where the
    terminal ends.
    """
    width = _columns()
    for line in text.split("\n"):
        whole = printable(line)
        broken = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False) if width else ()
        for part in broken or (whole,):
            sys.stderr.write(part + "\n")
    sys.stderr.flush()


def _columns() -> int:
    """Return how wide the terminal on stderr is; 0 where there is none, or none that knows."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


def status_cell(status: object) -> Cell:
    """Return a status with its colour."""
    return str(status), STATUS_STYLES.get(str(status), "")


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterable[Sequence[int]]:
    yield [len(column) for column in columns]
    for row in rows:
        yield [text.cell_len for text in row]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * len(widths)


def _without_blanks(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int], room: int
) -> tuple[list[str], list[list[Any]], list[int]]:
    """Return the table without columns that have `-` in every row, as far as it is too wide."""
    kept = list(range(len(columns)))
    for place in reversed(range(len(columns))):
        too_wide = _total([widths[one] for one in kept]) - _GAP > room
        if too_wide and rows and all(row[place].plain == "-" for row in rows):
            kept.remove(place)
    return (
        [columns[one] for one in kept],
        [[row[one] for one in kept] for row in rows],
        [widths[one] for one in kept],
    )


def _shrunk(columns: Sequence[str], widths: Sequence[int], room: int, shrink: Sequence[str]) -> list[int]:
    narrower = list(widths)
    for column in (column for column in shrink if column in columns):
        place = columns.index(column)
        excess = _total(narrower) - _GAP - room
        narrower[place] -= max(0, min(excess, narrower[place] - _LEAST))
    return narrower


def _write_utf8(text: str) -> None:
    """Write what is UTF-8 whatever the locale says."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _text(cell: Cell) -> Any:
    from rich.text import Text

    content, style = (cell, "") if isinstance(cell, str) else cell
    return Text(printable(content), style)

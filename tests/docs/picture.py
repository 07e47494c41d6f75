"""Draws docs/demo.svg: `make picture`. The demonstration runs in a terminal, and its last screen is drawn."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

COLUMNS, LINES = 96, 200
PICTURE = Path(__file__).parents[2] / "docs/demo.svg"
NAMED = {"brown": "yellow"}  # pyte calls it so
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # they would be fetched from elsewhere


def play() -> bytes:
    """Run the demonstration in a terminal, and return all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "tests.demo"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as demo:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # so a terminal says that nobody writes any more
            while data := os.read(ours, 65536):
                written += data
    os.close(ours)
    if demo.returncode != 0:
        sys.exit(written.decode(errors="replace"))
    return written


def shown(written: bytes) -> list[Text]:
    """Return the lines that are on the screen at the end."""
    screen = pyte.Screen(COLUMNS, LINES)
    pyte.ByteStream(screen).feed(written)
    lines = []
    for number in range(LINES):
        text = Text()
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        while cells and cells[-1] == screen.default_char:
            cells.pop()
        for (fg, bg, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bg, cell.bold)):
            style = Style(color=_colour(fg), bgcolor=_colour(bg), bold=bold)
            text.append("".join(cell.data for cell in run), style)
        lines.append(text)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _colour(name: str) -> Color | None:
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return Color.parse(f"#{name}")
    return Color.parse(NAMED.get(name, name))


def main() -> None:
    """Draw it."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor")
    for line in shown(play()):
        console.print(line, soft_wrap=True)
    PICTURE.write_text(FONTS.sub("", console.export_svg(title="make demo", unique_id="demo")))


if __name__ == "__main__":
    main()

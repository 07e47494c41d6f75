"""A terminal for programs under test: a real pseudo-terminal, and a screen that shows what they write."""

import codecs
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from fcntl import ioctl
from typing import Self

import zxingcpp
from PIL import Image

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(.)", re.DOTALL)
_UNFINISHED = re.compile(r"\x1b(\[[?\d;]*)?\Z")
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_GREY = (190, 190, 190)
_COLOURS = {16: _BLACK, 231: _WHITE}
_INK = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}

Colour = tuple[int, int, int]
Cell = tuple[str, Colour, Colour]
BLANK: Cell = (" ", _GREY, _BLACK)


class Screen:
    """What a dark terminal shows; knows what wasupctl may write, and fails for any other sequence."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.alternate = False
        self.coloured = False
        self._fg, self._bg = _GREY, _BLACK
        self._main: list[list[Cell]] = []
        self._row = self._column = 0
        self._cells = self._empty()
        self._left: tuple[int, int] = (0, 0)

    def write(self, text: str) -> None:
        for found in _TOKEN.finditer(text):
            arguments, final, char = found.groups()
            if final is not None:
                self._control(arguments, final)
            elif char == "\n":
                self._row += 1
                if self._row == self.lines:
                    self._cells = [*self._cells[1:], [BLANK] * self.columns]
                    self._row -= 1
            elif char == "\r":
                self._column = 0
            else:
                assert char.isprintable(), f"{char!r} came to the terminal"
                self._put(char)

    def text(self) -> str:
        rows = ("".join(char for char, _, _ in row).rstrip() for row in self._cells)
        return "\n".join(rows).rstrip()

    def read_code(self) -> str | None:
        return decode(self._cells)

    def _put(self, char: str) -> None:
        if self._column == self.columns:
            self.write("\r\n")
        self._cells[self._row][self._column] = (char, self._fg, self._bg)
        self._column += 1

    def _control(self, arguments: str, final: str) -> None:
        match final, arguments:
            case "m", _:
                self._style([int(part or 0) for part in arguments.split(";")])
            case "H", "":
                self._row = self._column = 0
            case "K", "":
                row = self._cells[self._row]
                row[self._column :] = [BLANK] * (self.columns - self._column)
            case "J", "":
                self._control("", "K")
                for row in self._cells[self._row + 1 :]:
                    row[:] = [BLANK] * self.columns
            case "h", "?1049":
                self.alternate, self._main, self._cells = True, self._cells, self._empty()
                self._left = self._row, self._column
            case "l", "?1049":
                self.alternate, self._cells = False, self._main
                self._row, self._column = self._left
            case (("h" | "l"), "?25"):
                pass
            case _:
                raise AssertionError(f"CSI {arguments}{final} came to the terminal")

    def _style(self, codes: list[int]) -> None:
        match codes:
            case [0]:
                self._fg, self._bg = _GREY, _BLACK
            case [38, 5, fg, 48, 5, bg]:
                self._fg, self._bg = _COLOURS[fg], _COLOURS[bg]
            case _:
                self.coloured = True

    def _empty(self) -> list[list[Cell]]:
        return [[BLANK] * self.columns for _ in range(self.lines)]


def decode(cells: list[list[Cell]]) -> str | None:
    """Return what the one QR code says that is drawn in the cells, looked at as a camera would."""
    image = Image.new("RGB", (len(cells[0]), 2 * len(cells)), _BLACK)
    for y, row in enumerate(cells):
        for x, (char, fg, bg) in enumerate(row):
            for half, inked in enumerate(_INK.get(char, (False, False))):
                image.putpixel((x, 2 * y + half), fg if inked else bg)
    image = image.resize((image.width * 6, image.height * 6), Image.Resampling.NEAREST)
    found = zxingcpp.read_barcodes(image, try_invert=False)
    assert len(found) <= 1
    return found[0].text if found else None


def decode_plain(text: str) -> str | None:
    """The same for characters without colours, on a dark terminal."""
    lines = text.splitlines()
    width = max(map(len, lines))
    return decode([[(char, _WHITE, _BLACK) for char in line.ljust(width)] for line in lines])


class Terminal:
    """wasupctl, or another program, in a pseudo-terminal."""

    def __init__(
        self,
        argv: list[str],
        env: Mapping[str, str],
        columns: int = 100,
        lines: int = 60,
        program: Sequence[str] = (sys.executable, "-m", "daemon.cli"),
    ) -> None:
        self.screen = Screen(columns, lines)
        self._master, slave = pty.openpty()
        self._resize(columns, lines)
        self.process = subprocess.Popen(
            [*program, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(slave)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._unshown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def until(self, holds: Callable[[Screen], bool], within_s: float = 20) -> None:
        """Read until the screen is as it should be."""
        deadline = time.monotonic() + within_s
        while not holds(self.screen):
            assert self._read(deadline - time.monotonic()), f"It ended with:\n{self.screen.text()}"

    def end(self, within_s: float = 20) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + within_s
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(within_s)

    def _read(self, within_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, within_s))
        assert ready, f"Nothing more came than:\n{self.screen.text()}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        text = self._unshown + self._decoder.decode(data)
        cut = _UNFINISHED.search(text)
        self._unshown = text[cut.start() :] if cut else ""
        self.screen.write(text.removesuffix(self._unshown))
        return True

    def _resize(self, columns: int, lines: int) -> None:
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

r"""Makes foreign text fit for a terminal: names and messages are written by strangers.

Escape sequences could set the window's title or worse, newlines could fake a row, bidi controls could
turn a line around: each becomes visible, as `\x1b`, `\n`, `\u202e`.
"""

import re
import unicodedata
from typing import Any

import msgspec

_JOINERS = "\u200c\u200d"  # emoji of several parts, and scripts such as Persian, need them; they only join
_SUSPECT = re.compile(r"[^\x20-\x7e]")
_BEYOND_16_BITS = 0x10000


def printable(text: object) -> str:
    """Return `str(text)` on one line, each character that a terminal would act upon made visible."""
    plain = str(text)
    return plain if plain.isprintable() else _SUSPECT.sub(_visible, plain)


def json_text(value: Any, *, indent: int) -> str:
    r"""Return the JSON of `value`, such characters as `\u001b`: the same value to whoever parses it.

    `indent` is the number of spaces a level; negative: all on one line.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()
    lines = (line if line.isprintable() else _SUSPECT.sub(_json_escape, line) for line in text.split("\n"))
    return "\n".join(lines)


def _harmless(char: str) -> bool:
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def _visible(found: re.Match[str]) -> str:
    char = found[0]
    return char if _harmless(char) else char.encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    char = found[0]
    if _harmless(char):
        return char
    if ord(char) < _BEYOND_16_BITS:
        return f"\\u{ord(char):04x}"
    high, low = divmod(ord(char) - _BEYOND_16_BITS, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"

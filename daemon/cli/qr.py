"""QR codes as characters and as PNG. No IO; segno is imported when a code is drawn."""

import io
from typing import Literal

Code = list[list[bool]]
"""The rows of a code without its quiet zone; True is a dark module."""


def code_of(text: str) -> Code:
    """Return the code that says `text`: the smallest that does, error correction L, as WhatsApp's own."""
    import segno

    rows = segno.make(text, micro=False, error="l", boost_error=False).matrix
    return [[bool(module) for module in row] for row in rows]


def half_blocks(code: Code, *, quiet: int, draw: Literal["dark", "light"]) -> list[str]:
    """Return lines of characters, each two modules high, around them `quiet` modules of quiet zone.

    With "dark" the ink is the dark modules: to be shown black on white. With "light" it is the light ones:
    for characters without colours on a terminal that is dark, as most are.
    """
    ink = draw == "dark"
    width = len(code) + 2 * quiet
    side = [False] * quiet
    rows = [[False] * width] * quiet + [side + row + side for row in code] + [[False] * width] * quiet
    if len(rows) % 2:
        rows.append([False] * width)
    return [
        "".join(_BLOCKS[top is ink, bottom is ink] for top, bottom in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def png(text: str) -> bytes:
    """Return the code that says `text` as a PNG, eight pixels a module, with a quiet zone of four."""
    import segno

    out = io.BytesIO()
    segno.make(text, micro=False, error="l", boost_error=False).save(out, kind="png", scale=8, border=4)
    return out.getvalue()


_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}

"""Pictures of a code that a phone scans. segno is imported when one is drawn, not before."""

import base64
import io
import struct
import zlib
from typing import Literal

from protocol.models import QrFormat

Code = list[list[bool]]
"""The rows of a code without its quiet zone; True is a dark module."""

PNG_PIXELS = 256
QUIET = 4
"""The width of the quiet zone that ISO/IEC 18004 asks for, in modules."""

# Colours 16 and 231 of xterm's 256 are black and white whatever the terminal's palette says, so that the code
# can be scanned on a dark one too.
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
PLAIN = "\x1b[0m"

_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def render(text: str, picture: QrFormat) -> str:
    """Return the code that says `text` in the format asked for.

    `png`: a data URL of 256 by 256 pixels; `svg`: a document; `text`: lines of half blocks, dark modules
    inked; `terminal`: the same in black on white whatever the terminal's colours are.
    """
    if picture == "svg":
        import segno

        out = io.BytesIO()
        segno.make(text, micro=False, error="l", boost_error=False).save(
            out, kind="svg", border=QUIET, scale=4, light="white", xmldecl=False
        )
        return out.getvalue().decode()
    code = code_of(text)
    if picture == "png":
        return "data:image/png;base64," + base64.b64encode(png(code)).decode()
    lines = half_blocks(code, quiet=QUIET, draw="dark")
    if picture == "terminal":
        lines = [f"{BLACK_ON_WHITE}{line}{PLAIN}" for line in lines]
    return "\n".join(lines)


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


def png(code: Code) -> bytes:
    """Return a black and white PNG of 256 by 256 pixels: whole pixels a module, centred in white."""
    scale = max(1, PNG_PIXELS // (len(code) + 2 * QUIET))
    margin = (PNG_PIXELS - len(code) * scale) // 2
    blank = [False] * PNG_PIXELS
    picture = [blank] * margin
    for row in code:
        pixels = [False] * margin + [module for module in row for _ in range(scale)]
        picture += [pixels + [False] * (PNG_PIXELS - len(pixels))] * scale
    picture += [blank] * (PNG_PIXELS - len(picture))
    raw = b"".join(b"\0" + _packed(line) for line in picture)
    header = struct.pack(">IIBBBBB", PNG_PIXELS, PNG_PIXELS, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _packed(line: list[bool]) -> bytes:
    bits = "".join("0" if dark else "1" for dark in line)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")

"""Pictures of a code that a phone scans."""

import base64
import io
import struct
import zlib

import segno

from protocol.models import QrFormat

PNG_PIXELS = 256
# The quiet zone that ISO/IEC 18004 asks for, in modules.
_BORDER = 4
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_BLACK_ON_WHITE, _RESET = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


def render(text: str, picture: QrFormat) -> str:
    """Return the code in the format asked for.

    `png`: a data URL of 256 by 256 pixels; `svg`: a document; `text`: lines of half blocks, dark modules
    inked; `terminal`: the same in black on white whatever the terminal's colours are.
    """
    code = segno.make(text, error="L", micro=False, boost_error=False)
    if picture == "png":
        return "data:image/png;base64," + base64.b64encode(_png(code)).decode()
    if picture == "svg":
        out = io.BytesIO()
        code.save(out, kind="svg", border=_BORDER, scale=4, light="white", xmldecl=False)
        return out.getvalue().decode()
    lines = _half_blocks([[bool(module) for module in row] for row in code.matrix_iter(border=_BORDER)])
    if picture == "terminal":
        lines = [f"{_BLACK_ON_WHITE}{line}{_RESET}" for line in lines]
    return "\n".join(lines)


def _half_blocks(rows: list[list[bool]]) -> list[str]:
    if len(rows) % 2:
        rows = [*rows, [False] * len(rows[0])]
    return [
        "".join(_HALVES[upper, lower] for upper, lower in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    ]


def _png(code: segno.QRCode) -> bytes:
    """Return a greyscale PNG of one bit a pixel: whole pixels a module, centred in white."""
    modules = len(code.matrix)
    scale = max(1, PNG_PIXELS // (modules + 2 * _BORDER))
    margin = (PNG_PIXELS - modules * scale) // 2
    blank = [False] * PNG_PIXELS
    picture = [blank] * margin
    for row in code.matrix:
        pixels = [bool(module) for module in row for _ in range(scale)]
        line = [False] * margin + pixels
        picture += [line + [False] * (PNG_PIXELS - len(line))] * scale
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

"""DevTools messages as they travel.

Source: https://chromedevtools.github.io/devtools-protocol/ (flat sessions: a message may name its session).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

NOTHING = msgspec.Raw(b"{}")


class ErrorReply(msgspec.Struct):
    """Why Chrome refused a call."""

    code: int
    message: str
    data: Any = None


class Incoming(msgspec.Struct, rename="camel"):
    """A reply (`id`) or an event (`method`); the parts that nobody may want stay undecoded."""

    id: int | None = None
    result: msgspec.Raw = NOTHING
    error: ErrorReply | None = None
    method: str | None = None
    params: msgspec.Raw = NOTHING
    session_id: str | None = None


class Outgoing(msgspec.Struct, rename="camel", omit_defaults=True):
    """A call."""

    id: int
    method: str
    params: dict[str, Any]
    session_id: str | None = None


MESSAGE_MAX_BYTES: Final = 96 << 20
"""Chrome stops reading for good, without a word, once 100 MiB wait (kReceiveBufferSizeForDevTools, 156)."""

SURROGATES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
"""Any escape in a JSON string; the group matches half a surrogate pair that stands alone."""

_incoming = msgspec.json.Decoder(Incoming)


def decode(message: bytes) -> Incoming:
    """Decode a message of Chrome's.

    JavaScript strings may be cut in the middle of a character (an emoji, mostly) and Chrome passes the half
    on, which is not valid JSON: it becomes U+FFFD.

    Raises:
        msgspec.MsgspecError: it is no DevTools message even so.
    """
    try:
        return _incoming.decode(message)
    except msgspec.DecodeError:
        return _incoming.decode(SURROGATES.sub(_whole, message))


def _whole(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]

"""DevTools messages as they travel.

Source: https://chromedevtools.github.io/devtools-protocol/ (flat sessions: a message may name its session).
"""

from __future__ import annotations

from typing import Any

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

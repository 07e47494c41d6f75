"""One call that waits for its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio
from attrs import define, field

from supervisors.chrome.errors import (
    ChromeError,
    ConnectionClosed,
    ContextDestroyed,
    DevToolsError,
    TargetDetached,
)
from supervisors.chrome.messages import ErrorReply

SESSION_NOT_FOUND = -32001
CONTEXT_GONE = (
    "Execution context was destroyed",
    "Cannot find context with",
    "navigated or closed",
    "Not attached to an active page",  # between two documents
)

Failure = Callable[[], ChromeError]
"""Makes the error for one waiting task: an exception object must not be raised in two."""


@define(eq=False)
class Pending:
    """A call whose answer is awaited; what settles it first counts."""

    method: str
    session_id: str | None
    done: trio.Event = field(factory=trio.Event)
    _answer: msgspec.Raw | ErrorReply | Failure = ConnectionClosed

    def settle(self, answer: msgspec.Raw | ErrorReply | Failure) -> None:
        """Wake the one who waits."""
        if not self.done.is_set():
            self._answer = answer
            self.done.set()

    def result(self) -> dict[str, Any]:
        """Return the result, or raise what came instead of it."""
        answer = self._answer
        if isinstance(answer, msgspec.Raw):
            decoded: dict[str, Any] = msgspec.json.decode(answer)
            return decoded
        if not isinstance(answer, ErrorReply):
            raise answer()
        if answer.code == SESSION_NOT_FOUND:
            raise TargetDetached
        gone = any(words in answer.message for words in CONTEXT_GONE)
        raise (ContextDestroyed if gone else DevToolsError)(self.method, answer.code, answer.message)

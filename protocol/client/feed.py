"""One subscription as its client holds it: bounded, without a gap or a repeat. No IO.

A client must go on reading while its events wait, or the answer to a request made from within the loop over
the events would never be seen. So a full feed drops what comes, and is lagging: once what it holds has been
taken, its owner reads what was dropped from the event log, page by page, and subscribes anew behind that.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

MAX_WAITING = 4096
"""Events held for the consumer; beyond that the feed lags."""
PAGE = 500
"""Events read from the log at once while a feed catches up."""

Event = dict[str, Any]
"""An event as PROTOCOL names its fields: seq, type, sessionId, timestamp, data."""


class Feed:
    """The events of one subscription that have been told and not been taken.

    `number` is the daemon's, None while there is no subscription; `cursor` the seq of the last event taken.
    """

    def __init__(
        self, sessions: Sequence[str] | None, types: Sequence[str] | None, after: int | None
    ) -> None:
        wanted = {"sessions": sessions, "types": types}
        self._filter = {name: list(value) for name, value in wanted.items() if value is not None}
        self._waiting: deque[Event] = deque()
        self._placed = after is not None
        self.cursor = after or 0
        self.number: int | None = None
        self.lagging = False

    def renewed(self) -> "Feed":
        """Return a feed for another connection, which goes on behind the last event that was taken."""
        return Feed(self._filter.get("sessions"), self._filter.get("types"), self.cursor)

    def __bool__(self) -> bool:
        """Tell whether an event can be taken."""
        return bool(self._waiting)

    def subscription(self) -> dict[str, Any]:
        """Return the params of events.subscribe that go on where this feed ends."""
        if not self._placed:
            return self._filter
        return {**self._filter, "after": self._waiting[-1]["seq"] if self._waiting else self.cursor}

    def opened(self, result: dict[str, Any]) -> None:
        """The answer to events.subscribe came."""
        self.number = result["subscription"]
        self.lagging = False
        if not self._placed:
            self._placed = True
            self.cursor = result["cursor"]

    def told(self, event: Event) -> None:
        """An event came."""
        if not self.lagging and len(self._waiting) < MAX_WAITING:
            self._waiting.append(event)
        else:
            self.lagging = True

    def take(self) -> Event:
        """Return the next event; the feed must not be empty."""
        event = self._waiting.popleft()
        self.cursor = event["seq"]
        return event

    def page(self) -> dict[str, Any]:
        """Return the params of events.list for what was dropped."""
        return {**self._filter, "after": self.cursor, "limit": PAGE}

    def caught_up(self, result: dict[str, Any]) -> bool:
        """The answer to events.list came: hold its events, and tell whether they were the last."""
        self._waiting.extend(result["events"])
        return len(result["events"]) < PAGE

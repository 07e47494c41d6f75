"""Who may launch now: as many at once as the machine can stand, the others in the order in which they asked.

Places are taken by plain calls, so that the order is that of the asking and not of tasks that begin in any.
"""

from collections import deque

import trio


class Launches:
    """The queue; `limit` is how many may launch at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Turn] = deque()
        self._launching: set[Turn] = set()

    def join(self) -> "Turn":
        """Take the last place of the queue; its `close` must follow."""
        turn = Turn(self)
        self._waiting.append(turn)
        self._advance()
        return turn

    def leave(self, turn: "Turn") -> None:
        """Give up the place, whether it has come or not; the second time does nothing."""
        self._launching.discard(turn)
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._advance()

    def ahead(self, turn: "Turn") -> int:
        """Return how many launch or wait before this one; 0 once it has come."""
        return len(self._launching) + self._waiting.index(turn) if turn in self._waiting else 0

    def _advance(self) -> None:
        while self._waiting and len(self._launching) < self._limit:
            turn = self._waiting.popleft()
            self._launching.add(turn)
            turn.has_come.set()


class Turn:
    """A place in the queue."""

    def __init__(self, launches: Launches) -> None:
        self._launches = launches
        self.has_come = trio.Event()

    @property
    def ahead(self) -> int:
        """How many launch or wait before this one."""
        return self._launches.ahead(self)

    def close(self) -> None:
        """Give the place up; may be called again."""
        self._launches.leave(self)

"""Who may launch now: as many at once as the machine has cores and memory for, the others in their order.

Places are taken by plain calls, so that the order is that of the asking and not of tasks that begin in any.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from supervisors.machine import WAITING_FOR_LAUNCH, WAITING_FOR_MEMORY

LOOK_AGAIN_S: Final = 2.0


class Launches:
    """The queue; `limit` is how many may launch at the same time.

    `has_room` says whether there is memory for one more beside so many that are launching.
    """

    def __init__(self, limit: int, has_room: Callable[[int], bool] = lambda _launching: True) -> None:
        self._limit = limit
        self._has_room = has_room
        self.reason = WAITING_FOR_LAUNCH  # what those who wait are waiting for
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

    async def keep_looking(self) -> None:
        """Look whether there is memory again, while somebody waits for it; never returns."""
        while True:
            await trio.sleep(LOOK_AGAIN_S)
            if self.reason == WAITING_FOR_MEMORY:
                self._advance()

    def _advance(self) -> None:
        reason = WAITING_FOR_LAUNCH
        while self._waiting and len(self._launching) < self._limit:
            if not self._has_room(len(self._launching)):
                reason = WAITING_FOR_MEMORY
                break
            turn = self._waiting.popleft()
            self._launching.add(turn)
            turn.has_come.set()
            turn.tell()
        if reason != self.reason:
            self.reason = reason
            for turn in self._waiting:
                turn.tell()


class Turn:
    """A place in the queue."""

    def __init__(self, launches: Launches) -> None:
        self._launches = launches
        self._news = trio.Event()
        self.has_come = trio.Event()

    @property
    def ahead(self) -> int:
        """How many launch or wait before this one."""
        return self._launches.ahead(self)

    @property
    def reason(self) -> str:
        """What it waits for, as clients see it."""
        return self._launches.reason

    async def news(self) -> None:
        """Wait until it has come, or waits for something else."""
        await self._news.wait()

    def tell(self) -> None:
        """Wake whoever waits for news."""
        self._news.set()
        self._news = trio.Event()

    def close(self) -> None:
        """Give the place up; may be called again."""
        self._launches.leave(self)

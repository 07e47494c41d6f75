"""A store in memory, without threads, so that tests of deliveries can run in virtual time."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import apsw
import trio

from daemon.seals import Seals
from daemon.store import EventLog, Pending, sessions
from daemon.store.events import append_event, expire
from daemon.store.migrations import migrate, scripts
from daemon.store.webhooks import Hook, State, insert, load
from daemon.webhooks.delivery import Delivery
from daemon.webhooks.sender import Attempt

T = TypeVar("T")

START_MS = 1_795_255_200_000


def now_ms() -> int:
    """The wall clock of a test: it goes with trio's."""
    return START_MS + int(trio.current_time() * 1000)


class Memory:
    """What a delivery needs of a store; `a` and `b` are sessions."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        Seals().teach(self.db)
        migrate(self.db, scripts())
        self.db.execute("PRAGMA foreign_keys = ON")
        self.restart()
        for name in ("a", "b"):
            self.write(partial(sessions.insert, id=name, name=name, at_ms=START_MS))

    def restart(self) -> None:
        """Open the log anew, as a restart of the daemon does."""

        async def read(query: Callable[[apsw.Connection], Any]) -> Any:
            await trio.lowlevel.checkpoint()
            return query(self.db)

        self.log = EventLog(read, ring_events=8)
        self.log.begin(self.db)

    def write(self, job: Callable[[apsw.Connection], T]) -> T:
        with self.db:
            result = job(self.db)
            found = self.log.collect(self.db)
        self.log.publish(found)
        return result

    def record(self, job: Callable[[apsw.Connection], None]) -> Pending[None]:
        pending = Pending(job, refusable=False)
        pending.succeed(self.write(job))
        return pending

    def add(self, session: str | None, at_ms: int | None = None) -> int:
        """Append an event; return its seq."""
        at = now_ms() if at_ms is None else at_ms
        return self.write(
            lambda db: append_event(db, type="session.connecting", session_id=session, at_ms=at, data={})
        )

    def cut(self) -> None:
        """Let retention delete everything."""
        self.write(lambda db: expire(db, START_MS * 2))

    def hook(self, **more: Any) -> Hook:
        hook = Hook(
            **{"id": "h", "source": "api", "session_id": None, "url": "https://x", **more}, created_at=1
        )
        self.write(lambda db: insert(db, hook))
        return hook

    def delivery(
        self, hook: Hook, post: Callable[[str, bytes], Awaitable[Attempt]], retry_for_s: float = 259_200
    ) -> Delivery:
        return Delivery(
            hook,
            self.state(hook),
            store=self,
            post=post,
            retry_for_s=retry_for_s,
            now_ms=now_ms,
            chance=lambda: 1.0,
        )

    def state(self, hook: Hook) -> State:
        return load(self.db, hook.id)

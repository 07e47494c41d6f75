"""Connections that read: a few, in threads, each question in a snapshot of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import apsw
import trio

from .errors import DAMAGED, TROUBLE, StoreClosed, StoreError
from .files import connect_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.seals import Seals

__all__ = ["Readers"]

T = TypeVar("T")


class Readers:
    """Up to `limit` questions are read at once, others wait their turn."""

    def __init__(self, path: Path, limit: int, seals: Seals) -> None:
        self._path = path
        self._seals = seals
        self._limiter = trio.CapacityLimiter(limit)
        self._idle: list[apsw.Connection] = []
        self._closed = False

    @property
    def all_at_work(self) -> bool:
        """Whether another question would have to wait its turn."""
        return self._limiter.available_tokens == 0

    async def read(self, query: Callable[[apsw.Connection], T]) -> T:
        """See `Store.read`."""
        return await trio.to_thread.run_sync(self._run, query, limiter=self._limiter)

    def _run(self, query: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise StoreClosed
        try:
            db = self._idle.pop() if self._idle else connect_reader(self._path, self._seals)
        except apsw.Error as error:
            raise StoreError(f"{self._path}: cannot be opened for reading: {error}") from error
        try:
            db.execute("BEGIN")
            return query(db)
        except (*TROUBLE, *DAMAGED) as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self._put_back(db)

    def _put_back(self, db: apsw.Connection) -> None:
        self._idle.append(db)
        if self._closed:
            self.close()

    def close(self) -> None:
        """Close every connection, those under way when they are done. Any thread may call this."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

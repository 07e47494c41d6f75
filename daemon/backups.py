"""Copies of the store under `backups/`: when they are made, how many are kept, and what went wrong.

What a copy is made of stands in `daemon.store.copies`; sessions with their logins in `daemon.backup`.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import structlog
import trio

from daemon.journal import now_ms
from daemon.store import Store, StoreError, StoreFull

_SCHEDULED = re.compile(r"scheduled-(\d{6,})-.*\.db", re.ASCII)
_HALVES: Final = ("*.db.part", "*.tar.part", ".*.part", "*.tar.messages")
"""What `daemon.store.copies` and `daemon.backup` write, or wrote once, before a backup is whole."""
_ANY: Final = "backed_up_at"
_COPY: Final = "copied_at"
_AGAIN_S: Final = 3600.0
"""When a scheduled backup that failed is tried again, where the next one is further off."""

_log = structlog.get_logger(__name__)


class Backups:
    """The copies in `directory`; one is made at a time. `lock` is also held by whoever must not be copied."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.lock = trio.Lock()
        self.last_ms: int | None = None
        """When the last backup of any kind was made, those of earlier daemons included."""
        self.last_copy_ms: int | None = None
        """When the last copy of the store was made, those of earlier daemons included."""
        self.failure: str | None = None
        """Why the latest attempt came to nothing, None where it did not."""
        self._store = store
        self._directory = directory

    async def load(self) -> None:
        """Learn when the last ones were made; of those that a crash has cut short, nothing stays."""
        await trio.to_thread.run_sync(self._remove_halves)

        def known(db: apsw.Connection) -> dict[str, int]:
            return dict(db.execute("SELECT name, value FROM meta WHERE name IN (?, ?)", (_ANY, _COPY)))

        found = await self._store.read(known)
        self.last_ms, self.last_copy_ms = found.get(_ANY), found.get(_COPY)

    def made(self, *, copy: bool = False) -> None:
        """Note that something was backed up: the store, or a session."""
        self.last_ms = at_ms = now_ms()
        names = [_ANY]
        if copy:
            self.last_copy_ms = at_ms
            names.append(_COPY)

        def note(db: apsw.Connection) -> None:
            for name in names:
                db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, at_ms))

        self._store.record(note)

    async def make(self) -> tuple[Path, int]:
        """Copy the store; return the copy and its bytes.

        Raises:
            StoreFull: there is no room. StoreError: it cannot be written, or read. Nothing is left of it.
        """
        async with self.lock:
            return await self.make_locked("wasup")

    async def make_locked(self, name: str) -> tuple[Path, int]:
        """Copy the store under a name that begins so; the caller holds `lock`. Raises as `make` does."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self._directory / f"{name}-{stamp}-{os.urandom(3).hex()}.db"
        try:
            size = await self._store.copy(path)
        except (StoreFull, StoreError) as error:
            full = isinstance(error, StoreFull)
            self.failure = "There is no room on the disk for a backup" if full else str(error)
            _log.error("backup_failed", path=str(path), error=self.failure)
            raise
        self.failure = None
        self.made(copy=True)
        _log.info("backup_made", path=str(path), bytes=size)
        return path, size

    async def keep_making(self, interval_s: float, keep: int) -> None:
        """Make a copy every `interval_s` seconds, and keep the newest `keep` of these; never returns."""
        await trio.sleep(due_in_s(self.last_copy_ms, now_ms(), interval_s))
        while True:
            pause_s = interval_s
            try:
                async with self.lock:
                    await self.make_locked(f"scheduled-{await self._next_number():06}")
                await trio.to_thread.run_sync(self._remove_old, keep)
            except (StoreFull, StoreError):  # said by `make_locked`
                pause_s = min(interval_s, _AGAIN_S)
            except OSError as error:
                self.failure = f"Old backups cannot be removed: {error}"
                _log.error("backups_not_removed", error=str(error))
            await trio.sleep(pause_s)

    async def _next_number(self) -> int:
        found = await trio.to_thread.run_sync(self._scheduled)
        return found[-1][0] + 1 if found else 1

    def _scheduled(self) -> list[tuple[int, Path]]:
        """Return the scheduled copies, oldest first: by number, whatever the clock said."""
        try:
            entries = list(self._directory.iterdir())
        except FileNotFoundError:
            return []
        return sorted(
            (int(named[1]), entry)
            for entry in entries
            if (named := _SCHEDULED.fullmatch(entry.name)) is not None
        )

    def _remove_halves(self) -> None:
        for pattern in _HALVES:
            for path in self._directory.glob(pattern):
                with suppress(OSError):
                    path.unlink()
                    _log.info("backup_removed", path=str(path))

    def _remove_old(self, keep: int) -> None:
        for _number, path in self._scheduled()[:-keep]:
            with suppress(FileNotFoundError):
                path.unlink()
                _log.info("backup_removed", path=str(path))


def due_in_s(last_ms: int | None, at_ms: int, interval_s: float) -> float:
    """Return how long to wait for the next copy: at most one interval, whatever the clock has done."""
    if last_ms is None:
        return 0.0
    return min(interval_s, max(0.0, interval_s - (at_ms - last_ms) / 1000))

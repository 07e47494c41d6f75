"""Brings what is stored already to what is wanted: encrypted, in clear again, or under a new key.

It goes through rows and files in small steps, behind everything else, and can be interrupted anywhere: each
row and file says itself what was done to it. Must not know how a row or a file is sealed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
import trio

from daemon.config import ConfigError
from daemon.files import MediaFiles
from daemon.seals import Key, Seals
from daemon.store import Store, StoreError, sealing
from protocol.errors import RpcError

_AGAIN_S: Final = 60.0
"""When what a full disk or an unreadable file has stopped is tried again; each time twice as late."""
_LATEST_AGAIN_S: Final = 3600.0

_log = structlog.get_logger(__name__)


class Resealing:
    """The worker; `run` it, and `wake` it when a session's wish or the keys have changed."""

    def __init__(self, store: Store, seals: Seals, files: MediaFiles) -> None:
        self.keys_in_use: tuple[str, ...] = ()
        """The ids of the keys that may still be needed to read what is stored."""
        self.files_left = 0
        """How many files are not stored as wanted, as far as is known."""
        self._store = store
        self._seals = seals
        self._files = files
        self._wake = trio.Event()

    def wake(self) -> None:
        """Look through everything again."""
        self._wake.set()

    def begin(self) -> None:
        """Put the first key on record, ahead of all that it will encrypt."""
        if self._seals.first is not None:
            self._store.record(partial(sealing.use_key, first=self._seals.first.id))
        self.wake()

    async def replace_keys(self, keys: tuple[Key, ...]) -> None:
        """Take other keys. Raises ConfigError where one that is needed is not among them, STORE_FULL."""
        if [key.id for key in keys] == [key.id for key in self._seals.keys]:
            return
        missing = set(await self._store.read(sealing.keys_in_use)) - {key.id for key in keys}
        if missing:
            raise ConfigError(
                f"the key file lacks {', '.join(_shown(sorted(missing)))}, which what is stored still needs: "
                "daemon.health tells when it does not"
            )
        if keys:
            await self._store.write(partial(sealing.use_key, first=keys[0].id))
        self._seals.keys = keys
        self.wake()

    async def run(self) -> None:
        """Do what is to be done whenever it is woken; never returns."""
        pause_s = 0.0
        while True:
            with trio.move_on_after(pause_s or float("inf")):
                await self._wake.wait()
                pause_s = 0.0
            self._wake = trio.Event()
            try:
                done = await self._go_through()
            except (RpcError, StoreError, OSError) as error:
                _log.warning("resealing_put_off", error=str(error))
                done = False
            pause_s = 0.0 if done else min(_LATEST_AGAIN_S, 2 * pause_s or _AGAIN_S)

    async def _go_through(self) -> bool:
        """Bring everything to what is wanted; return whether that is done, but for what has changed since."""
        first = self._seals.first.id if self._seals.first else None
        self.keys_in_use = _shown(await self._store.read(sealing.keys_in_use))
        if not self.keys_in_use and first is None:
            return True
        changed = 0
        for session_id in await self._store.read(partial(sealing.pending, first=first)):
            for step in (sealing.reseal, sealing.reseal_events):
                changed += await self._rows(partial(step, session_id=session_id, first=first))
        left = 0
        for session_id in await self._store.read(sealing.wanting):
            found = await trio.to_thread.run_sync(self._files.unlike, session_id)
            self.files_left = len(found)
            for entry in found:
                try:
                    await self._files.reseal(session_id, entry)
                except OSError as error:
                    left += 1
                    _log.error("file_not_resealed", session_id=session_id, error=error.strerror)
                self.files_left -= 1
            changed += len(found)
        self.files_left = left
        if await self._store.read(sealing.clear_text_left):
            await self._store.write_anew()
            await self._store.write(sealing.no_clear_text_left)
        if changed:
            _log.info("content_resealed", files_left=left)
        if not left and not self._wake.is_set():
            used = await self._store.write(partial(sealing.drop_unused_keys, first=first))
            self.keys_in_use = _shown(used)
        return not left

    async def _rows(self, step: partial[int | None]) -> int:
        """Take the step until there is nothing more to do; return how often there was something."""
        after: int | None = 0
        batches = 0
        while after is not None:
            after = await self._store.write(partial(step, after=after))
            batches += after is not None
        return batches


def _shown(ids: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(key_id.hex() for key_id in ids)

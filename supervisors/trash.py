"""Directories that are to go: out of the way at once, then removed, whoever still holds something in them.

A file system may refuse for a while (EBUSY of NFS and of mounts, ENOTEMPTY where a process still writes).
What will not go then is left, and the next start of the daemon tries again.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import trio

from supervisors.chrome.profile import make_private

_log = structlog.get_logger(__name__)

PAUSES_S: Final = (0.1, 0.5, 2.0)
_PASSING: Final = frozenset({errno.EBUSY, errno.ENOTEMPTY, errno.EAGAIN, errno.ETXTBSY})


class Trash:
    """What is being removed, in `directory`, which is on the file system of what is thrown away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def throw(self, path: Path) -> None:
        """Remove a directory, which may be missing. Cancelled, it is out of the way, and removed by `empty`.

        Raises:
            OSError: it cannot be moved out of the way.
        """
        doomed = self._directory / f"{path.name}-{os.urandom(4).hex()}"

        def move() -> None:
            if path.exists():
                make_private(self._directory)
                path.rename(doomed)

        await _patiently(move)
        await self._remove(doomed)

    async def empty(self) -> None:
        """Remove what was left."""
        left = trio.Path(self._directory)
        if await left.exists():
            for path in await left.iterdir():
                await self._remove(Path(path))

    async def _remove(self, path: Path) -> None:
        try:
            await _patiently(lambda: shutil.rmtree(path))
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("directory_left", path=str(path), error=str(error))


async def _patiently(act: Callable[[], object]) -> None:
    """Do it in a thread, again after each pause while what is in the way may pass."""
    for pause_s in PAUSES_S:
        try:
            await trio.to_thread.run_sync(act)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        else:
            return
        await trio.sleep(pause_s)
    await trio.to_thread.run_sync(act)

"""Copies of the store: made while it is in use, checked before they are taken for one.

Runs in a thread of trio's. Must not know where copies are kept, nor when they are made.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import apsw
import trio

from supervisors.durable import synchronise

from .errors import StoreError, StoreFull
from .files import APPLICATION_ID, connect_reader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["copy_store"]

_PAGES: Final = 1024  # of 4 KiB, between two looks at whether this is still wanted


def copy_store(source: Path, target: Path) -> int:
    """Write the store `source`, as it is now, to the new file `target` (0600); return the bytes.

    One snapshot is read: the copy is of one moment, and the writer goes on meanwhile. All of its pages are
    read back, and it is on the disk when this returns. Raises `StoreFull` when there is no room,
    `StoreError` when it cannot be made for another reason; nothing of it is left then, nor when the task
    that waits for this thread is cancelled.
    """
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.part")
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            _copy(source, unfinished)
            _verify(unfinished)
            synchronise(unfinished)
            unfinished.rename(target)
            synchronise(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)
        return target.stat().st_size
    except apsw.FullError:
        raise StoreFull from None
    except apsw.Error as error:
        raise StoreError(f"{target}: the copy cannot be written: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull from None
        raise StoreError(f"{target}: the copy cannot be written: {error.strerror}") from error


def _copy(source: Path, target: Path) -> None:
    reader = connect_reader(source)
    try:
        # Held to the end: without it, every write by somebody else would make the copy begin again.
        reader.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
        copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            copy.pragma("journal_mode", "off")  # half a copy is thrown away, not rolled back
            copy.pragma("synchronous", "off")  # it is synchronised as a whole
            with copy.backup("main", reader, "main") as backup:
                while not backup.done:
                    trio.from_thread.check_cancelled()
                    backup.step(_PAGES)
        finally:
            copy.close()
    finally:
        reader.close()


def _verify(copy: Path) -> None:
    db = apsw.Connection(
        f"{copy.absolute().as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)")]
        application = db.pragma("application_id")
    finally:
        db.close()
    if found != ["ok"] or application != APPLICATION_ID:
        raise StoreError(f"{copy}: the copy is damaged: {found[0]}. Is the disk sound?")

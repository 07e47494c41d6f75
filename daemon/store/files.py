"""The store's files: who may open them, and which are refused.

Beside `store.db` (and SQLite's `-wal` and `-shm`) lies `store.db.lock`: held with flock(2) while the store is
open, and saying whether the last user closed it in order. A file that is refused is left as it is.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import apsw
import structlog

from daemon.seals import Seals
from supervisors.durable import synchronise

from .errors import KeyMissing, StoreError
from .migrations import migrate, scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "APPLICATION_ID",
    "FileLock",
    "check_pages",
    "connect_reader",
    "connect_writer",
    "keep_as_it_is",
    "prepare",
]

log = structlog.get_logger(__name__)

APPLICATION_ID: Final = 0x77617375  # "wasu", in the header of every store
_MAGIC: Final = b"SQLite format 3\x00"
_BUSY_MS: Final = 5000
_IN_USE: Final = "in use by process"
NO_SEALS: Final = Seals()
_STEPS: Final = 100_000  # of SQLite's, between two looks at whether a check is still wanted


class FileLock:
    """The lock beside a store: one daemon at a time, and a note of how the last one left.

    Raises `StoreError` when another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"{path}: the store is {self._note() or 'in use'}: only one daemon may run on it. "
                    "Stop the other one, or give this one a state directory of its own."
                ) from None
            os.fchmod(self._fd, 0o600)
            self.was_clean: Final = self._note() == "clean"
            self.unchecked = False
            """Whether the store's pages are to be read before it is written."""
        except BaseException:
            os.close(self._fd)
            raise

    def _note(self) -> str:
        return os.pread(self._fd, 200, 0).decode("ascii", "replace").strip()

    def _write(self, note: str) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{note}\n".encode(), 0)
        os.fsync(self._fd)

    def mark_in_use(self) -> None:
        """From now on, an end without `release(clean=True)` makes the next opener check the file."""
        self._write(f"{_IN_USE} {os.getpid()}")

    def release(self, *, clean: bool) -> None:
        """Let go. `clean` says that the store was closed in order."""
        try:
            if clean:
                self._write("clean")
        finally:
            os.close(self._fd)


def prepare(path: Path, background_bytes: float = float("inf"), seals: Seals = NO_SEALS) -> FileLock:
    """Make `path` a store of this version, ready for `connect_writer`, and hold its lock.

    Directories that are missing are made (0700). All pages are read when the last user did not close it; a
    file from `background_bytes` on may be left `unchecked`: then `check_pages` comes before the first write.
    Raises `StoreError`: held by another process, not a store, made by a newer version, corrupt, unreadable;
    `KeyMissing` where it holds what none of the keys opens.
    """
    try:
        _make_directory(path.parent)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}. {_WHO}") from error
    try:
        if not _refuse_foreign(path):
            _create(path)
        elif not lock.was_clean or path.with_name(f"{path.name}-wal").exists():
            large = path.stat().st_size >= background_bytes
            lock.unchecked = large and _is_current(path)
            if not lock.unchecked:
                check_pages(path)
        if path.stat().st_size:
            _refuse_other_keys(path, seals)
        path.chmod(0o600)
        lock.mark_in_use()
        if not lock.unchecked:
            _migrate(path)
    except BaseException as error:
        lock.release(clean=False)
        if isinstance(error, OSError):
            raise StoreError(f"{path}: cannot be opened: {error.strerror}. {_WHO}") from error
        raise
    return lock


_BESIDE: Final = ("-wal", "-shm", "-journal")
_WHO: Final = "The daemon's user must own it and its directory."
_RESTORE: Final = "Put a backup in its place, or move it away to begin with an empty store."


def _make_directory(directory: Path) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for each in reversed(missing):
        each.mkdir(0o700)
        each.chmod(0o700)  # the umask may have taken bits away


def _create(path: Path) -> None:
    """Put an empty store there, whole or not at all: a power cut must not leave what is refused later."""
    fresh = path.with_name(f"{path.name}.new")
    for left in (fresh, *(each.with_name(each.name + end) for each in (fresh, path) for end in _BESIDE)):
        left.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    _migrate(fresh)
    fresh.replace(path)
    synchronise(path.parent)


def _refuse_foreign(path: Path) -> bool:
    """Raise `StoreError` for what is not a store that this version can read; return whether there is one.

    Reads the header alone, without SQLite, which would already write. An empty file is as good as none.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise StoreError(f"{path}: not a regular file. Point the daemon at another state directory.")
        header = os.pread(fd, 100, 0)
        size = os.fstat(fd).st_size
    finally:
        os.close(fd)
    if not header:
        return False
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise StoreError(f"{path}: not a database. {_RESTORE}")
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    if application not in (APPLICATION_ID, 0) or (application == 0 and version):
        raise StoreError(f"{path}: the database of another program. {_RESTORE}")
    _refuse_newer(path, version)
    # What a log beside it holds may be yet to be copied; else SQLite would take what is missing for zeros.
    page_bytes, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    if size < page_bytes * pages and not path.with_name(f"{path.name}-wal").exists():
        raise StoreError(f"{path}: damaged: it ends after {size} of {page_bytes * pages} bytes. {_RESTORE}")
    return True


def _refuse_newer(path: Path, version: int) -> None:
    known = len(scripts())
    if version > known:
        raise StoreError(
            f"{path}: written by a newer version of the daemon (schema {version}, this one knows {known}). "
            "Install that version again, or put a backup from before the upgrade in its place."
        )


def _refuse_other_keys(path: Path, seals: Seals) -> None:
    """Raise `KeyMissing` if what the store holds may need a key that is not there."""
    if _ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'seal_keys'") != "1":
        return  # written before there was encryption
    used = str(_ask(path, "SELECT coalesce(group_concat(hex(id)), '') FROM seal_keys")).lower().split(",")
    missing = [key_id for key_id in used if key_id and seals.find(bytes.fromhex(key_id)) is None]
    if missing:
        raise KeyMissing(path, missing, [key.id.hex() for key in seals.keys])


def check_pages(path: Path, wanted: Callable[[], bool] = lambda: True) -> None:
    """Read every page, after an end that was not orderly. Raises `StoreError` for damage; writes nothing.

    Ends early, without a result, once `wanted` says no.
    """
    log.info("store_check_started", path=str(path))
    found = _ask(path, "PRAGMA quick_check(1)", wanted)
    if found is None:
        log.info("store_check_ended_early", path=str(path))
    elif found != "ok":
        raise StoreError(f"{path}: damaged: {found}. {_RESTORE}")
    else:
        log.info("store_check_passed", path=str(path))


def _is_current(path: Path) -> bool:
    """Whether the schema can be read, and is this version's: nothing has to be written before reading."""
    _ask(path, "SELECT count(*) FROM sqlite_schema")
    return _ask(path, "PRAGMA user_version") == str(len(scripts()))


def _ask(path: Path, question: str, wanted: Callable[[], bool] = lambda: True) -> str | None:
    """Return the first value of an answer, None when it is no longer wanted; nothing is written.

    Where there is a write-ahead log, closing would copy it into the very file that is refused, without
    NO_CKPT_ON_CLOSE; where there is none, `immutable` keeps SQLite from making one.
    """
    shared = path.with_name(f"{path.name}-shm")
    had_shared = shared.exists()
    immutable = "" if path.with_name(f"{path.name}-wal").exists() else "?immutable=1"
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    try:
        with _closing(f"{path.absolute().as_uri()}{immutable}", flags) as db:
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.pragma("query_only", True)
            db.set_progress_handler(lambda: not wanted(), _STEPS)
            _refuse_newer(path, int(db.pragma("user_version")))
            return str(db.execute(question).get)
    except apsw.InterruptError:
        return None
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(f"{path}: damaged: {error}. {_RESTORE}") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}. {_WHO}") from error
    finally:
        if not had_shared:
            shared.unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    try:
        with _closing(str(path), apsw.SQLITE_OPEN_READWRITE) as db:
            _configure(db)
            db.pragma("application_id", APPLICATION_ID)
            steps = migrate(db, scripts())
            if steps:
                # The header of the file itself, not of the log beside it, has to name the new version.
                db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                log.info("store_migrated", path=str(path), steps=steps)
    except apsw.FullError as error:
        raise StoreError(
            f"{path}: no room on the disk to open the store. Make some and start again."
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(f"{path}: damaged: {error}. {_RESTORE}") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: cannot be brought to this version: {error}. {_WHO}") from error


@contextmanager
def _closing(name: str, flags: int) -> Iterator[apsw.Connection]:
    db = apsw.Connection(name, flags=flags)
    try:
        yield db
    finally:
        db.close()


def _configure(db: apsw.Connection) -> None:
    db.set_busy_timeout(_BUSY_MS)
    if db.pragma("journal_mode", "wal") != "wal":
        raise StoreError(
            f"{db.filename}: the file system does not allow a write-ahead log (a network share?)"
        )
    _keep_plans(db)
    db.pragma("synchronous", "FULL")
    db.pragma("foreign_keys", True)
    db.pragma("temp_store", "MEMORY")
    db.pragma("secure_delete", True)  # what was in clear, or is to be forgotten, does not stay in free pages
    db.pragma("journal_size_limit", 64 * 1024 * 1024)


def connect_writer(path: Path, seals: Seals = NO_SEALS) -> apsw.Connection:
    """The one connection that writes: WAL, a commit is on the disk when it returns (`synchronous=FULL`)."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _configure(db)
        seals.teach(db)
    except BaseException:
        db.close()
        raise
    return db


def _keep_plans(db: apsw.Connection) -> None:
    """Have a statement be prepared once, whatever is bound to it.

    Else each new value of a `LIMIT ?` has it prepared again, which takes longer than to read a page of rows.
    https://www.sqlite.org/c3ref/c_dbconfig_defensive.html#sqlitedbconfigenableqpsg
    """
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def keep_as_it_is(db: apsw.Connection, wanted: bool) -> None:
    """Have closing `db` leave the file alone, or not: else the last to close copies the log into it."""
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, wanted)


def connect_reader(path: Path, seals: Seals = NO_SEALS) -> apsw.Connection:
    """A connection that only reads; what it reads does not wait for the writer, nor the writer for it."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _keep_plans(db)
        db.set_busy_timeout(_BUSY_MS)
        db.pragma("query_only", True)
        db.pragma("temp_store", "MEMORY")
        seals.teach(db)
    except BaseException:
        db.close()
        raise
    return db

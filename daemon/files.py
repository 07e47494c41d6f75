"""Files of messages, 0600: those of what waits to be sent, and those that came.

A session's files are sealed where it wants that: then their names end in `.sealed`.
"""

import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
import trio

from daemon.seals import CHUNK_BYTES, ID_BYTES, Key, Seals, read_sealed, write_sealed
from protocol.errors import RpcError
from supervisors.chrome.profile import make_private
from supervisors.durable import synchronise

SEALED = ".sealed"
_PART = ".part"

_log = structlog.get_logger(__name__)

_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class MediaFiles:
    """Files, 0600: of messages that wait (`sessions/ID/media/`), and that came (`sessions/ID/downloads/`)."""

    def __init__(self, sessions_dir: Path, seals: Seals) -> None:
        self._sessions_dir = sessions_dir
        self._seals = seals
        self._sealing: set[str] = set()
        self._writing: set[Path] = set()

    def seal(self, session_id: str, wanted: bool) -> None:
        """Note whether the session's files are to be sealed from now on; `unlike` has those that are not."""
        (self._sealing.add if wanted else self._sealing.discard)(session_id)

    def outgoing(self, session_id: str, message_id: str) -> "StoredFile":
        """Return the file of a message that waits."""
        return StoredFile(self._seals, self.path(session_id, message_id))

    def path(self, session_id: str, message_id: str) -> Path:
        """Return where the message's file is, or would be: in the session's directory, whatever the id."""
        name = (
            message_id
            if _FILE_NAME.fullmatch(message_id)
            else hashlib.sha256(message_id.encode()).hexdigest()
        )
        return self._sessions_dir / session_id / "media" / name

    async def keep(self, session_id: str, message_id: str, data: bytes) -> None:
        """Write a file durably.

        Raises:
            STORE_FULL: there is no room; nothing is left of it.
        """
        await self._keep(session_id, self.path(session_id, message_id), data)

    async def keep_downloaded(self, session_id: str, key: str, data: bytes) -> None:
        """Write the file of a message that came, durably. Raises STORE_FULL."""
        await self._keep(session_id, self._downloaded(session_id, key), data)

    async def downloaded(self, session_id: str, key: str) -> bytes | None:
        """Return the file of a message that came, None where it was not kept, or cannot be read."""
        pieces = _pieces(self._seals, self._downloaded(session_id, key))
        try:
            return await trio.to_thread.run_sync(b"".join, pieces)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.error("file_unreadable", session_id=session_id, error=error.strerror)
            return None

    def _downloaded(self, session_id: str, key: str) -> Path:
        # Senders choose what keys look like; a digest is a file's name whatever they choose.
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._sessions_dir / session_id / "downloads" / digest

    def drop(self, session_id: str, message_id: str) -> None:
        """Remove the message's file, if there is one."""
        self.outgoing(session_id, message_id).drop()

    def _key(self, session_id: str) -> Key | None:
        return self._seals.first if session_id in self._sealing else None

    async def _keep(self, session_id: str, path: Path, data: bytes) -> None:
        """Write a file as the session wants it, also where it has changed its mind meanwhile."""
        key = self._key(session_id)
        self._writing.add(path)
        try:
            await trio.to_thread.run_sync(_write, path, _cut(data), key)
            self._writing.discard(path)
            if self._key(session_id) is not key:
                await self.reseal(session_id, _name(path, key))
        except OSError as error:
            raise RpcError("STORE_FULL", f"The file cannot be kept: {error.strerror}") from None
        finally:
            self._writing.discard(path)

    def unlike(self, session_id: str) -> list[Path]:
        """Return the session's files that are not stored as it wants; what a crash left half-written goes.

        To be called in a thread. Raises OSError.
        """
        key = self._key(session_id)
        found = []
        for directory in ("media", "downloads"):
            for entry in (self._sessions_dir / session_id / directory).glob("*"):
                if entry.suffix == _PART:
                    self._remove_half(entry)
                    continue
                with suppress(FileNotFoundError):
                    if _key_id(entry) != (key.id if key else None):
                        found.append(entry)
        return found

    def waiting(self, session_id: str, before_s: float) -> set[str]:
        """Return the ids of messages with a file that was written before a time (epoch seconds).

        What was left half-written before it goes. To be called in a thread. Raises OSError.
        """
        found = set()
        for entry in self._older(session_id, "media", before_s):
            if entry.suffix == _PART:
                self._remove_half(entry)
            else:
                found.add(entry.name.removesuffix(SEALED))
        return found

    def forget_downloads(self, session_id: str, before_s: float, *, halves: bool) -> None:
        """Remove the files of messages that came before a time, or what was left half-written of them alone.

        To be called in a thread. Raises OSError.
        """
        for entry in self._older(session_id, "downloads", before_s):
            if entry.suffix == _PART:
                self._remove_half(entry)
            elif not halves:
                _remove(entry)

    def _older(self, session_id: str, directory: str, before_s: float) -> Iterator[Path]:
        for entry in (self._sessions_dir / session_id / directory).glob("*"):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < before_s:
                    yield entry

    def _remove_half(self, entry: Path) -> None:
        if entry.with_name(entry.name.removesuffix(_PART)) not in self._writing:
            _remove(entry)

    async def reseal(self, session_id: str, entry: Path) -> None:
        """Write a file that `unlike` found as the session wants it. Raises OSError.

        Cancelled or killed, the file is there as it was, or as it is to be, or both.
        """
        key = self._key(session_id)
        path = entry.with_name(entry.name.removesuffix(SEALED))
        if path in self._writing:
            return
        self._writing.add(path)
        try:
            unfinished = path.with_name(path.name + _PART)
            await trio.to_thread.run_sync(
                _write_unfinished, unfinished, _pieces(self._seals, path), path, key
            )
            # Without a pause for anyone else: what was dropped meanwhile must not come back.
            _take_the_place(unfinished, entry, _name(path, key))
        except FileNotFoundError:
            pass  # WhatsApp has it, and it was dropped
        finally:
            self._writing.discard(path)


class StoredFile:
    """A file of a message, sealed or not; both once it was killed between the two."""

    def __init__(self, seals: Seals, path: Path) -> None:
        self._seals = seals
        self._path = path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """Give a function that reads the next piece, b"" at the end. That raises OSError."""
        pieces = _pieces(self._seals, self._path)
        try:
            yield lambda: trio.to_thread.run_sync(next, pieces, b"")
        finally:
            pieces.close()

    def drop(self) -> None:
        """Remove the file, if it is there; one that cannot be removed is left, and the log says so."""
        for path in (self._path, self._path.with_name(self._path.name + SEALED)):
            _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.error("file_not_removed", path=str(path), error=error.strerror)


def _name(path: Path, key: Key | None) -> Path:
    return path if key is None else path.with_name(path.name + SEALED)


def _take_the_place(unfinished: Path, entry: Path, target: Path) -> None:
    if not entry.exists():
        unfinished.unlink()
        return
    unfinished.rename(target)
    if target != entry:
        entry.unlink()


def _place(path: Path) -> bytes:
    """What a sealed file is bound to: its session, its directory, its message."""
    return "\0".join(path.parts[-3:]).encode()


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[begin : begin + CHUNK_BYTES] for begin in range(0, len(data), CHUNK_BYTES))


def _pieces(seals: Seals, path: Path) -> Generator[bytes, None, None]:
    """Yield what a file holds, in clear, in pieces of `CHUNK_BYTES`. Raises OSError."""
    try:
        source = path.with_name(path.name + SEALED).open("rb")
    except FileNotFoundError:
        with path.open("rb") as source:
            while piece := source.read(CHUNK_BYTES):
                yield piece
    else:
        with source:
            yield from read_sealed(seals, _place(path), path, source)


def _key_id(entry: Path) -> bytes | None:
    """Return the id of the key that a file is sealed with, None for one that is not, or is gone."""
    if entry.suffix != SEALED:
        return None
    with entry.open("rb") as source:
        return source.read(ID_BYTES)


def _write(path: Path, data: Iterator[bytes], key: Key | None) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = path.with_name(path.name + _PART)
    make_private(path.parent)
    _write_unfinished(unfinished, data, path, key)
    unfinished.rename(_name(path, key))
    synchronise(path.parent)  # a power cut must not take the name away either


def _write_unfinished(unfinished: Path, data: Iterator[bytes], path: Path, key: Key | None) -> None:
    """Write the file of `path` durably under a name that is nobody's yet; nothing is left of half of it."""
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            if key is None:
                out.writelines(data)
            else:
                write_sealed(key, _place(path), data, out)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise

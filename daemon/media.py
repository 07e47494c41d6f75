"""Files that clients send: taken in before the message is accepted, kept until WhatsApp has them."""

import base64
import binascii
import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from protocol.errors import RpcError
from protocol.models import MediaContent

# What a kind is taken for where neither the client nor the file's name says more.
_USUAL = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "document": "application/octet-stream",
    "sticker": "image/webp",
}
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_VOICE_NOTE = "audio/ogg; codecs=opus"


@attrs.frozen(kw_only=True)
class TakenFile:
    """A file on its way: its bytes, and what is said of them."""

    data: bytes = attrs.field(repr=False)
    mimetype: str
    filename: str

    @property
    def digest(self) -> str:
        """What tells these bytes from all others."""
        return hashlib.sha256(self.data).hexdigest()


class MediaFiles:
    """Files, 0600: of messages that wait (`sessions/ID/media/`), and that came (`sessions/ID/downloads/`)."""

    def __init__(self, sessions_dir: Path) -> None:
        self._sessions_dir = sessions_dir

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
        await trio.to_thread.run_sync(_write, self.path(session_id, message_id), data)

    async def keep_downloaded(self, session_id: str, key: str, data: bytes) -> None:
        """Write the file of a message that came, durably. Raises STORE_FULL."""
        await trio.to_thread.run_sync(_write, self._downloaded(session_id, key), data)

    async def downloaded(self, session_id: str, key: str) -> bytes | None:
        """Return the file of a message that came, None where it was not kept."""
        try:
            return await trio.Path(self._downloaded(session_id, key)).read_bytes()
        except FileNotFoundError:
            return None

    def _downloaded(self, session_id: str, key: str) -> Path:
        # Senders choose what keys look like; a digest is a file's name whatever they choose.
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._sessions_dir / session_id / "downloads" / digest

    def drop(self, session_id: str, message_id: str) -> None:
        """Remove the message's file, if there is one."""
        self.path(session_id, message_id).unlink(missing_ok=True)


async def take(kind: str, content: MediaContent, *, most_bytes: int, dirs: Sequence[Path]) -> TakenFile:
    """Read what a client gives, by value or by path.

    Raises:
        RpcError: MEDIA_TOO_LARGE; INVALID_PARAMS for what is no base64, and for a path that is outside of
            `[messages] media_dirs`, or cannot be read.
    """
    if content.data is not None:
        data = await trio.to_thread.run_sync(_decode, kind, content.data, most_bytes)
        name = content.filename
    else:
        path = Path(content.path or "")
        data = await trio.to_thread.run_sync(_read, kind, path, most_bytes, dirs)
        name = content.filename or path.name
    mimetype = content.mimetype or (mimetypes.guess_type(name)[0] if name else None)
    if mimetype is None:
        mimetype = _VOICE_NOTE if content.ptt else _USUAL[kind]
    if name is None:
        name = kind + (mimetypes.guess_extension(mimetype.partition(";")[0]) or "")
    return TakenFile(data=data, mimetype=mimetype, filename=name)


def _decode(kind: str, text: str, most_bytes: int) -> bytes:
    if len(text) // 4 * 3 > most_bytes + 2:
        raise RpcError("MEDIA_TOO_LARGE", bytes=len(text) // 4 * 3, limit=most_bytes)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refusal(kind, "data", "Expected base64") from None
    if len(data) > most_bytes:
        raise RpcError("MEDIA_TOO_LARGE", bytes=len(data), limit=most_bytes)
    return data


def _read(kind: str, path: Path, most_bytes: int, dirs: Sequence[Path]) -> bytes:
    """Read a file that lies in one of the directories, wherever links lead."""
    if not path.is_absolute():
        raise _refusal(kind, "path", "Expected an absolute path")
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(directory.resolve()) for directory in dirs):
            raise _refusal(kind, "path", "The path lies in none of `[messages] media_dirs`")
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as source:
            status = os.fstat(source.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _refusal(kind, "path", "Expected a regular file")
            if status.st_size > most_bytes:
                raise RpcError("MEDIA_TOO_LARGE", bytes=status.st_size, limit=most_bytes)
            return source.read(most_bytes)
    except OSError as error:
        raise _refusal(kind, "path", f"The file cannot be read: {error.strerror}") from None


def _refusal(kind: str, field: str, problem: str) -> RpcError:
    path = f"$.{kind}.{field}"
    return RpcError("INVALID_PARAMS", f"{path}: {problem}", path=path, problem=problem)


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        unfinished.rename(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RpcError("STORE_FULL", f"The file cannot be kept: {error.strerror}") from None

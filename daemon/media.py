"""Files that clients send, taken in before their message is accepted."""

import base64
import binascii
import hashlib
import mimetypes
import os
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
    except ValueError:  # a null byte
        raise _refusal(kind, "path", "No file has such a name") from None


def _refusal(kind: str, field: str, problem: str) -> RpcError:
    path = f"$.{kind}.{field}"
    return RpcError("INVALID_PARAMS", f"{path}: {problem}", path=path, problem=problem)

"""Encryption at rest: the keys, and what they do to a row's content or a file, in this process alone.

AES-256-GCM of the package `cryptography`, not its MultiFernet: that would rotate keys by itself, but has
no associated data, so a row could pass for another, and it costs a third more room (base64). What is sealed
begins with the id of its key, so several keys can be in use while one follows another. From each secret,
HKDF makes a key for rows, its id, and one for each file. Nonces of rows are random, 96 bits: good for 2**32
rows a key (NIST SP 800-38D, 8.3). Knows no table, no directory, and not where keys come from.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import apsw

__all__ = ["ID_BYTES", "SECRET_BYTES", "Key", "Seals", "UnreadableFile", "read_sealed", "write_sealed"]

SECRET_BYTES: Final = 32
ID_BYTES: Final = 8
CHUNK_BYTES: Final = 768 * 1024
"""What of a file is sealed, read and kept in memory at once."""

_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_MOST_TOLD: Final = 1000

_log = structlog.get_logger(__name__)


class UnreadableFile(OSError):
    """A sealed file that is not what was written: damaged, cut off, another's, or of an unknown key."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EBADMSG, "it cannot be decrypted", str(path))


class Key:
    """One secret of 32 bytes; `id` tells it from others and says nothing of it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a key has {SECRET_BYTES} bytes")
        self._secret = secret
        self.id: Final = _derived(secret, b"wasup id", length=ID_BYTES)
        self.rows: Final = _cipher(_derived(secret, b"wasup rows"))

    def for_file(self, salt: bytes) -> Any:
        """Return the cipher of one file."""
        return _cipher(_derived(self._secret, b"wasup file", salt))

    def __repr__(self) -> str:
        return f"<Key {self.id.hex()}>"


def _derived(secret: bytes, purpose: bytes, salt: bytes | None = None, length: int = SECRET_BYTES) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # only those who encrypt pay for the import
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt, purpose).derive(secret)


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _is_forged(error: Exception) -> bool:
    from cryptography.exceptions import InvalidTag

    return isinstance(error, InvalidTag)


class Seals:
    """The keys of this daemon: the first seals, all open. They may be replaced while it runs."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self.keys = tuple(keys)
        self._told: set[tuple[object, ...]] = set()

    @property
    def first(self) -> Key | None:
        """The key that seals, None where there is none."""
        return self.keys[0] if self.keys else None

    def find(self, key_id: bytes) -> Key | None:
        """Return the key with this id, None where it is not known."""
        return next((key for key in self.keys if key.id == key_id), None)

    def seal(self, place: bytes, content: bytes) -> bytes:
        """Encrypt; only under the same `place` will it open."""
        key = self.keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = key.rows.encrypt(nonce, content, place)
        return key.id + nonce + sealed

    def open(self, place: bytes, sealed: bytes) -> bytes | None:
        """Decrypt; None for what was sealed for another place, is damaged, or has a key that is not known."""
        key = self.find(sealed[:ID_BYTES])
        begin = ID_BYTES + _NONCE_BYTES
        if key is None or len(sealed) < begin + _TAG_BYTES:
            return None
        try:
            content: bytes = key.rows.decrypt(sealed[ID_BYTES:begin], sealed[begin:], place)
        except Exception as error:
            if _is_forged(error):
                return None
            raise
        return content

    def teach(self, db: apsw.Connection) -> None:
        """Give a connection's SQL `seal` and `unseal` (table, session's id, row's number, content).

        `unseal` of what cannot be opened is an empty blob, which nothing that was sealed is.
        """

        def seal(*given: Any) -> bytes:
            table, session_id, row, content = given
            return self.seal(_place(table, session_id, row), content)

        def unseal(*given: Any) -> bytes:
            table, session_id, row, sealed = given
            content = self.open(_place(table, session_id, row), sealed)
            if content is None:
                self._tell_once(table, session_id, row)
            return content or b""

        db.create_scalar_function("seal", seal, 4)
        db.create_scalar_function("unseal", unseal, 4)

    def _tell_once(self, table: str, session_id: str, row: int) -> None:
        """Log what cannot be opened; once, for it is read again and again."""
        if (table, row) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((table, row))
            _log.error("content_unreadable", session_id=session_id, table=table, row=row)


def _place(table: str, session_id: str, row: int) -> bytes:
    return f"{table}\0{session_id}\0{row}".encode()


# A sealed file is the key's id, a salt, and its chunks: each with a nonce of its number and whether it is the
# last, so that none can be left out, moved or cut off (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015).


def write_sealed(key: Key, place: bytes, source: Iterator[bytes], out: BinaryIO) -> None:
    """Encrypt pieces, each of `CHUNK_BYTES` but for the last, into a file."""
    salt = os.urandom(_SALT_BYTES)
    cipher = key.for_file(salt)
    out.write(key.id + salt)
    number, piece = 0, next(source, b"")
    while True:
        following = next(source, b"")
        out.write(cipher.encrypt(_nonce(number, last=not following), piece, place))
        if not following:
            return
        number, piece = number + 1, following


def read_sealed(seals: Seals, place: bytes, path: Path, source: BinaryIO) -> Iterator[bytes]:
    """Yield the pieces that `write_sealed` was given. Raises `UnreadableFile` before one that is wrong."""
    key = seals.find(source.read(ID_BYTES))
    salt = source.read(_SALT_BYTES)
    if key is None or len(salt) != _SALT_BYTES:
        raise UnreadableFile(path)
    cipher = key.for_file(salt)
    number, chunk = 0, source.read(CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = source.read(CHUNK_BYTES + _TAG_BYTES)
        try:
            piece: bytes = cipher.decrypt(_nonce(number, last=not following), chunk, place)
        except Exception as error:
            if _is_forged(error):
                raise UnreadableFile(path) from None
            raise
        if piece:
            yield piece
        if not following:
            return
        number, chunk = number + 1, following


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">3xQB", number, last)

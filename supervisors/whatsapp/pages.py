"""Versions of WhatsApp's page that are kept: the document of each, and the one that sessions are to have.

A document is the page's HTML with the headers that belong to it (its Content-Security-Policy names what the
HTML holds); the scripts that it asks for are addressed by version, and stay on WhatsApp's servers. Each is
one file of the directory, which makes it whole or not there. Must not know how a document gets to a browser.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import trio

from supervisors.durable import replacing, synchronise

MOST_BYTES: Final = 8 << 20
"""The largest document that is kept; web.whatsapp.com's has less than 1 MiB."""

VERSION: Final = r"[0-9]{1,10}(\.[0-9]{1,10}){1,3}(-[a-z0-9]{1,16})?"
"""What a version looks like, such as 2.3000.1040000000: it becomes the name of a file."""

# The headers that say what a document may do. Not kept: cookies, what describes the transfer, addresses for
# reports.
HEADERS: Final = frozenset(
    {
        "content-security-policy",
        "content-type",
        "cross-origin-embedder-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "document-policy",
        "origin-agent-cluster",
        "permissions-policy",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
    }
)
_PIN: Final = "pinned"


class PageNotStored(Exception):
    """There is no document of this version; the text says why."""


class PageRefused(Exception):
    """A document, or what it calls its version, is not what is kept."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the page; `saved_at_ms` in epoch milliseconds."""

    version: str
    saved_at_ms: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a document that is kept; `bytes` is its size."""

    version: str
    saved_at_ms: int
    bytes: int


class Pages:
    """The documents in `directory`, which is made when the first is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changing = trio.Lock()  # one that is being chosen must not be removed
        self._document: Document | None = None
        self.pinned = self._read_pin()
        """The version that sessions are to have; None: the newest there is, each time."""

    def _read_pin(self) -> str | None:
        try:
            return (self._directory / _PIN).read_text(errors="replace").strip()[:64] or "unknown"
        except FileNotFoundError:
            return None

    async def in_use(self) -> Document | None:
        """Return the document that sessions are to have; None: the newest there is.

        Raises:
            PageNotStored: the one that they are to have is gone.
        """
        if self.pinned is not None and self._document is None:
            async with self._changing:
                if self.pinned is not None and self._document is None:  # still
                    self._document = await trio.to_thread.run_sync(self._read, self.pinned)
        return self._document

    async def check(self) -> None:
        """Look whether the version that sessions are to have is there; raises PageNotStored."""
        document = await self.in_use()
        if document is not None and not self._path(document.version).exists():
            raise PageNotStored(f"version {document.version} was removed from the disk")

    async def stored(self) -> list[Kept]:
        """Return what is kept, the latest first; what cannot be read is left out."""
        async with self._changing:  # whoever asks, and how often: one document is in memory at a time
            return await trio.to_thread.run_sync(self._read_all)

    async def keep(self, document: Document) -> Document:
        """Keep a document, and return it; of a version that is there already, the one that is there.

        Raises:
            PageRefused: it is too large, or what it calls its version is none.
            OSError: the disk does not take it; nothing is left of it.
        """
        if re.fullmatch(VERSION, document.version) is None:
            raise PageRefused(f"the page calls its version {document.version[:64]!r}")
        if not 0 < len(document.body) <= MOST_BYTES:
            raise PageRefused(f"the document has {len(document.body)} bytes")
        async with self._changing:
            return await trio.to_thread.run_sync(self._keep, document)

    async def use(self, version: str | None) -> None:
        """Have sessions get this version from their next load on; None: the newest there is, each time.

        Raises:
            PageNotStored: it is not kept. OSError: the disk does not take it.
        """
        async with self._changing:
            document = None if version is None else await trio.to_thread.run_sync(self._read, version)
            await trio.to_thread.run_sync(self._write_pin, version)
            self.pinned, self._document = version, document

    async def remove(self, version: str) -> None:
        """Keep a version no longer.

        Raises:
            PageNotStored: it is not kept. PageRefused: it is in use. OSError: it cannot be removed.
        """
        async with self._changing:
            if version == self.pinned:
                raise PageRefused("sessions are to have this version")
            try:
                await trio.to_thread.run_sync(self._path(version).unlink)
            except FileNotFoundError:
                raise PageNotStored(f"version {version} is not stored") from None

    def _path(self, version: str) -> Path:
        if re.fullmatch(VERSION, version) is None:
            raise PageNotStored(f"{version[:64]!r} is no version of the page")
        return self._directory / f"{version}.json"

    def _read(self, version: str) -> Document:
        try:
            document = msgspec.json.decode(self._path(version).read_bytes(), type=Document)
        except FileNotFoundError:
            raise PageNotStored(f"version {version} is not stored") from None
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            raise PageNotStored(f"version {version} cannot be read: {error}") from None
        if document.version != version:
            raise PageNotStored(f"the file of version {version} holds another")
        return document

    def _read_all(self) -> list[Kept]:
        found = []
        for path in self._directory.glob("*.json"):
            try:
                found.append(kept_of(self._read(path.stem)))
            except PageNotStored:
                continue
        return sorted(found, key=lambda kept: kept.saved_at_ms, reverse=True)

    def _keep(self, document: Document) -> Document:
        try:
            return self._read(document.version)
        except PageNotStored:
            self._write(self._path(document.version), msgspec.json.encode(document))
            return document

    def _write_pin(self, version: str | None) -> None:
        path = self._directory / _PIN
        if version is not None:
            self._write(path, f"{version}\n".encode())
        elif path.exists():
            path.unlink()
            synchronise(self._directory)

    def _write(self, path: Path, data: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)
        synchronise(self._directory)


def kept_of(document: Document) -> Kept:
    """Return what is told of a document."""
    return Kept(version=document.version, saved_at_ms=document.saved_at_ms, bytes=len(document.body))


def kept_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return those of a response's headers that belong to its document."""
    return tuple((name.lower(), value) for name, value in headers if name.lower() in HEADERS)

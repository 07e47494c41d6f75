"""Backups: a session's login, settings and messages in one archive."""

import io
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import trio

from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import message_record, messages, sessions
from protocol.errors import RpcError

# What Chrome makes anew by itself; everything else of a profile is kept.
_CACHES = frozenset(
    {
        "Cache",
        "Code Cache",
        "GPUCache",
        "DawnCache",
        "DawnGraphiteCache",
        "DawnWebGPUCache",
        "ShaderCache",
        "GrShaderCache",
        "GraphiteDawnCache",
        "CacheStorage",
        "component_crx_cache",
    }
)
_PAGE = 500


async def back_up_session(service: Service, session_id: str) -> Path:
    """Write a stopped session into `backups/` of the state directory; return the archive's path.

    The archive (`.tar.gz`, 0600) holds `session.json`, `messages.jsonl` and `profile/` without its caches.

    Cancelled, it stops between two files, and leaves nothing.

    Raises:
        STORE_FULL: there is no room; nothing half-written is left.
    """
    directory = service.config.state_dir / "backups"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = directory / f"{session_id}-{stamp}-{os.urandom(3).hex()}.tar.gz"
    profile = service.config.state_dir / "sessions" / session_id / "profile"
    row = await service.store.read(lambda db: sessions.get(db, session_id))
    described = msgspec.json.encode(
        {
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "phoneNumber": row.phone_number,
            "createdAt": row.created_at,
            "settings": row.settings.visible,
        }
    )
    told = await service.store.read(lambda db: b"".join(_lines(db, session_id)))
    try:
        await trio.to_thread.run_sync(
            _write, path, profile, {"session.json": described, "messages.jsonl": told}
        )
    except OSError as error:
        raise RpcError(
            "STORE_FULL", f"The backup cannot be written ({error.strerror}): nothing was deleted"
        ) from None
    service.backed_up_at_ms = now_ms()
    return path


def _lines(db: apsw.Connection, session_id: str) -> Iterator[bytes]:
    cursor = None
    while True:
        rows, cursor = messages.list_(db, session_id, cursor=cursor, limit=_PAGE)
        for row in rows:
            yield msgspec.json.encode(message_record(row)) + b"\n"
        if cursor is None:
            return


def _write(path: Path, profile: Path, texts: dict[str, bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as out:
            with tarfile.open(fileobj=out, mode="w:gz") as archive:
                for name, text in texts.items():
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode, entry.mtime = len(text), 0o600, int(time.time())
                    archive.addfile(entry, io.BytesIO(text))
                if profile.is_dir():
                    archive.add(profile, "profile", filter=_kept)
            out.flush()
            os.fsync(out.fileno())
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    trio.from_thread.check_cancelled()
    name = entry.name.rpartition("/")[2]
    return None if name in _CACHES or name.startswith("Singleton") else entry

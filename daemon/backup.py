"""Backups: a session's login, settings and messages in one archive."""

import base64
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw
import msgspec
import trio

from daemon.journal import now_ms
from daemon.seals import Seals
from daemon.service import Service
from daemon.store import SessionRow, message_record, sessions
from daemon.store.records import MESSAGE_COLUMNS, message_row
from protocol.errors import RpcError
from protocol.models import EXPORT_FORMAT, EXPORT_VERSION, ExportedSession, ExportHeader, PastMessage
from protocol.params import decode
from protocol.times import rfc3339
from supervisors.chrome.usage import CACHES
from supervisors.durable import replacing, synchronise

if TYPE_CHECKING:
    import tarfile

ARCHIVED: Final = b"archive"
"""What a sealed line of an archive is bound to: it says itself which message it is."""


async def back_up_session(service: Service, session_id: str) -> Path:
    """Write a stopped session into `backups/` of the state directory; return the archive's path.

    The archive (`.tar.gz`, 0600) holds `session.json`, `messages.jsonl` (which `wasupctl import`
    reads; encrypted line by line where the session is) and `profile/` without its caches.

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
    told = path.with_suffix(".messages")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        seals = service.seals if row.settings.visible.enable_encryption else None
        await service.store.read(lambda db: _write_messages(db, row, told, seals))
        await trio.to_thread.run_sync(_write, path, profile, {"session.json": described}, told)
    except OSError as error:
        raise RpcError(
            "STORE_FULL", f"The backup cannot be written ({error.strerror}): nothing was deleted"
        ) from None
    finally:
        told.unlink(missing_ok=True)
    service.backups.made()
    return path


def unseal_messages(seals: Seals, lines: Sequence[str]) -> list[PastMessage]:
    """Read lines of an archive's encrypted messages. Raises INVALID_PARAMS."""
    found = []
    for number, line in enumerate(lines):
        try:
            text = seals.open(ARCHIVED, base64.b64decode(line, validate=True))
        except ValueError:  # no base64, or not even ASCII
            text = None
        if text is None:
            path, problem = f"$.sealed[{number}]", "It cannot be decrypted"
            raise RpcError(
                "INVALID_PARAMS",
                f"{path}: {problem}",
                path=path,
                problem=problem,
                action="Put the key of that time into [encryption] key_file, as its last line; send SIGHUP.",
            )
        found.append(decode(PastMessage, text))
    return found


def _write_messages(db: apsw.Connection, session: SessionRow, path: Path, seals: Seals | None) -> None:
    """Write the session's messages as `wasupctl import` reads them, the oldest first."""
    count: int = db.execute("SELECT count(*) FROM messages WHERE session_id = ?", (session.id,)).get
    header = ExportHeader(
        format=EXPORT_FORMAT,
        version=EXPORT_VERSION,
        session=ExportedSession(id=session.id, name=session.name, phone_number=session.phone_number),
        exported_at=rfc3339(now_ms()),
        messages=count,
        sealed=seals is not None,
    )
    rows = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.session_id = ? ORDER BY m.at, m.ref",  # noqa: S608
        (session.id,),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(msgspec.json.encode(header) + b"\n")
        for row in rows:
            line = msgspec.json.encode(message_record(message_row(row)))
            if seals is not None:
                line = b'"%b"' % base64.b64encode(seals.seal(ARCHIVED, line))
            out.write(line + b"\n")


def _write(path: Path, profile: Path, texts: dict[str, bytes], told: Path) -> None:
    import tarfile  # not before the first backup

    with replacing(path) as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(text))
        archive.add(told, "messages.jsonl")
        if profile.is_dir():
            archive.add(profile, "profile", filter=_kept)
    synchronise(path.parent)  # what it holds is wiped next


def _kept(entry: "tarfile.TarInfo") -> "tarfile.TarInfo | None":
    trio.from_thread.check_cancelled()
    name = entry.name.rpartition("/")[2]
    return None if name in CACHES or name.startswith("Singleton") else entry

"""The commands that write a session's messages to files, and read them back."""

import base64
import binascii
import hashlib
import mimetypes
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from cyclopts import Parameter

from protocol.client.blocking import Client
from protocol.errors import RpcError
from protocol.models import EXPORT_FORMAT, EXPORT_VERSION, IMPORT_BATCH, ExportHeader, PastMessage
from protocol.params import decode
from protocol.times import rfc3339
from supervisors.durable import replacing

from .failures import Failure
from .figures import size
from .invocation import QUERY_S, At
from .lookup import Session, find
from .output import tell
from .refusal import refused

_PAGE = 200
"""Messages that are asked for at once: of the longest texts, they still fit into one answer."""

_DOWNLOAD_S = 300
_IMPORT_S = 300

_MOST_LINE_BYTES = 8 * 2**20
_MOST_BATCH_BYTES = 4 * 2**20
"""What one message.import may have: well under the daemon's usual limit for a request."""

_SEALED = re.compile(rb'"[A-Za-z0-9+/]+=*"\n')
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}", re.ASCII)


def export(
    session: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))] = Path(),
    media: Annotated[bool, Parameter(negative="--no-media")] = True,
    at: At,
) -> None:
    """Write a session's messages to a file, a line of JSON each, the oldest first; and their files beside it.

    May be repeated: the file is replaced when the new one is complete, and files that are there are not
    downloaded again. `wasupctl import` reads it back.

    Args:
        session: The session's id or name.
        output: A directory, for SESSION-ID.jsonl, or a file's name that ends in .jsonl.
        media: Download the messages' files too, which takes a session that is connected.
    """
    with at.connect() as client:
        found = find(client, session)
        path = output if output.suffix == ".jsonl" else output / f"{found['id']}.jsonl"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = _Files(client, found, path.with_suffix(".media")) if media else None
        count = _write_export(client, found, path, files)
    result: dict[str, Any] = {"path": str(path), "messages": count}
    if files is not None:
        result["media"] = {"saved": files.saved, "skipped": files.skipped}

    def show() -> None:
        kept = f", {files.saved} files in {files.directory}" if files is not None and files.saved else ""
        at.out.line(f"{found['name']}: {count} messages in {path}{kept}.")
        if files is not None and files.skipped:
            tell(f"{files.skipped} files were not downloaded: {files.reason} Run it again to get them.")

    at.result(result, show)


class _Files:
    """The files of an export's messages; their names are made here, of nothing that a stranger chose."""

    def __init__(self, client: Client, session: Session, directory: Path) -> None:
        self.directory = directory
        self.saved = 0
        self.skipped = 0
        self.reason = ""
        self._client = client
        self._session = session
        self._connected = True

    def get(self, message: dict[str, Any]) -> str | None:
        """Return where the message's file lies, relative to the export; None where it could not be had."""
        name = _file_name(message)
        path = self.directory / name
        if not path.exists() and not self._download(message, path):
            self.skipped += 1
            return None
        self.saved += 1
        return f"{self.directory.name}/{name}"

    def _download(self, message: dict[str, Any], path: Path) -> bool:
        if not self._connected or not message["key"]:
            self.reason = self.reason or "The message has not left yet."
            return False
        try:
            answer = self._client.call(
                "message.download",
                sessionId=self._session["id"],
                messageId=message["key"],
                within_s=_DOWNLOAD_S,
            )
            data = base64.b64decode(answer["data"], validate=True)
        except RpcError as error:
            self.reason = refused(error)
            self._connected = error.code != "SESSION_NOT_CONNECTED"
            return False
        except binascii.Error:
            self.reason = "The daemon's answer is not base64."
            return False
        self.directory.mkdir(mode=0o700, exist_ok=True)
        with replacing(path) as out:
            out.write(data)
        return True


def _file_name(message: dict[str, Any]) -> str:
    name = hashlib.sha256((message["key"] or message["id"]).encode()).hexdigest()[:32]
    media = message["media"]
    given = Path(media.get("filename") or "").suffix
    guessed = mimetypes.guess_extension(media["mimetype"].partition(";")[0].strip())
    return name + (given if _EXTENSION.fullmatch(given) else guessed or ".bin")


def _write_export(client: Client, session: Session, path: Path, files: _Files | None) -> int:
    """Write the export; pages come newest first, so they are gathered in a file and then put in order."""
    import tempfile  # not before an export

    pages: list[tuple[int, int]] = []
    count = 0
    with replacing(path) as out, tempfile.TemporaryFile(dir=path.parent) as gathered:
        for page in _pages(client, session["id"]):
            lines = b""
            for message in reversed(page):
                if message.get("media") and files is not None:
                    message["mediaFile"] = files.get(message)
                lines += msgspec.json.encode(message) + b"\n"
            pages.append((gathered.tell(), len(lines)))
            gathered.write(lines)
            count += len(page)
        header = {
            "format": EXPORT_FORMAT,
            "version": EXPORT_VERSION,
            "session": {key: session.get(key) for key in ("id", "name", "phoneNumber")},
            "exportedAt": rfc3339(int(time.time() * 1000)),
            "messages": count,
        }
        out.write(msgspec.json.encode(header) + b"\n")
        for start, length in reversed(pages):
            gathered.seek(start)
            out.write(gathered.read(length))
    return count


def _pages(client: Client, session_id: str) -> Iterator[list[dict[str, Any]]]:
    params: dict[str, Any] = {"sessionId": session_id, "limit": _PAGE}
    while True:
        page = client.call("message.list", params, within_s=QUERY_S)
        yield page["messages"]
        if page["next"] is None:
            return
        params["cursor"] = page["next"]


def import_(file: Path, /, *, session: str | None = None, at: At) -> None:
    """Read an export back into the daemon; messages that it knows already stay as they are.

    The whole file is checked first. What had not been sent comes back as cancelled: nothing is sent. Files
    beside the export stay where they are. May be repeated.

    Args:
        file: What `wasupctl export` wrote.
        session: The id or name of the session that takes the messages; else the one that they were exported
            from, which is made if there is none of its id.
    """
    try:
        source = file.open("rb")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    with source:
        header = _header(file, source)
        begin = source.tell()
        for _line in _past(file, source, header):
            pass
        source.seek(begin)
        with at.connect() as client:
            target, created = _target(client, header, session)
            total = _give(client, target, _past(file, source, header), sealed=header.sealed)
    result = {"sessionId": target["id"], "created": created, **total}

    def show() -> None:
        made = " (created)" if created else ""
        known = f", {total['duplicates']} were known" if total["duplicates"] else ""
        at.out.line(f"{target['name']}{made}: {total['imported']} messages imported{known}.")

    at.result(result, show)


def _header(file: Path, source: BinaryIO) -> ExportHeader:
    line = source.readline(_MOST_LINE_BYTES)
    try:
        version = msgspec.json.decode(line, type=dict[str, Any]).get("version")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        version = EXPORT_VERSION  # what it is instead is told below
    if version != EXPORT_VERSION and isinstance(version, int):
        raise Failure(
            f"{file} has version {version} of the format, and this wasupctl reads {EXPORT_VERSION}."
            " Use the wasupctl that wrote it, or a newer one."
        )
    try:
        return decode(ExportHeader, line)
    except RpcError as error:
        raise Failure(f"{file}, line 1: not the beginning of an export: {error.message}.") from None


def _past(file: Path, source: BinaryIO, header: ExportHeader) -> Iterator[bytes]:
    """Yield each line that has a message, checked, as JSON without its end of line."""
    count = 0
    while line := source.readline(_MOST_LINE_BYTES + 1):
        count += 1
        where = f"{file}, line {count + 1}"
        if len(line) > _MOST_LINE_BYTES:
            raise Failure(f"{where}: longer than {size(_MOST_LINE_BYTES)}.")
        if not line.endswith(b"\n"):
            raise Failure(f"{where}: cut off. The file is not complete.")
        try:
            if not header.sealed:
                decode(PastMessage, line)
        except RpcError as error:
            raise Failure(f"{where}: {error.message}. {error.details.get('action', '')}".rstrip()) from None
        if header.sealed and not _SEALED.fullmatch(line):
            raise Failure(f"{where}: not an encrypted message.")
        yield line[:-1]
    if count != header.messages:
        raise Failure(f"{file}: {count} of its {header.messages} messages are there: it is not complete.")


def _target(client: Client, header: ExportHeader, wanted: str | None) -> tuple[Session, bool]:
    """Return the session that takes the messages, and whether it was made for them."""
    if wanted is not None:
        return find(client, wanted), False
    own = header.session
    try:
        found: Session = client.call("session.get", sessionId=own.id, within_s=QUERY_S)
    except RpcError as error:
        if error.code != "SESSION_NOT_FOUND":
            raise
    else:
        return found, False
    settings = {"enableEncryption": True} if header.sealed else {}
    return client.call("session.create", id=own.id, name=own.name, settings=settings, within_s=QUERY_S), True


def _give(client: Client, target: Session, lines: Iterator[bytes], *, sealed: bool) -> dict[str, int]:
    """Give the messages to the daemon in batches, each of which is taken in as a whole or not at all."""
    total = {"imported": 0, "duplicates": 0}
    batch: list[msgspec.Raw] = []
    batch_bytes = 0

    def flush() -> None:
        nonlocal batch_bytes
        if not batch:
            return
        params = {"sessionId": target["id"], "sealed" if sealed else "messages": batch}
        answer = client.call("message.import", params, within_s=_IMPORT_S)
        for key in total:
            total[key] += answer[key]
        batch.clear()
        batch_bytes = 0

    try:
        for line in lines:
            if len(batch) == IMPORT_BATCH or batch_bytes + len(line) > _MOST_BATCH_BYTES:
                flush()
            batch.append(msgspec.Raw(line))
            batch_bytes += len(line)
        flush()
    except BaseException:
        if total["imported"]:
            tell(f"{total['imported']} messages were imported before this. To repeat the import is safe.")
        raise
    return total

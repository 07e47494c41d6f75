"""The command that sends a message to each row of a CSV file, once, however often it is repeated."""

import csv
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import attrs
from cyclopts import Parameter

from protocol.address import parse_recipient
from protocol.client.errors import ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError

from .failures import Failure, UsageError
from .invocation import QUERY_S, STDIN, At, Invocation
from .output import tell
from .refusal import refused
from .sending import file_content, recipient_session

if TYPE_CHECKING:
    from protocol.client.blocking import Client

_AGAIN_S: Final = 1.0
"""Between two attempts at a queue that is full, or at a daemon that has gone."""

_PASSES: Final = ("QUEUE_FULL", "RATE_LIMITED", "SHUTTING_DOWN")
"""Refusals that pass: the row is tried again, for as long as it takes."""

_ENDS: Final = ("SESSION_NOT_FOUND", "SESSION_NOT_CONNECTED", "FORBIDDEN", "STORE_FULL")
"""Refusals that every later row would meet as well."""


@attrs.frozen(kw_only=True)
class Row:
    """A message to send; `line` is where its row ends, `key` what makes it one message."""

    line: int
    to: str
    text: str
    file: str | None
    key: str


def send_many(
    session: str,
    file: str,
    /,
    *,
    text: str | None = None,
    campaign: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    at: At,
) -> None:
    """Send a message to each row of a CSV file, whose first line names the columns.

    The column `to` has the recipient; `text` the message, unless --text gives one for all; `file`, if there
    is one, the path of a file to send. Repeat the command after whatever stopped it: a row that was accepted
    is not sent again. A full queue, and a daemon that restarts, are waited for.

    Args:
        session: The session's id or name; or tag:TAG, for the sessions with this tag, by how busy they are.
        file: The file, in UTF-8; - reads stdin.
        text: The message, with columns in braces, as in 'Hello {name}'; two braces stand for one.
        campaign: What tells this mailing from others to the same people, else the file's name. In one
            campaign a recipient gets a message for each row that names it, once.
        dry_run: Show what would be sent, and send nothing.
    """
    name = campaign or ("stdin" if file == STDIN else Path(file).name)
    rows = _read(file, text, name)
    if dry_run:
        at.result([attrs.asdict(row) for row in rows], lambda: _show(at, rows))
        return
    sender = _Sender(at, session)
    try:
        for row in _counted(rows):
            sender.send(row)
    finally:
        sender.close()
        result = {"rows": len(rows), "accepted": sender.accepted, "refused": sender.refused}
        left = len(rows) - sender.accepted - len(sender.refused)
        at.result(result, lambda: at.out.line(_summary(sender, left)))
    if sender.refused:
        raise Failure


class _Sender:
    """Gives rows to the daemon, one after the other; a daemon that was there and has gone is waited for."""

    def __init__(self, at: Invocation, session: str) -> None:
        self.accepted = 0
        self.refused: list[dict[str, Any]] = []
        self._at = at
        self._session = session
        self._client: Client | None = None
        self._sender: dict[str, Any] | None = None

    def send(self, row: Row) -> None:
        """Send a row; raises what would stop every other row too."""
        content = {"text": row.text} if row.file is None else file_content(row.file, None, row.text)
        params = {"to": row.to, "idempotencyKey": row.key, **content}
        while True:
            try:
                self._call(params)
            except RpcError as error:
                if error.code in _ENDS:
                    raise
                if error.code not in _PASSES:
                    self._refuse(row, error)
                    return
                time.sleep(float(error.details.get("retryAfter", _AGAIN_S)))
            except (ConnectionLost, DaemonUnreachable):
                if self._sender is None:
                    raise
                self.close()
                time.sleep(_AGAIN_S)
            else:
                self.accepted += 1
                return

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, params: Mapping[str, Any]) -> None:
        if self._client is None:
            self._client = self._at.connect()
        if self._sender is None:
            self._sender = recipient_session(self._client, self._session)
        self._client.call("message.send", params, **self._sender, within_s=QUERY_S)

    def _refuse(self, row: Row, error: RpcError) -> None:
        hint = ""
        if error.code == "IDEMPOTENCY_CONFLICT":
            hint = " This campaign had another message for this recipient: give --campaign for a new one."
        tell(f"wasupctl: line {row.line}, {row.to}: {refused(error)}{hint}")
        self.refused.append({"line": row.line, "to": row.to, "error": error.to_wire()})


def _read(file: str, template: str | None, campaign: str) -> list[Row]:
    """Return all rows, checked, before any is sent."""
    where = "stdin" if file == STDIN else file
    try:
        if file == STDIN:
            return list(_rows(where, sys.stdin, template, campaign))
        with Path(file).open(newline="", encoding="utf-8-sig") as source:
            return list(_rows(where, source, template, campaign))
    except OSError as error:
        raise Failure(f"{where} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8.") from None
    except csv.Error as error:
        raise UsageError(f"{where} is not CSV: {error}.") from None


def _rows(where: str, source: TextIO, template: str | None, campaign: str) -> Iterator[Row]:
    reader = csv.DictReader(source, strict=True)
    columns = reader.fieldnames or ()
    _check(where, columns, template)
    seen: Counter[str] = Counter()
    for cells in reader:
        at = f"{where}, line {reader.line_num}"
        if None in cells or None in cells.values():
            raise UsageError(f"{at}: not as many cells as there are columns ({', '.join(columns)}).")
        text = cells.get("text", "") if template is None else template.format_map(cells)
        path = cells.get("file") or None
        if not text and path is None:
            raise UsageError(f"{at}: the text is empty.")
        try:
            recipient = parse_recipient(cells["to"])
        except ValueError as error:
            raise UsageError(f"{at}: {error}.") from None
        seen[recipient] += 1
        digest = hashlib.sha256(f"{campaign}\0{recipient}\0{seen[recipient]}".encode()).hexdigest()
        yield Row(line=reader.line_num, to=cells["to"], text=text, file=path, key=f"csv-{digest[:40]}")


def _check(where: str, columns: Sequence[str], template: str | None) -> None:
    there = ", ".join(columns) or "none"
    if "to" not in columns:
        raise UsageError(f"{where}: its first line must name a column to; there are: {there}.")
    if template is None:
        if "text" not in columns and "file" not in columns:
            raise UsageError(f"{where} has no column text: add one, or give --text.")
        return
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"--text: {error}; two braces stand for one.") from None
    for name in names:
        if name not in columns:
            raise UsageError(f'--text: there is no column "{name}"; there are: {there}.')


def _counted(rows: Sequence[Row]) -> Iterable[Row]:
    """Return the rows, with a bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        return rows
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    def counted() -> Iterator[Row]:
        with Progress(
            BarColumn(None), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        ) as progress:
            yield from progress.track(rows)

    return counted()


def _summary(sender: _Sender, left: int) -> str:
    parts = [f"{sender.accepted} accepted"]
    parts += [f"{len(sender.refused)} refused"] if sender.refused else []
    parts += [f"{left} left: repeat the command to go on"] if left else []
    return ", ".join(parts) + "."


def _show(at: Invocation, rows: Sequence[Row]) -> None:
    for row in rows:
        at.out.cells((row.to, "bold"), *([f"[{row.file}]"] if row.file else []), row.text)

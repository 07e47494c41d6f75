"""Lines of the log as the systemd journal takes them: fields, not text.

Owns the names of the fields, the ids of the kinds of message, and the datagrams of the native protocol
(https://systemd.io/JOURNAL_NATIVE_PROTOCOL/, documented and stable; systemd's own Python library would have
to be compiled). What may be in a line was decided before, in `daemon.logs`.
"""

import array
import contextlib
import errno
import fcntl
import functools
import json
import os
import re
import socket
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

SOCKET: Final = Path("/run/systemd/journal/socket")
MESSAGES: Final = uuid.UUID("42874d50-90af-42dd-bd1e-08ea4768a276")
"""The name space of MESSAGE_ID: `message_id`."""

MOST_CHARACTERS: Final = 16_384
"""Of one field; what a page or a client says may be of any length."""

_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_KIND: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
"""The event of a line of ours; libraries write sentences."""

_PATIENCE_S: Final = 0.05
_TOO_LARGE: Final = (errno.EMSGSIZE, errno.ENOBUFS)
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_OWN: Final = frozenset({"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"})
_NOT_TOLD: Final = frozenset({"event", "level", "timestamp", "exception", "session_id"})
"""Keys that a message does not repeat: they are its words, its frame or its beginning."""


class Journal:
    """The journal of this machine. What cannot be handed over is lost, and how much is said afterwards."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = os.fspath(path)
        self._lost = 0

    def send(self, fields: Mapping[str, str]) -> None:
        """Hand over one entry.

        Waits a moment where journald is busy, and then no more until it takes something: a journal that is
        stuck must not stop the service.
        """
        if self._lost:
            if not self._hand_over({"MESSAGE": f"{self._lost} messages were lost here", "PRIORITY": "4"}, 0):
                self._lost += 1
                return
            self._lost = 0
        if not self._hand_over(fields, _PATIENCE_S):
            self._lost += 1

    def _hand_over(self, fields: Mapping[str, str], within_s: float) -> bool:
        data = b"".join(_encoded(name, value) for name, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(within_s)
            try:
                sock.connect(self._path)
                try:
                    sock.send(data)
                except OSError as error:
                    if error.errno not in _TOO_LARGE:
                        raise
                    _send_file(sock, data)
            except OSError:
                return False
        return True


def _send_file(sock: socket.socket, data: bytes) -> None:
    """Hand over what is too large for a datagram as a sealed file in memory."""
    fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb") as file:  # noqa: PTH123  # it has no path
        file.write(data)
        file.flush()
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        sock.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def is_behind(stream: TextIO) -> bool:
    """Whether what is written to a stream goes to the journal: `$JOURNAL_STREAM` of systemd.exec(5)."""
    with contextlib.suppress(OSError, ValueError):
        found = os.fstat(stream.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False


def fields(line: Mapping[str, Any], session_names: Mapping[str, str]) -> dict[str, str]:
    """Turn one line of the log into the fields of an entry.

    Args:
        line: the event, its level and its data.
        session_names: what sessions are called, by their ids.
    """
    event = str(line["event"])
    entry = {
        "MESSAGE": _message(event, line),
        "PRIORITY": str(_PRIORITIES[line["level"]]),
        "SYSLOG_IDENTIFIER": "wasupd-chrome" if event == "browser_wrote" else "wasupd",
    }
    if _KIND.fullmatch(event):
        entry["MESSAGE_ID"] = message_id(event)
        entry["EVENT"] = event
    for key, value in line.items():
        if value is not None and key not in ("event", "level", "timestamp") and (name := _name(key, line)):
            entry[name] = _text(value)
    if (session_name := session_names.get(str(line.get("session_id")))) is not None:
        entry["SESSION_NAME"] = _text(session_name)
    return entry


@functools.cache
def message_id(event: str) -> str:
    """Return the id that all entries of this kind carry, and by which the catalogue explains them."""
    return uuid.uuid5(MESSAGES, event).hex


def _message(event: str, line: Mapping[str, Any]) -> str:
    if event == "browser_wrote":
        return _text(line.get("line", ""))
    data = " ".join(
        f"{key}={_text(value)}" for key, value in line.items() if key not in _NOT_TOLD and value is not None
    )
    subject = f"{line['session_id']}: " if line.get("session_id") is not None else ""
    words = event.replace("_", " ") if _KIND.fullmatch(event) else event
    text = f"{subject}{words}{', ' if data else ''}{data}"
    return _text(f"{text}\n{line['exception']}" if "exception" in line else text)


def _name(key: str, line: Mapping[str, Any]) -> str:
    """The field of a key: the journal takes capitals, digits and `_`, no `_` or digit at the beginning."""
    if key in ("pid", "uid") and "uid" in line:
        return f"PEER_{key.upper()}"
    if key == "pid" and line["event"] != "daemon_starting":
        return "CHROME_PID"
    name = re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")[:64]
    return f"DATA_{name}" if name in _OWN else name


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _encoded(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data)

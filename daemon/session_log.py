"""The latest lines of the daemon's log about each session, for those who may not read the log itself.

Owns: how much is kept, in memory alone, and how a line is numbered. What may be in a line was decided
before, in `daemon.logs`.
"""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Container, Mapping
from typing import Any, Final

import attrs
import msgspec
import structlog

from protocol.models import LogRecord
from protocol.times import rfc3339

MOST_BYTES: Final = 65_536
"""Of one session: some three hundred lines."""

MOST_CHARACTERS: Final = 4096
"""Of one text in a line: what a page says may be of any length."""

_FRAME: Final = ("event", "level", "timestamp", "session_id")


@attrs.define
class _Kept:
    lines: deque[tuple[int, bytes]] = attrs.Factory(deque)
    bytes: int = 0


class SessionLog:
    """What the log said of each session since the daemon began; the oldest lines make room for new ones.

    Numbers rise, over restarts of the daemon too: they begin with the time at which it began. Lines may come
    from any thread.
    """

    def __init__(self, known: Container[str]) -> None:
        """`known` has the ids of the sessions that there are: nothing is kept of what callers make up."""
        self._known = known
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._numbers = itertools.count(time.time_ns() // 1000)

    def keep(self, line: Mapping[str, Any]) -> None:
        """Take in a line of the log, if it is about a session."""
        session_id = line.get("session_id")
        if not isinstance(session_id, str) or session_id not in self._known:
            return
        if "exc_info" in line:
            line = structlog.processors.format_exc_info(None, "", dict(line))
        event = _text(str(line["event"]))
        data = {key: _plain(value) for key, value in line.items() if key not in _FRAME}
        with self._lock:  # whoever has read up to a number has read all before it
            if session_id not in self._known:  # forgotten meanwhile
                return
            number = next(self._numbers)
            timestamp = rfc3339(time.time_ns() // 1_000_000)
            record = LogRecord(seq=number, timestamp=timestamp, level=line["level"], event=event, data=data)
            encoded = msgspec.json.encode(record)
            kept = self._kept.setdefault(session_id, _Kept())
            kept.lines.append((number, encoded))
            kept.bytes += len(encoded)
            while kept.bytes > MOST_BYTES and len(kept.lines) > 1:
                kept.bytes -= len(kept.lines.popleft()[1])

    def latest(self, session_id: str, *, after: int, limit: int) -> list[LogRecord]:
        """Return the last `limit` lines whose numbers are above `after`, the oldest first."""
        with self._lock:
            kept = self._kept.get(session_id)
            lines = [] if kept is None else list(kept.lines)
        wanted = [encoded for number, encoded in lines if number > after][-limit:]
        return [msgspec.json.decode(encoded, type=LogRecord) for encoded in wanted]

    def forget(self, session_id: str) -> None:
        """Drop what is kept of a session that is no more, and so no longer known."""
        with self._lock:
            self._kept.pop(session_id, None)


def _plain(value: Any) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


def _text(text: str) -> str:
    """Return a text as UTF-8 has it, without its middle where it is long."""
    if len(text) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        text = f"{text[:half]} … {text[-half:]}"
    return text.encode(errors="replace").decode()

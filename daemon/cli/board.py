"""What `wasupctl top` knows: sessions, and how much they sent and received of late. Pure: time is given."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from protocol.models.sessions import FIGURES_FOR_S
from protocol.times import parse

from .figures import size
from .plots import sparkline

MINUTES: Final = 30
"""How far back messages are counted."""

_COUNTED: Final = ("message.sent", "message.received")
_SPARK: Final = 8

Session = dict[str, Any]


@attrs.frozen
class _Used:
    """What a session's browser had used of the processor at a time."""

    pid: int
    cpu_s: float
    at_s: float


@attrs.define
class Board:
    """The sessions as they were last told, and what came of events since."""

    sessions: list[Session] = attrs.Factory(list)
    _counts: dict[str, Counter[int]] = attrs.Factory(dict)
    _used: dict[str, _Used] = attrs.Factory(dict)
    _cpu: dict[str, float] = attrs.Factory(dict)

    def take(self, sessions: Iterable[Session], events: Iterable[Mapping[str, Any]], now_s: float) -> None:
        """Take in what the daemon has told: every session, and events that were not told before."""
        self.sessions = sorted(sessions, key=lambda session: (session["name"].casefold(), session["id"]))
        for event in events:
            if event["type"] in _COUNTED and event.get("sessionId"):
                minute = int(parse(event["timestamp"]) // 60_000)
                self._counts.setdefault(event["sessionId"], Counter())[minute] += 1
        oldest = int(now_s // 60) - MINUTES
        for counts in self._counts.values():
            for minute in [minute for minute in counts if minute <= oldest]:
                del counts[minute]
        self._measure(now_s)

    def session(self, session_id: str | None) -> Session | None:
        """Return the session of that id, as it was last told."""
        return next((one for one in self.sessions if one["id"] == session_id), None)

    def _measure(self, now_s: float) -> None:
        for session in self.sessions:
            process, id_ = session.get("process"), session["id"]
            if not process or process.get("cpuSeconds") is None:
                self._used.pop(id_, None)
                self._cpu.pop(id_, None)
                continue
            used = _Used(process["pid"], process["cpuSeconds"], now_s)
            before = self._used.get(id_)
            if before is not None and before.pid == used.pid and used.cpu_s == before.cpu_s:
                if now_s - before.at_s > 30:
                    self._cpu[id_] = 0.0
                continue  # the daemon measures now and then: wait for its next figure
            if before is not None and before.pid == used.pid and now_s > before.at_s:
                between_s = max(now_s - before.at_s, FIGURES_FOR_S)  # the first may have been heard late
                self._cpu[id_] = max(0.0, (used.cpu_s - before.cpu_s) / between_s * 100)
            self._used[id_] = used

    def per_minute(self, session_id: str, now_s: float) -> list[int]:
        """Return how many messages went through in each of the last MINUTES, the present one last."""
        now = int(now_s // 60)
        counts = self._counts.get(session_id, Counter())
        return [counts[minute] for minute in range(now - MINUTES + 1, now + 1)]

    def row(self, session: Session, now_s: float) -> tuple[str, ...]:
        """Return name, status, uptime, memory, processor, queue, messages a minute, restarts."""
        connected_at = (session.get("connectionInfo") or {}).get("connectedAt")
        up = "-"
        if connected_at and session["status"] == "connected":
            up = short(now_s - parse(connected_at) / 1000)
        process = session.get("process") or {}
        memory = process.get("pssBytes") or process.get("rssBytes")
        cpu = self._cpu.get(session["id"])
        minutes = self.per_minute(session["id"], now_s)
        return (
            session["name"],
            session["status"],
            up,
            size(memory) if memory else "-",
            "-" if cpu is None else f"{cpu:.0f} %",
            str(session.get("messageQueue", 0)),
            f"{sparkline(_recent(minutes))} {minutes[-2]:>3}",
            str((session.get("restarts") or {}).get("count", 0)),
        )


def short(seconds: float) -> str:
    """Return a time in at most four characters: 42s, 17m, 5h, 12d."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _recent(minutes: Sequence[int]) -> Sequence[int]:
    return minutes[-_SPARK:]

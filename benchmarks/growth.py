"""What a store of a million messages costs, beside one of a thousand: lists, figures, the daemon's start."""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from .frame import Comparison, Target, interleaved
from .processes import ask, daemon, measured

_SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_FEW, _MANY = _SIZES[0], _SIZES[-1]
_A_CHAT: Final = 100  # messages
_DAYS: Final = 30
_RARE: Final = 10
"""So many of each store failed, all of them long ago: what a search without an index reads everything for."""

_SECONDS: Final = 0.5
_TARGET: Final = Target(bound="at most", ratio=10)

_QUESTIONS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "message.get": ("message.get", {"messageId": "3EB0000000000000000100"}),
    "message.list": ("message.list", {}),
    "message.list of a chat": ("message.list", {"chatId": "4915110000001@c.us"}),
    "message.list, direction out": ("message.list", {"direction": "out"}),
    "message.list, status failed": ("message.list", {"status": "failed"}),
    "message.list, in the middle": ("message.list", {"until": ""}),
    "session.stats": ("session.stats", {"days": _DAYS + 1}),
    "session.get": ("session.get", {}),
    "events.list of a session": ("events.list", {"sessions": ["shop"], "limit": 50}),
    "daemon.health": ("daemon.health", {}),
}
_COUNTS: Final = ("daemon.health",)
"""What counts the rows, and so may grow with them."""


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` pairs of each."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        first = directory / str(_FEW)
        with daemon(first) as socket:
            ask(socket, "session.create", {"name": "Shop", "id": "shop"})
            ask(socket, "message.send", {"sessionId": "shop", "to": "+4915110000001", "text": "A" * 60})
        for size in _SIZES[1:]:
            shutil.copytree(first, directory / str(size))
        for size in _SIZES:
            _fill(directory / str(size) / "state" / "wasup.db", size)
        rows = [_row("start to READY", "s", interleaved(rounds, _starts(directory)), "seconds")]
        with ExitStack() as stack:
            sockets = {str(size): stack.enter_context(daemon(directory / str(size))) for size in _SIZES}
            for what, (method, params) in _QUESTIONS.items():
                subjects = {size: _asking(socket, method, params) for size, socket in sockets.items()}
                rows.append(_row(what, "us", interleaved(rounds, subjects), "us"))
    return rows


def _row(what: str, unit: str, found: Mapping[str, Mapping[str, list[float]]], figure: str) -> Comparison:
    return Comparison(
        what=what,
        unit=unit,
        product=found[str(_MANY)][figure],
        floor=found[str(_FEW)][figure],
        floor_is=f"{_FEW:,} instead of {_MANY:,} messages",
        target=None if what in _COUNTS else _TARGET,
        curve={size: statistics.median(found[str(size)][figure]) for size in _SIZES},
        over="messages stored",
    )


def _starts(directory: Path) -> dict[str, Callable[[], dict[str, float]]]:
    def start(path: Path) -> dict[str, float]:
        begun = time.perf_counter()
        with daemon(path):
            return {"seconds": time.perf_counter() - begun}

    return {str(size): partial(start, directory / str(size)) for size in _SIZES}


def _asking(socket: str, method: str, params: dict[str, Any]) -> Callable[[], dict[str, float]]:
    if method not in ("daemon.health", "events.list"):
        params = {"sessionId": "shop", **params}
    if params.get("until") == "":
        middle = time.time() - _DAYS * 43_200
        params["until"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    line = json.dumps(request).encode() + b"\n"

    def asking() -> dict[str, float]:
        return {"us": 1e6 / measured("load", socket, "1", "1", str(_SECONDS), given=line)["per_s"]}

    return asking


def _fill(path: Path, count: int) -> None:
    """Put so many messages, each with an event, into a store: like the one that is there, which goes."""
    now_ms = int(time.time() * 1000)
    span_ms = _DAYS * 86_400_000
    db = apsw.Connection(str(path))
    db.pragma("synchronous", "OFF")
    db.pragma("cache_size", -262_144)
    with db:
        db.execute(
            f"""CREATE TEMP TABLE numbers AS
                WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
                SELECT i, i / {_A_CHAT} AS c, {now_ms - span_ms} + i * {span_ms} / {count} AS t FROM n"""
        )
        chat_id = "printf('49151%08d@c.us', 10000001 + c)"
        chats = f"FROM numbers WHERE i % {_A_CHAT} = 0 AND c > 0"
        db.execute(f"INSERT INTO chats SELECT c + 1, 'shop' {chats}")
        db.execute(f"INSERT INTO chat_aliases SELECT 'shop', {chat_id}, c + 1 {chats}")
        changed = {
            "id": "printf('3EB0%018d', i)",
            "chat": "c + 1",
            "chat_id": chat_id,
            "direction": "iif(i % 2, 'in', 'out')",
            "origin": "iif(i % 2, 'contact', 'api')",
            "type": "iif(i % 7, 'text', 'image')",
            "status": f"iif(i % 2, 'received', iif(i < {2 * _RARE}, 'failed', 'read'))",
            "at": "t",
            "timestamp": "t",
            "created_at": "t",
            "updated_at": "t",
        }
        insert_like(db, "messages", "ref", changed)
        db.execute("DELETE FROM messages WHERE ref = 1")
        insert_like(db, "events", "seq", {"message": "i + 2", "at": "t"})
    db.close()


def insert_like(
    db: apsw.Connection, table: str, number: str, changed: Mapping[str, str], like: str | None = None
) -> None:
    """Insert a row for each of `numbers`, a table: like one that is there, with some columns' values changed.

    `like` is the query of the row that is copied; the table's last one by default.
    """
    # Without generated columns, which take no value.
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != number]
    values = ", ".join(changed.get(name, f"like_this.{name}") for name in names)
    like = like or f"SELECT * FROM {table} ORDER BY {number} DESC LIMIT 1"
    db.execute(
        f"""INSERT INTO {table} ({", ".join(names)}) SELECT {values}
            FROM numbers, ({like}) AS like_this"""
    )

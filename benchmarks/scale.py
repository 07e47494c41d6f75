"""What things cost as there is more of what they do not touch, and of what they do.

Of each size its cost is measured; the row compares the largest with the smallest, the curve has all of them.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from daemon.store import outbox
from daemon.store.files import NO_SEALS, connect_writer

from .frame import Comparison, Target, interleaved
from .growth import insert_like
from .processes import ask, daemon, measured

_SESSIONS: Final = (1, 10, 100, 500)
_SUBSCRIBERS: Final = (1, 10, 50, 200)
_QUEUE: Final = (1, 100, 10_000, 100_000)
_MOST_ROUNDS: Final = 3
_SECONDS: Final = "0.4"
_UNTOUCHED: Final = Target(bound="at most", ratio=3)
"""For what does not touch what there is more of: constant, but for caches that are colder."""

_OF_SESSIONS: Final[Mapping[str, dict[str, Any]]] = {
    "session.status": {"sessionId": "s0"},
    "session.get": {"sessionId": "s0"},
    "message.list": {"sessionId": "s0"},
    "session.list": {"limit": 10},
}
_OF_QUEUE: Final[Mapping[str, dict[str, Any]]] = {
    "message.send": {"to": "+4915110000001", "text": "Your order is ready."},
    "session.get": {},
    "message.list": {},
}

Subjects = Mapping[int, Callable[[], Mapping[str, float]]]


def run(rounds: int) -> list[Comparison]:
    """Measure; at most three times each."""
    rounds = min(rounds, _MOST_ROUNDS)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, ExitStack() as stack:
        directory = Path(name)
        return [
            *_of_sessions(rounds, directory / "sessions", stack),
            *_of_subscribers(rounds, directory / "subscribers", stack),
            *_of_queue(rounds, directory / "queue"),
        ]


def _of_sessions(rounds: int, directory: Path, stack: ExitStack) -> Iterator[Comparison]:
    for count in _SESSIONS:
        with daemon(directory / str(count)) as socket:
            for number in range(count):
                ask(socket, "session.create", {"name": "Shop", "id": f"s{number}"})
    starts = {count: partial(_start, directory / str(count)) for count in _SESSIONS}
    yield _row("daemon: start to READY", "s", "sessions", rounds, starts, touched=True)
    sockets = {count: stack.enter_context(daemon(directory / str(count))) for count in _SESSIONS}
    for method, params in _OF_SESSIONS.items():
        subjects = {count: _asking(socket, method, params) for count, socket in sockets.items()}
        yield _row(method, "us", "sessions", rounds, subjects)
    listing = {count: _asking(socket, "session.list", {"limit": count}) for count, socket in sockets.items()}
    yield _row("session.list of all", "us", "sessions", rounds, listing, touched=True)


def _of_subscribers(rounds: int, directory: Path, stack: ExitStack) -> Iterator[Comparison]:
    settings = "rpc.max_connections = 250\nmessages.queue_limit = 10_000_000"
    socket = stack.enter_context(daemon(directory, settings))
    ask(socket, "session.create", {"name": "Shop", "id": "shop"})
    line = _line("message.send", {"sessionId": "shop", **_OF_QUEUE["message.send"]})

    def push(count: int) -> dict[str, float]:
        found = measured("listeners", "push", socket, str(count), "1", "1", given=line)
        return {"cost": 1e6 / found["per_s"]}

    subjects = {count: partial(push, count) for count in _SUBSCRIBERS}
    yield _row("message.send, told to all", "us", "subscribers", rounds, subjects, touched=True)


def _of_queue(rounds: int, directory: Path) -> Iterator[Comparison]:
    store = directory / "state" / "wasup.db"
    with _made(directory, _QUEUE) as socket:
        for length in _QUEUE:
            params = {"sessionId": f"q{length}", **_OF_QUEUE["message.send"]}
            ask(socket, "message.send", params)
    db = connect_writer(store, NO_SEALS)
    for length in _QUEUE:
        with db:
            db.execute("DROP TABLE IF EXISTS temp.numbers")
            db.execute(
                f"""CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS
                    (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {length}) SELECT i FROM n WHERE i > 1"""
            )
            like = f"SELECT * FROM messages WHERE session_id = 'q{length}' LIMIT 1"
            insert_like(db, "messages", "ref", {"id": "printf('3EB0%018d', i)"}, like)
    taking = {length: partial(_take, db, f"q{length}") for length in _QUEUE}
    yield _row("the oldest is taken, and put back", "us", "queued in one chat", rounds, taking)
    db.close()
    with daemon(directory, "messages.queue_limit = 10_000_000") as socket:
        for method, params in _OF_QUEUE.items():
            subjects = {
                length: _asking(socket, method, {"sessionId": f"q{length}", **params}) for length in _QUEUE
            }
            yield _row(method, "us", "queued in one chat", rounds, subjects)


@contextmanager
def _made(directory: Path, queues: Sequence[int]) -> Iterator[str]:
    with daemon(directory) as socket:
        for length in queues:
            ask(socket, "session.create", {"name": "Shop", "id": f"q{length}"})
        yield socket


def _take(db: apsw.Connection, session_id: str) -> dict[str, float]:
    """Do in the store what the sender does for a message that the page was not ready for."""
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        with db:
            (row,) = outbox.take(db, session_id, int(time.time() * 1000), 1)
            outbox.requeue(db, session_id, row.id, row.at)
        times.append(time.perf_counter() - begun)
    return {"cost": statistics.median(times) * 1e6}


def _start(directory: Path) -> dict[str, float]:
    begun = time.perf_counter()
    with daemon(directory):
        return {"cost": time.perf_counter() - begun}


def _line(method: str, params: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"


def _asking(socket: str, method: str, params: Mapping[str, Any]) -> Callable[[], dict[str, float]]:
    line = _line(method, params)
    return lambda: {"cost": 1e6 / measured("load", socket, "1", "1", _SECONDS, given=line)["per_s"]}


def _row(
    what: str, unit: str, over: str, rounds: int, subjects: Subjects, *, touched: bool = False
) -> Comparison:
    found = interleaved(rounds, {str(size): measure for size, measure in subjects.items()})
    curve = {size: statistics.median(found[str(size)]["cost"]) for size in subjects}
    least, most = min(curve), max(curve)
    return Comparison(
        what=f"{what}, with {most:,} {over}",
        unit=unit,
        product=found[str(most)]["cost"],
        floor=found[str(least)]["cost"],
        floor_is=f"with {least:,}",
        target=Target(bound="at most", ratio=most / least) if touched else _UNTOUCHED,
        curve=curve,
        over=over,
    )

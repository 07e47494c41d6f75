"""Queued `message.send`, 64 in flight, against the same rows written raw: grouped, and one by one."""

import json
import shutil
import tempfile
from pathlib import Path

from .frame import Comparison, Target, interleaved
from .processes import ask, daemon, measured

_SECONDS = 1.5
_IN_FLIGHT = 64
_CHATS = 50


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` times each of the three."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        with daemon(directory / "daemon", "messages.queue_limit = 10_000_000") as socket:
            ask(socket, "session.create", {"name": "Shop", "id": "shop"})
            lines = b"".join(_request(number) for number in range(_CHATS))
            load = (socket, "1", str(_IN_FLIGHT))
            measured("load", *load, "0.1", given=lines)
            store = directory / "raw.db"
            shutil.copy(ask(socket, "daemon.backup", {})["path"], store)
            found = interleaved(
                rounds,
                {
                    "grouped": lambda: measured("floors.rows", str(store), str(_IN_FLIGHT), str(_SECONDS)),
                    "single": lambda: measured("floors.rows", str(store), "1", str(_SECONDS)),
                    "product": lambda: measured("load", *load, str(_SECONDS), given=lines),
                },
            )
    return [
        Comparison(
            what="message.send, queued, 64 in flight",
            unit="/s",
            product=found["product"]["per_s"],
            floor=found[which]["per_s"],
            floor_is=floor_is,
            target=Target(bound="at least", ratio=least),
        )
        for which, floor_is, least in (
            ("grouped", "raw rows, 64 a transaction", 0.25),
            ("single", "raw rows, one a transaction", 10),
        )
    ]


def _request(number: int) -> bytes:
    params = {
        "sessionId": "shop",
        "to": f"+4915110{number:06}",
        "text": "Your order is ready: it can be fetched from Monday on, from nine to six.",
    }
    request = {"jsonrpc": "2.0", "id": number, "method": "message.send", "params": params}
    return json.dumps(request).encode() + b"\n"

"""Events: one to 200 subscribers, beside sends that wait for nothing; replayed ones, beside raw rows."""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from .frame import Comparison, Target, interleaved
from .processes import ask, daemon, measured

_SUBSCRIBERS: Final = 200
_SECONDS: Final = "2"


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` pairs of each."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        settings = "rpc.max_connections = 250\nmessages.queue_limit = 10_000_000"
        with daemon(directory, settings) as socket:
            ask(socket, "session.create", {"name": "Shop", "id": "shop"})
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "message.send",
                "params": {"sessionId": "shop", "to": "+4915110000001", "text": "Your order is ready."},
            }
            line = json.dumps(request).encode() + b"\n"
            pushed = interleaved(
                rounds,
                {
                    "product": partial(
                        measured, "listeners", "push", socket, str(_SUBSCRIBERS), _SECONDS, given=line
                    ),
                    "floor": partial(measured, "floors.fanout", str(_SUBSCRIBERS), _SECONDS),
                },
            )
            measured("load", socket, "1", "64", "3", given=line)
            held = str(ask(socket, "events.list", {"limit": 1})["latest"])
            store = str(directory / "state" / "wasup.db")
            replayed = interleaved(
                rounds,
                {
                    "product": partial(measured, "listeners", "replay", socket, held),
                    "floor": partial(measured, "floors.replay", store, held),
                },
            )
    return [
        Comparison(
            what=f"one event to {_SUBSCRIBERS} subscribers",
            unit="/s",
            product=pushed["product"]["per_s"],
            floor=pushed["floor"]["per_s"],
            floor_is="non-blocking send of the same bytes",
            target=Target(bound="at least", ratio=0.7),
        ),
        Comparison(
            what="events replayed by a resuming client",
            unit="/s",
            product=replayed["product"]["per_s"],
            floor=replayed["floor"]["per_s"],
            floor_is="the same rows read raw, and encoded",
            target=Target(bound="at least", ratio=0.5),
        ),
    ]

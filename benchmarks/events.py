"""Events: one to 200 subscribers, beside sends that wait for nothing; replayed ones, beside raw rows.

The product also takes the request that makes the event, and commits it; the floor only sends.
"""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from .frame import Comparison, Target, interleaved
from .processes import ask, daemon, measured

_SUBSCRIBERS: Final = 200
_SECONDS: Final = "2"
_IN_FLIGHT: Final = (1, 16)


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
            pushed = {}
            for in_flight in _IN_FLIGHT:
                load = (str(_SUBSCRIBERS), str(in_flight), _SECONDS)
                pushed[in_flight] = interleaved(
                    rounds,
                    {
                        "product": partial(measured, "listeners", "push", socket, *load, given=line),
                        "floor": partial(measured, "floors.fanout", *load),
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
        *(
            Comparison(
                what=f"message.send told to {_SUBSCRIBERS} subscribers, {in_flight} in flight",
                unit="events/s",
                product=pushed[in_flight]["product"]["per_s"],
                floor=pushed[in_flight]["floor"]["per_s"],
                floor_is="non-blocking send of the same bytes",
                target=Target(bound="at least", ratio=0.7),
            )
            for in_flight in _IN_FLIGHT
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

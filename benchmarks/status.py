"""`session.status` against a bare trio line echo with msgspec, replies gathered."""

import json
import tempfile
from functools import partial
from pathlib import Path

from .frame import Comparison, Target, interleaved
from .processes import ask, daemon, floor, measured

_SECONDS = 1.5
_LOADS = (
    ("1 in flight", 1, 1, 0.6),
    ("64 in flight", 1, 64, 0.25),
    ("50 clients", 50, 1, 0.6),
)


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` pairs of each load."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        echo = str(directory / "echo.sock")
        # One more than the clients, to ask with.
        with daemon(directory / "daemon", "rpc.max_connections = 51") as socket:
            ask(socket, "session.create", {"name": "Shop", "id": "shop"})
            answer = ask(socket, "session.status", {"sessionId": "shop"})
            request = {"jsonrpc": "2.0", "id": 1, "method": "session.status", "params": {"sessionId": "shop"}}
            line = json.dumps(request).encode() + b"\n"
            with floor("echo", echo, json.dumps(answer)):
                for what, connections, in_flight, least in _LOADS:
                    load = (str(connections), str(in_flight), str(_SECONDS))
                    ask_all = partial(measured, "load", given=line)
                    found = interleaved(
                        rounds,
                        {
                            "floor": partial(ask_all, echo, *load),
                            "product": partial(ask_all, socket, *load),
                        },
                    )
                    rows += [
                        Comparison(
                            what=f"session.status, {what}",
                            unit=unit,
                            product=found["product"][figure],
                            floor=found["floor"][figure],
                            floor_is="trio echo",
                            target=target,
                        )
                        for figure, unit, target in (
                            ("per_s", "/s", Target(bound="at least", ratio=least)),
                            ("p99_us", "us p99", Target(bound="at most", ratio=2)),
                            ("cpu_us", "us of CPU", None),
                        )
                    ]
    return rows

"""`python -m benchmarks [--rounds N] [NAME…]`: runs the benchmarks named, or all."""

import argparse
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from . import (
    daemon,
    events,
    flags,
    growth,
    launches,
    memory,
    recovery,
    running,
    scale,
    send,
    sizing,
    start,
    status,
)
from .frame import Comparison, fallen, keep, report

BENCHMARKS: Final[dict[str, Callable[[int], list[Comparison]]]] = {
    "start": start.run,
    "memory": memory.run,
    "launches": launches.run,
    "recovery": recovery.run,
    "status": status.run,
    "send": send.run,
    "events": events.run,
    "daemon": daemon.run,
    "running": running.run,
    "growth": growth.run,
    "scale": scale.run,
}

APART: Final[dict[str, Callable[[int], None]]] = {"flags": flags.run, "sizing": sizing.run}
"""Those that take long, and print tables of their own; only where they are named."""

_QUICK: Final = ("status", "send", "start", "recovery", "daemon")
_QUICK_ROUNDS: Final = 2
_MARGIN: Final = 0.25
"""By so much a ratio of two rounds may differ from the kept one by chance."""

_LONGEST_S: Final = 600
"""After this long a benchmark that waits for something is given up, and what it started is ended."""


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def main() -> None:
    """Run them, one after the other."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Ratios against floors; see README.md.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join([*BENCHMARKS, *APART])}; default: all of the first {len(BENCHMARKS)}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements of each figure")
    parser.add_argument(
        "--quick", action="store_true", help="compare with results.json, and leave it as it is; two minutes"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys() - APART.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGALRM, _too_long)
    worse: list[str] = []
    for name in arguments.names or (_QUICK if arguments.quick else BENCHMARKS):
        if name in APART:
            APART[name](arguments.rounds)
            continue
        signal.alarm(_LONGEST_S)
        rows = BENCHMARKS[name](_QUICK_ROUNDS if arguments.quick else arguments.rounds)
        report(name, rows)
        if arguments.quick:
            worse += fallen(name, rows, _MARGIN)
        else:
            keep(name, rows)
    if arguments.quick:
        print(f"\nworse than results.json by more than {_MARGIN:.0%}:", *worse or ["nothing"], sep="\n  ")


if __name__ == "__main__":
    main()

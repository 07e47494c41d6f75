"""`python -m benchmarks [--rounds N] [NAME…]`: runs the benchmarks named, or all."""

import argparse
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from . import growth, send, start, status
from .frame import Comparison, report

BENCHMARKS: Final[dict[str, Callable[[int], list[Comparison]]]] = {
    "start": start.run,
    "status": status.run,
    "send": send.run,
    "growth": growth.run,
}


_LONGEST_S: Final = 600
"""After this long a benchmark that waits for something is given up, and what it started is ended."""


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def main() -> None:
    """Run them, one after the other."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Ratios against floors; see README.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of measurements of each figure")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGALRM, _too_long)
    for name in arguments.names or BENCHMARKS:
        signal.alarm(_LONGEST_S)
        report(name, BENCHMARKS[name](arguments.rounds))


if __name__ == "__main__":
    main()

"""`python -m benchmarks [--rounds N] [NAME…]`: runs the benchmarks named, or all."""

import argparse
from collections.abc import Callable
from typing import Final

from . import growth, send, status
from .frame import Comparison, report

BENCHMARKS: Final[dict[str, Callable[[int], list[Comparison]]]] = {
    "status": status.run,
    "send": send.run,
    "growth": growth.run,
}


def main() -> None:
    """Run them, one after the other."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Ratios against floors; see README.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of measurements of each figure")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    for name in arguments.names or BENCHMARKS:
        report(name, BENCHMARKS[name](arguments.rounds))


if __name__ == "__main__":
    main()

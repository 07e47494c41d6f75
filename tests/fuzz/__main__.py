"""`python -m tests.fuzz [--inputs N] [--seed S] [TARGET…]`: every target, or those that are named."""

import argparse
import sys
import time

from tests.fuzz.targets import TARGETS

_SAY_EVERY = 50_000


def main() -> int:
    """Fuzz; the exception of the first input that is not dealt with as it should be ends it."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    for name in options.targets or TARGETS:
        print(f"{name}: {options.inputs} inputs, seed {options.seed}", flush=True)
        began = time.monotonic()
        said = 0

        def progress(done: int) -> None:
            nonlocal said
            if done - said >= _SAY_EVERY:
                said = done
                print(f"  {done} in {time.monotonic() - began:.0f} s", flush=True)  # noqa: B023  called at once

        TARGETS[name](options.inputs, options.seed, progress)
        print(f"{name}: good, {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

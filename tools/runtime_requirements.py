"""Prints the part of requirements.lock that the daemon needs to run, with its hashes."""

import re
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the normalised names of all that an installed distribution needs here."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        for line in requires(current) or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": e}) for e in (wanted or {""})):
                continue
            needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if needed not in found:
                found.add(needed)
                waiting.append((needed, frozenset(requirement.extras) | {""}))
    return found


def main() -> None:
    """Write the pins of wasup's own dependencies to standard output."""
    needed = closure("wasup")
    lock = Path(__file__).parents[1] / "requirements.lock"
    for block in re.split(r"\n(?=\S)", lock.read_text()):
        name = re.match(r"([\w.-]+)(\[[^]]*\])?==", block)
        if name is not None and name[1].lower() in needed:
            sys.stdout.write(block.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()

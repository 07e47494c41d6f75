"""The schema, as the ordered list of scripts that lead to it: `0001_….sql`, `0002_….sql`, …

A script that has been released is never changed; the next change is a new file. `PRAGMA user_version` counts
those that a file has seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apsw

__all__ = ["migrate", "scripts"]


def scripts() -> list[str]:
    """Every migration's SQL, oldest first. Raises `ValueError` when their numbers have a gap."""
    found = sorted(Path(__file__).parent.glob("*.sql"))
    for number, entry in enumerate(found, 1):
        if not entry.name.startswith(f"{number:04}_"):
            raise ValueError(f"migration {entry.name} is not number {number}")
    return [entry.read_text(encoding="utf-8") for entry in found]


def migrate(db: apsw.Connection, steps: list[str]) -> int:
    """Apply the steps that `db` has not seen, each in a transaction of its own; return how many there were.

    A step that fails leaves the file at the version before it. The caller has made sure that the file is not
    newer than `steps`.
    """
    seen = int(db.pragma("user_version"))
    for version, script in enumerate(steps[seen:], seen + 1):
        with db:
            db.execute(script)
            db.pragma("user_version", version)
    return len(steps) - seen

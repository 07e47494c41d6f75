"""Writes the pages of the reference: `make docs`.

docs/api.md and docs/events.md are made from METHODS and docs/examples.json; with `--play` the examples are
recorded anew first, on a real Chrome.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import trio

from protocol.openrpc import document
from protocol.reference import events_page, methods_page
from tests.docs.scenario import record

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples.json"


def pages() -> dict[Path, str]:
    """What the pages should say, by their paths."""
    recorded: Any = msgspec.json.decode(EXAMPLES.read_bytes())
    described = document("0")
    return {
        DOCS / "api.md": methods_page(described, recorded["examples"]),
        DOCS / "events.md": events_page(described, recorded["events"]),
    }


def main() -> None:
    """Write them."""
    if "--play" in sys.argv:
        with TemporaryDirectory(prefix="wasup-docs-") as directory:
            recording = trio.run(record, Path(directory))
        text = msgspec.json.encode({"examples": recording.examples, "events": recording.events})
        EXAMPLES.write_bytes(msgspec.json.format(text, indent=1) + b"\n")
    for path, page in pages().items():
        path.write_text(page)


if __name__ == "__main__":
    main()

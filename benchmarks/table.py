"""docs/performance.md's table of figures, from results.json (`make bench-docs`)."""

import json
import re
from pathlib import Path
from typing import Any, Final

from .frame import RESULTS

_PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"
_BEGIN, _END = "<!-- from results.json -->\n", "<!-- end -->\n"
_HEAD: Final = (
    "| what | product | floor or peer | ratio (lowest to highest) | target | |\n|---|---|---|---|---|---|\n"
)


def table(results: dict[str, Any]) -> str:
    """Return the table in Markdown: a line for each row of each benchmark."""
    return _HEAD + "".join(_line(row) for name in results for row in results[name]["rows"])


def _line(row: dict[str, Any]) -> str:
    ratio, floor = row["ratio"], row["floor"]
    met = "" if row["target"] is None else "met" if row["met"] else "**missed**"
    cells = (
        row["what"],
        f"{_short(row['product']['median'])} {row['unit']}",
        f"{floor['is']}: {_short(floor['median'])} {row['unit']}",
        f"{ratio['median']:.3g} ({ratio['min']:.3g} to {ratio['max']:.3g})",
        row["target"] or "",
        met,
    )
    return f"| {' | '.join(cells)} |\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    """Put the table in its place."""
    text = _PAGE.read_text()
    made = _BEGIN + "\n" + table(json.loads(RESULTS.read_text())) + "\n" + _END
    _PAGE.write_text(re.sub(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", lambda _: made, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()

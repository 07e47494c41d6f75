"""What every benchmark shares: rounds that interleave its subjects, ratios, the table, the JSON."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import apsw
import attrs
import psutil

RESULTS: Final = Path(__file__).parent / "results.json"
"""The latest figures of each benchmark, by its name."""
_LIBRARIES: Final = ("wasup", "trio", "msgspec", "apsw")


@attrs.frozen(kw_only=True)
class Target:
    """What a ratio ought to be."""

    bound: Literal["at least", "at most"]
    ratio: float

    def is_met(self, ratio: float) -> bool:
        """Whether it is so."""
        return ratio >= self.ratio if self.bound == "at least" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{self.bound} {self.ratio:g}"


@attrs.frozen(kw_only=True)
class Comparison:
    """One line of a table: what was measured of the product and of its floor, a pair a round.

    The ratio is product to floor of each round, so that a machine that is busy now and then is busy for both.
    """

    what: str
    unit: str
    product: Sequence[float]
    floor: Sequence[float]
    floor_is: str
    target: Target | None = None
    curve: Mapping[int, float] | None = None
    """The median of the product's figure by how much there was of `over`, where it was taken of several."""
    over: str | None = None

    @property
    def ratios(self) -> list[float]:
        """Product to floor, a round each."""
        return [mine / its for mine, its in zip(self.product, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        """Their median."""
        return statistics.median(self.ratios)

    def as_json(self) -> dict[str, Any]:
        """Everything, with every value that was measured."""
        return {
            "what": self.what,
            "unit": self.unit,
            "product": _spread(self.product),
            "floor": {"is": self.floor_is, **_spread(self.floor)},
            "ratio": _spread(self.ratios),
            "target": None if self.target is None else str(self.target),
            "met": None if self.target is None else self.target.is_met(self.ratio),
            **({} if self.curve is None else {"over": self.over, "curve": _points(self.curve)}),
        }


def interleaved(
    rounds: int, subjects: Mapping[str, Callable[[], Mapping[str, float]]]
) -> dict[str, dict[str, list[float]]]:
    """Measure each subject once a round, in turn, the order reversed every other round.

    A subject returns its figures by name; what is returned has a list of each, by subject.
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in subjects}
    for number in range(rounds):
        order = list(subjects.items())
        for name, measure in order if number % 2 == 0 else reversed(order):
            for figure, value in measure().items():
                found[name].setdefault(figure, []).append(value)
    return found


def report(name: str, rows: Sequence[Comparison]) -> None:
    """Print the table of a benchmark."""
    print(f"\n{name}: medians, and the ratios from the lowest to the highest")
    lines = [("what", "product", "floor", "", "ratio", "from", "to", "target", "")]
    lines += [
        (
            row.what,
            f"{statistics.median(row.product):,.6g} {row.unit}",
            f"{statistics.median(row.floor):,.6g} {row.unit}",
            row.floor_is,
            f"{row.ratio:.3g}",
            f"{min(row.ratios):.3g}",
            f"{max(row.ratios):.3g}",
            "" if row.target is None else str(row.target),
            "" if row.target is None else "met" if row.target.is_met(row.ratio) else "MISSED",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def keep(name: str, rows: Sequence[Comparison]) -> None:
    """Write the figures of a benchmark to results.json, in the place of those that are there."""
    kept = _kept()
    kept[name] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": _machine(),
        "versions": {library: version(library) for library in _LIBRARIES}
        | {"python": platform.python_version(), "sqlite": apsw.sqlite_lib_version()},
        "rows": [row.as_json() for row in rows],
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def fallen(name: str, rows: Sequence[Comparison], margin: float) -> list[str]:
    """Say which ratios are worse than those in results.json by more than a share of them.

    A ratio without a target is passed over: which way would be worse is not said. So is one that is not kept.
    """
    kept = {
        (row["what"], row["floor"]["is"], row["unit"]): row for row in _kept().get(name, {}).get("rows", ())
    }
    found = []
    for row in rows:
        before = kept.get((row.what, row.floor_is, row.unit))
        if before is None or row.target is None:
            continue
        was = before["ratio"]["median"]
        change = row.ratio / was - 1
        if (change if row.target.bound == "at most" else -change) > margin:
            found.append(
                f"{name}: {row.what}, {row.unit} ({row.floor_is}): {row.ratio:.3g} instead of {was:.3g}"
            )
    return found


def _kept() -> dict[str, Any]:
    if not RESULTS.exists():
        return {}
    kept: dict[str, Any] = json.loads(RESULTS.read_text())
    return kept


def skipped(what: str, reason: str) -> None:
    """Say on standard error what is not measured here, and why."""
    print(f"skipped: {what}: {reason}", file=sys.stderr)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": _short(statistics.median(values)),
        "min": _short(min(values)),
        "max": _short(max(values)),
        "values": [_short(value) for value in values],
    }


def _points(curve: Mapping[int, float]) -> dict[int, float]:
    return {size: _short(value) for size, value in curve.items()}


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _machine() -> dict[str, Any]:
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memoryBytes": psutil.virtual_memory().total,
        "load": [round(each, 2) for each in os.getloadavg()],
    }

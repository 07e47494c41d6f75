"""docs/growth.svg: what things cost by how much there is, from results.json (`make bench-docs`)."""

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from .frame import RESULTS

_PICTURE: Final = Path(__file__).parents[1] / "docs" / "growth.svg"
_SECONDS: Final = {"s": 1.0, "us": 1e-6}


def main() -> None:
    """Draw it: a panel for each thing that there is more of, both axes logarithmic."""
    mpl.rcParams["svg.hashsalt"] = "wasup"  # the same picture of the same figures
    results = json.loads(RESULTS.read_text())
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in results["scale"]["rows"] + results["growth"]["rows"]:
        panels.setdefault(row["over"], []).append(row)
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 4.2), layout="constrained")
    for axis, (over, rows) in zip(axes, panels.items(), strict=True):
        for row in rows:
            sizes = [int(size) for size in row["curve"]]
            costs = [cost * _SECONDS[row["unit"]] for cost in row["curve"].values()]
            axis.plot(sizes, costs, marker="o", label=row["what"].partition(", with ")[0])
        axis.set(xscale="log", yscale="log", xlabel=over, ylabel="seconds")
        axis.legend(fontsize="x-small")
        axis.grid(visible=True, alpha=0.3)
    figure.savefig(_PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()

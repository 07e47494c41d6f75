"""The frame of the benchmarks: what is compared with what."""

import json
from pathlib import Path

import attrs
import pytest

from benchmarks import frame
from benchmarks.frame import Comparison, Target, fallen, interleaved, keep, report


def test_subjects_are_measured_in_turn() -> None:
    asked = []

    def subject(name: str) -> dict[str, float]:
        asked.append(name)
        return {"figure": len(asked)}

    found = interleaved(3, {"a": lambda: subject("a"), "b": lambda: subject("b")})
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": {"figure": [1, 4, 5]}, "b": {"figure": [2, 3, 6]}}


def test_the_ratio_is_the_median_of_the_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame, "RESULTS", tmp_path / "results.json")
    row = Comparison(
        what="x",
        unit="/s",
        product=[10, 100, 30],
        floor=[20, 100, 10],  # the machine was faster in the second round
        floor_is="bare",
        target=Target(bound="at least", ratio=0.9),
    )
    assert row.ratio == 1
    report("trial", [row])
    assert "met" in capsys.readouterr().out
    keep("trial", [row])
    written = json.loads((tmp_path / "results.json").read_text())["trial"]
    assert written["rows"][0]["ratio"] == {"median": 1, "min": 0.5, "max": 3, "values": [0.5, 1, 3]}
    assert (written["rows"][0]["met"], written["machine"]["cores"] > 0) == (True, True)
    assert not Target(bound="at most", ratio=2).is_met(2.1)
    slower = attrs.evolve(row, product=[5, 50, 15])
    assert fallen("trial", [slower], 0.2) == ["trial: x, /s (bare): 0.5 instead of 1"]
    assert fallen("trial", [slower], 0.6) == fallen("another", [slower], 0.2) == []

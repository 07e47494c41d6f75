"""Fault points: each is somewhere, none goes by another name, and an armed one ends the process."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisors import faults

ROOT = Path(__file__).parents[2]


def test_every_point_is_in_the_code_once() -> None:
    found = [
        point
        for package in ("daemon", "supervisors")
        for path in (ROOT / package).rglob("*.py")
        for point in re.findall(r'reached(?:\(|, )f?"([a-z.{}]+)"', path.read_text())
    ]
    # The two ways to learn of an acknowledgment share some.
    for shared in [each for each in found if "{step}" in each]:
        found.remove(shared)
        found += [shared.format(step=step) for step in ("ack", "settled")]
    assert sorted(found) == sorted(faults.POINTS)


def test_an_armed_point_ends_the_process_at_its_nth_time() -> None:
    code = (
        "from supervisors.faults import arm, reached; arm('page.asked:2'); "
        "points = ('page.asked', 'key.told', 'page.asked', 'page.answered'); "
        "[reached(each) or print(each, flush=True) for each in points]"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.decode().split() == ["page.asked", "key.told"]


@pytest.mark.parametrize("order", ["page.aksed", "page.asked:0", "page.asked:x", "page.asked:-1", ""])
def test_what_is_no_point_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match=faults.VARIABLE):
        faults.arm(order)

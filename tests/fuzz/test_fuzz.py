"""A short run of every fuzzer; `make fuzz` is the long one."""

import pytest

from tests.fuzz.targets import TARGETS

INPUTS = {"stream": 20_000, "params": 3_000, "requests": 1_500, "page": 3_000}


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run(target: str) -> None:
    TARGETS[target](INPUTS[target], 20_261_121, lambda _done: None)

"""Times on the channel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.times import parse, rfc3339


def test_times_are_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_255_200_000) == "2026-11-21T10:00:00.000Z"
    assert rfc3339(1_795_255_200_007) == "2026-11-21T10:00:00.007Z"


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_a_time_survives_the_wire(epoch_ms: int) -> None:
    assert parse(rfc3339(epoch_ms)) == epoch_ms


@pytest.mark.parametrize(
    "text", ["2026-11-21T10:00:00Z", "2026-11-21T11:30:00+01:30", "2026-11-21T10:00:00.0009Z"]
)
def test_other_spellings_are_understood(text: str) -> None:
    assert parse(text) == 1_795_255_200_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T10:00:00",
        "2026-13-21T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "٢026",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026-11-21T10:00:00\.000Z"):
        parse(text)

"""Who may launch, and when: in order, never more than the limit."""

from hypothesis import given
from hypothesis import strategies as st

from supervisors.launches import Launches, Turn


def test_those_who_wait_come_in_order() -> None:
    launches = Launches(1)
    first, second, third, fourth = (launches.join() for _ in range(4))
    assert [turn.has_come.is_set() for turn in (first, second, third)] == [True, False, False]
    assert (first.ahead, second.ahead, third.ahead) == (0, 1, 2)
    second.close()  # it is not wanted any more
    first.close()
    assert third.has_come.is_set()
    first.close()  # once more: nothing
    assert not fourth.has_come.is_set()
    third.close()
    assert fourth.has_come.is_set()


@given(limit=st.integers(1, 4), steps=st.lists(st.integers(0, 20), max_size=60))
def test_any_order_of_comings_and_goings(limit: int, steps: list[int]) -> None:
    """0 comes; n ends the n-th of those that are there."""
    launches = Launches(limit)
    there: list[Turn] = []
    for step in steps:
        if step == 0:
            there.append(launches.join())
        elif there:
            there.pop(step % len(there)).close()
        came = [turn.has_come.is_set() for turn in there]
        assert came == [True] * min(limit, len(there)) + [False] * max(0, len(there) - limit)

"""Who may launch, and when: in order, never more than the limit."""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from supervisors.launches import Launches, Turn
from supervisors.machine import WAITING_FOR_MEMORY


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


async def test_each_hears_of_its_own_turn_and_all_of_what_they_wait_for(nursery: trio.Nursery) -> None:
    room = [True]
    launches = Launches(1, lambda _launching: room[0])
    first, *waiting = (launches.join() for _ in range(4))
    heard: list[Turn] = []

    async def listen(turn: Turn) -> None:
        while True:
            await turn.news()
            heard.append(turn)

    for turn in waiting:
        nursery.start_soon(listen, turn)
    await trio.testing.wait_all_tasks_blocked()
    first.close()
    await trio.testing.wait_all_tasks_blocked()
    assert heard == waiting[:1]
    room[0] = False
    waiting[0].close()
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(heard[1:], key=waiting.index) == waiting[1:]
    assert waiting[1].reason == WAITING_FOR_MEMORY
    nursery.cancel_scope.cancel()


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

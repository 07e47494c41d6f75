"""Who belongs to whom in a process table."""

import threading
from collections.abc import Iterable

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from supervisors.chrome.processes import GONE, Forest, Looks, Process

LEADERS = range(1, 9)


def process(pid: int, parent: int, session: int, state: str = "S") -> Process:
    return Process(pid=pid, parent=parent, group=session, session=session, state=state, started=1)


def descended(processes: Iterable[Process], leader: int) -> set[int]:
    """As the docstring says it, whatever it costs."""
    table = list(processes)
    members = {leader, *(each.pid for each in table if each.session == leader)}
    while more := {each.pid for each in table if each.parent in members} - members:
        members |= more
    return {each.pid for each in table if each.pid in members and each.state not in GONE}


def pids(members: Iterable[Process]) -> list[int]:
    return sorted(each.pid for each in members)


def test_a_tree_has_who_began_a_session_of_its_own_and_whose_parent_died() -> None:
    table = [
        process(10, 1, 10),
        process(11, 10, 11),  # a session of its own
        process(12, 11, 11, "Z"),
        process(13, 12, 11),  # found through a zombie
        process(14, 1, 10),  # its parent is gone
        process(20, 1, 20),
    ]
    assert pids(Forest(table).tree(10)) == [10, 11, 13, 14]
    assert pids(Forest(table[1:]).tree(10)) == [11, 13, 14]
    assert Forest(table).tree(99) == []


@given(
    st.lists(
        st.builds(
            process,
            pid=st.sampled_from(LEADERS),
            parent=st.integers(0, 9),
            session=st.integers(0, 9),
            state=st.sampled_from("SRZX"),
        ),
        unique_by=lambda each: each.pid,
    )
)
def test_trees_of_many_are_found_in_one_go(table: list[Process]) -> None:
    forest = Forest(iter(table))
    for leader in LEADERS:
        assert pids(forest.tree(leader)) == sorted(descended(table, leader))


class Table:
    """Counts how often it is looked at; a look waits until it may go on."""

    def __init__(self) -> None:
        self.looks = 0
        self.go_on = threading.Semaphore(0)

    def __call__(self) -> list[Process]:
        self.looks += 1
        self.go_on.acquire()
        return [process(self.looks, 1, 1)]


async def test_all_who_ask_before_a_look_begins_share_it(nursery: trio.Nursery) -> None:
    table, found = Table(), list[int]()
    looks = Looks(table)

    async def ask() -> None:
        forest = await looks.look()
        found.extend(each.pid for each in forest.tree(1))

    nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(100):  # the look that is under way may have missed what they ask for
        nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    table.go_on.release(2)
    with trio.fail_after(10):
        while len(found) < 101:
            await trio.testing.wait_all_tasks_blocked()
    assert (table.looks, found) == (2, [1] + [2] * 100)


async def test_one_who_asks_no_more_keeps_nobody_else_from_looking(nursery: trio.Nursery) -> None:
    table, scopes, found = Table(), [trio.CancelScope() for _ in range(3)], list[Forest]()
    looks = Looks(table)

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            found.append(await looks.look())

    for scope in scopes:  # the second is the one who would look for the third, too
        nursery.start_soon(ask, scope)
        await trio.testing.wait_all_tasks_blocked()
    scopes[1].cancel()
    table.go_on.release(2)
    with trio.fail_after(10):
        while len(found) < 2:
            await trio.testing.wait_all_tasks_blocked()
    assert table.looks == 2

"""Who belongs to whom in a process table."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from supervisors.chrome.processes import GONE, Process, tree, trees

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
    assert pids(tree(table, 10)) == [10, 11, 13, 14]
    assert pids(tree(table[1:], 10)) == [11, 13, 14]
    assert tree(table, 99) == []


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
    found = trees(iter(table), LEADERS)
    assert {leader: pids(members) for leader, members in found.items()} == {
        leader: sorted(descended(table, leader)) for leader in LEADERS
    }

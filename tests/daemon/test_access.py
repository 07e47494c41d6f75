"""Who a caller is and what it may do."""

import os
import socket

import pytest

from daemon.access import (
    ROLES,
    Access,
    Credentials,
    Principals,
    UnknownName,
    allows,
    peer_credentials,
    resolve,
)


def _caller(uid: int, gid: int = 900, *groups: int) -> Credentials:
    return Credentials(pid=1, uid=uid, gid=gid, groups=frozenset(groups))


_ACCESS = Access(
    admin=Principals(uids=frozenset({100}), gids=frozenset({700})),
    operator=Principals(uids=frozenset({200, 100}), gids=frozenset({800})),
    reader=Principals(uids=frozenset({300}), gids=frozenset({900})),
    own_uid=50,
)


@pytest.mark.parametrize(
    ("caller", "role"),
    [
        (_caller(0, 0), "admin"),
        (_caller(50, 1), "admin"),
        (_caller(100, 1), "admin"),
        (_caller(200, 1), "operator"),
        (_caller(300, 1), "reader"),
        (_caller(400, 700), "admin"),
        (_caller(400, 900, 800), "operator"),
        (_caller(300, 1, 2, 700), "admin"),
        (_caller(400, 900), "reader"),
        (_caller(400, 1, 2), None),
    ],
)
def test_the_highest_role_wins(caller: Credentials, role: str | None) -> None:
    assert _ACCESS.role(caller) == role
    assert _ACCESS.peer(caller).role == role


def test_nobody_is_listed_by_default() -> None:
    access = Access(own_uid=50)
    assert access.role(_caller(51)) is None
    assert access.role(_caller(50)) == "admin"
    assert Access().own_uid == os.geteuid()


def test_a_role_may_do_what_those_below_may() -> None:
    table = {role: [allows(role, required) for required in ROLES] for role in (None, *ROLES)}
    assert table == {
        None: [False, False, False],
        "reader": [True, False, False],
        "operator": [True, True, False],
        "admin": [True, True, True],
    }


def test_names_and_numbers_become_ids() -> None:
    found = resolve(["root", 5, "4000000", "@root", "@4000001"])
    assert found == Principals(uids=frozenset({0, 5, 4000000}), gids=frozenset({0, 4000001}))
    assert resolve([]) == Principals()


@pytest.mark.parametrize("name", ["no-such-user-x", "@no-such-group-x", "@", "-1", "²"])
def test_a_name_that_nobody_has_is_an_error(name: str) -> None:
    with pytest.raises(UnknownName, match="there is no"):
        resolve([name])


def test_the_kernel_says_who_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = peer_credentials(ours)
    assert (found.pid, found.uid, found.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert found.groups == frozenset(os.getgroups())


def test_without_the_kernels_groups_the_database_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.access._SO_PEERGROUPS", 9999)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = peer_credentials(ours)
    assert os.getegid() in found.groups

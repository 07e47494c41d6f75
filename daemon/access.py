"""Who is at the other end of a connection, and what they may do.

Owns peer credentials and the three roles. Knows nothing of requests: which method needs which role stands
in `protocol.methods`.
"""

import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from typing import Final, Protocol

import attrs

from protocol.models import Role

ROLES: Final[tuple[Role, ...]] = ("reader", "operator", "admin")
_ALLOWED: Final = frozenset((own, needed) for place, own in enumerate(ROLES, 1) for needed in ROLES[:place])
"""From the least to the most; each may do all that those before it may."""

_SO_PEERGROUPS: Final = 59  # asm-generic/socket.h; Linux 4.13; the socket module has no name for it
_MOST_GROUPS_BYTES: Final = 1024  # the largest answer that socket.getsockopt takes


class UnknownName(ValueError):
    """A list of `[access]` names a user or a group that this machine does not have."""


@attrs.frozen(kw_only=True)
class Credentials:
    """The process that connected, as the kernel saw it at that moment."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


@attrs.frozen(kw_only=True)
class Peer(Credentials):
    """A caller: its process, its account and its role; `role` is None for one that no list names."""

    role: Role | None


@attrs.frozen(kw_only=True)
class Principals:
    """The accounts that one list of `[access]` stands for."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def include(self, peer: Credentials) -> bool:
        """Whether the caller's user, group or one of its supplementary groups is listed."""
        return peer.uid in self.uids or peer.gid in self.gids or not self.gids.isdisjoint(peer.groups)


@attrs.frozen(kw_only=True)
class Access:
    """The lists of `[access]`, names resolved to ids; root and `own_uid` are admin without being listed."""

    admin: Principals = Principals()
    operator: Principals = Principals()
    reader: Principals = Principals()
    own_uid: int = attrs.field(factory=os.geteuid)

    def role(self, peer: Credentials) -> Role | None:
        """The highest role that a list gives the caller; None when there is none."""
        if peer.uid in (0, self.own_uid) or self.admin.include(peer):
            return "admin"
        if self.operator.include(peer):
            return "operator"
        return "reader" if self.reader.include(peer) else None

    def peer(self, credentials: Credentials) -> Peer:
        """The caller, with the role that it has now."""
        return Peer(
            pid=credentials.pid,
            uid=credentials.uid,
            gid=credentials.gid,
            groups=credentials.groups,
            role=self.role(credentials),
        )


def allows(role: Role | None, required: Role) -> bool:
    """Whether a caller of this role may do what needs the required one."""
    return role is not None and (role, required) in _ALLOWED


def resolve(names: Iterable[str | int]) -> Principals:
    """Turn one list of `[access]` into ids.

    Args:
        names: user names, `@group` names, and ids of either kind: `1000`, `"1000"`, `"@1000"`.

    Raises:
        UnknownName: a name that neither the user nor the group database has.
    """
    uids: set[int] = set()
    gids: set[int] = set()
    for name in names:
        if isinstance(name, int):
            uids.add(name)
        elif name.startswith("@"):
            gids.add(_gid(name[1:]))
        else:
            uids.add(_uid(name))
    return Principals(uids=frozenset(uids), gids=frozenset(gids))


class _Socket(Protocol):
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


def peer_credentials(sock: _Socket) -> Credentials:
    """Ask the kernel who connected: SO_PEERCRED and SO_PEERGROUPS of unix(7), fixed at connect time.

    A uid that the daemon's user namespace does not know comes as the overflow uid (65534).
    """
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        packed = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS_BYTES)
    except OSError:  # more than 256 groups, or an old kernel
        groups = _listed_groups(uid, gid)
    else:
        groups = frozenset(struct.unpack(f"{len(packed) // 4}I", packed))
    # The kernel's ids are unsigned; "3i" is how the socket module's own documentation reads the structure.
    return Credentials(pid=pid, uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF, groups=groups)


def _listed_groups(uid: int, gid: int) -> frozenset[int]:
    try:
        return frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except (KeyError, OSError):
        return frozenset()


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        if name.isascii() and name.isdigit():
            return int(name)
        raise UnknownName(f'there is no user "{name}" (a group is written "@{name}")') from None


def _gid(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isascii() and name.isdigit():
            return int(name)
        raise UnknownName(f'there is no group "{name}"') from None

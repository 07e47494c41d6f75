"""Which caller may know of which session: the settings `allowedUids` and `allowedGids`.

Owns the rule, and the lists of the sessions that have any; where it is applied stands in `daemon.handlers`.
Everything here is in memory, so that every request and every event can be asked about.
"""

from daemon.access import Peer, Principals
from protocol.models import SessionSettings


def admitted(settings: SessionSettings) -> Principals | None:
    """Whom the lists of a session admit; None: it has none, and whoever has a role sees it."""
    uids, gids = settings.allowed_uids, settings.allowed_gids
    if uids is None and gids is None:
        return None
    return Principals(uids=frozenset(uids or ()), gids=frozenset(gids or ()))


class Visibility:
    """The lists of every session that has any, and of those whose events outlive them in the log."""

    def __init__(self) -> None:
        self._lists: dict[str, Principals] = {}
        self._deleted: dict[str, list[tuple[int, Principals]]] = {}

    def note(self, session_id: str, settings: SessionSettings) -> None:
        """Take a session's lists as they are from now on; also in the store's thread, as its lists change."""
        lists = admitted(settings)
        if lists is None:
            self._lists.pop(session_id, None)
        else:
            self._lists[session_id] = lists

    def note_deleted(self, session_id: str, upto: int, settings: SessionSettings) -> None:
        """A session is going: what its lists hid up to this `seq` stays hidden; a new one is another.

        To be told before that is committed; its lists go on to hide it, for the disk may refuse that.
        """
        lists = admitted(settings)
        if lists is not None:
            self._deleted.setdefault(session_id, []).append((upto, lists))

    @property
    def hides_nothing(self) -> bool:
        """Whether no session has lists: everybody with a role sees all."""
        return not self._lists and not self._deleted

    def sees(self, peer: Peer | None, session_id: str | None) -> bool:
        """Whether the caller may know of the session, if there is one; None is the daemon itself.

        A `peer` of None is somebody of whom nothing is known.
        """
        lists = None if session_id is None else self._lists.get(session_id)
        return lists is None or _includes(lists, peer)

    def sees_event(self, peer: Peer, session_id: str | None, seq: int) -> bool:
        """Whether the caller may be told of this event of the session, which may be gone."""
        for upto, lists in () if session_id is None else self._deleted.get(session_id, ()):
            if seq <= upto:
                return _includes(lists, peer)
        return self.sees(peer, session_id)

    def hidden(self, peer: Peer | None) -> list[str]:
        """The sessions of which the caller may not know."""
        now = [*self._lists.items()]  # in one step: the store's thread may add to them
        return [name for name, lists in now if not _includes(lists, peer)]


def _includes(lists: Principals, peer: Peer | None) -> bool:
    return peer is not None and (peer.role == "admin" or lists.include(peer))

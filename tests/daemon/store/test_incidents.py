"""Incidents as they are kept."""

import apsw
import pytest

from daemon.store import incidents, sessions
from daemon.store.incidents import latest, note, over, tried
from daemon.store.migrations import migrate, scripts


@pytest.fixture
def db() -> apsw.Connection:
    """A store's tables in memory, with two sessions."""
    db = apsw.Connection(":memory:")
    db.pragma("foreign_keys", True)
    migrate(db, scripts())
    for name in ("shop", "desk"):
        sessions.insert(db, id=name, name=name, at_ms=1)
    return db


def kinds(db: apsw.Connection, session_id: str = "shop") -> list[tuple[str, str, bool]]:
    return [(i.kind, i.action, i.recovered_at is not None) for i in latest(db, session_id, 50)]


def test_an_incident_is_open_until_it_is_over(db: apsw.Connection) -> None:
    note(db, "shop", "PAGE_HUNG", "no answer", "LOOP_ENDED", 1000)
    note(db, "desk", "PAGE_CRASHED", None, "RELOADED", 1000)
    tried(db, "shop", "NEW_PAGE")
    (incident,) = latest(db, "shop", 50)
    assert (incident.action, incident.detail, incident.recovered_at) == ("NEW_PAGE", "no answer", None)
    over(db, "shop", 3000)
    (incident,) = latest(db, "shop", 50)
    assert (incident.at, incident.recovered_at) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:03.000Z")
    tried(db, "shop", "NEW_BROWSER")  # nothing is open
    assert kinds(db) == [("PAGE_HUNG", "NEW_PAGE", True)]
    assert kinds(db, "desk") == [("PAGE_CRASHED", "RELOADED", False)]


def test_some_kinds_outlast_others(db: apsw.Connection) -> None:
    for kind in ("LOGGED_OUT", "PAGE_CRASHED", "PAGE_HUNG"):
        note(db, "shop", kind, None, "X", 1000)
    over(db, "shop", 2000, only="PAGE_HUNG")
    assert [recovered for *_, recovered in kinds(db)] == [True, False, False]
    over(db, "shop", 2000, but="LOGGED_OUT")
    assert [recovered for *_, recovered in kinds(db)] == [True, True, False]
    over(db, "shop", 2000)
    assert [recovered for *_, recovered in kinds(db)] == [True, True, True]


def test_a_clock_that_was_put_back_recovers_nothing_before_it_happened(db: apsw.Connection) -> None:
    note(db, "shop", "NETWORK", None, "RECONNECT", 5000)
    over(db, "shop", 1000)
    (incident,) = latest(db, "shop", 1)
    assert incident.recovered_at == incident.at


def test_the_newest_are_kept_and_a_deleted_session_leaves_none(
    db: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "KEPT", 3)
    for number in range(5):
        note(db, "shop", f"K{number}", None, "X", number)
    note(db, "desk", "OTHER", None, "X", 9)
    assert [kind for kind, *_ in kinds(db)] == ["K4", "K3", "K2"]
    assert [i.kind for i in latest(db, "shop", 2)] == ["K4", "K3"]
    sessions.delete(db, "shop", 10)
    assert kinds(db) == []
    assert kinds(db, "desk") == [("OTHER", "X", False)]


def test_until_when_a_session_is_caught_up(db: apsw.Connection) -> None:
    assert sessions.caught_up(db, "shop") is None
    sessions.catch_up(db, "shop", 5000)
    assert sessions.caught_up(db, "shop") == 5000
    assert sessions.caught_up(db, "desk") is None

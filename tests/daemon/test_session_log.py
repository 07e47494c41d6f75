"""What the log said of a session: what is kept, how much, and who may read it."""

import io
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
import trio

from daemon import logs
from daemon.session_log import MOST_BYTES, MOST_CHARACTERS, SessionLog
from protocol.errors import RpcError
from protocol.models import LogRecord

from .inprocess import daemon_in


def line(session_id: object, event: str, **data: Any) -> dict[str, Any]:
    return {"session_id": session_id, "event": event, "level": "info", "timestamp": "…", **data}


def words(records: list[LogRecord]) -> list[str]:
    return [record.event for record in records]


def test_lines_are_kept_by_session_in_order() -> None:
    kept = SessionLog({"a", "b"})
    for event in ("one", "two", "three"):
        kept.keep(line("a", event, attempt=2, reason=None))
    kept.keep(line("b", "other"))
    kept.keep({"event": "daemon_ready", "level": "info"})
    first, second, third = kept.latest("a", after=0, limit=9)
    assert words([first, second, third]) == ["one", "two", "three"]
    assert first.seq < second.seq < third.seq
    assert (first.level, first.data) == ("info", {"attempt": 2, "reason": None})
    assert kept.latest("a", after=0, limit=2) == [second, third]
    assert kept.latest("a", after=second.seq, limit=9) == [third]
    assert words(kept.latest("b", after=0, limit=9)) == ["other"]
    kept.forget("a")
    assert kept.latest("a", after=0, limit=9) == []


def test_numbers_rise_over_a_restart() -> None:
    before, after = SessionLog({"a"}), SessionLog({"a"})
    before.keep(line("a", "one"))
    after = SessionLog({"a"})
    after.keep(line("a", "two"))
    (last,) = before.latest("a", after=0, limit=9)
    assert words(after.latest("a", after=last.seq, limit=9)) == ["two"]


def test_lines_of_several_threads_are_in_the_order_of_their_numbers() -> None:
    """Or who has read one would never see one of a lower number that comes after it."""
    kept = SessionLog({"a"})

    class Slow:
        """While it is put into words another thread has its say."""

        def __str__(self) -> str:
            other = Thread(target=kept.keep, args=(line("a", "quick"),))
            other.start()
            other.join()
            return "slow"

    kept.keep(line("a", "slow", of=Slow()))
    first, second = kept.latest("a", after=0, limit=9)
    assert first.seq < second.seq
    assert words(kept.latest("a", after=first.seq, limit=9)) == [second.event]


def test_nothing_is_kept_of_sessions_that_callers_make_up() -> None:
    kept = SessionLog({"a"})
    for made_up in ("b", None, 7, ["a"]):
        kept.keep(line(made_up, "request_taken"))
    assert kept.latest("b", after=0, limit=9) == []
    assert not kept._kept


def test_memory_is_bounded_whatever_is_said() -> None:
    kept = SessionLog({"a"})
    for number in range(9000):
        kept.keep(line("a", "browser_wrote", number=number))
    records = kept.latest("a", after=0, limit=10_000)
    assert records[-1].data == {"number": 8999}
    assert 300 < len(records) < 1000
    assert kept._kept["a"].bytes <= MOST_BYTES
    kept.keep(line("a", "said", text="x" * 10**6, list=["y" * 10**6], odd="\ud800", of=Path("/a")))
    said = kept.latest("a", after=0, limit=1)[0].data
    assert all(len(str(value)) < MOST_CHARACTERS + 9 for value in said.values())
    assert (said["odd"], said["of"]) == ("?", '"/a"')


def test_what_the_log_may_not_have_is_not_here_either() -> None:
    kept = SessionLog({"a"})
    token = logs.session_log.set(kept)
    try:
        logs.configure("info", "json", io.StringIO())
        log = structlog.get_logger().bind(session_id="a")
        log.info("sent", text="secret words", phone_number="+491701234567")
        log.debug("too_detailed")
        try:
            _fail("secret words " * 2)
        except ZeroDivisionError:
            log.exception("failed")
    finally:
        logs.session_log.reset(token)
    sent, failed = kept.latest("a", after=0, limit=9)
    assert sent.data == {"phone_number": "+49…567"}
    assert failed.level == "error"
    assert "ZeroDivisionError" in str(failed.data["exception"])
    assert "secret words secret words" not in str(failed)


def _fail(text: str) -> float:
    return len(text) / 0


async def test_operators_read_the_log_of_the_sessions_that_they_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure("info", "json", io.StringIO())
    settings = "[access]\nreader = [1001]\noperator = [1002]\n"
    with trio.fail_after(60):
        async with daemon_in(tmp_path, monkeypatch, settings) as daemon:
            async with daemon.as_user(0) as admin:
                await admin.call("session.create", id="shop", name="Shop", start=True)
                await admin.call("session.wait", sessionId="shop", status="connected")
                hidden: dict[str, list[int]] = {"allowedUids": []}
                await admin.call("session.create", id="hidden", name="Hidden", settings=hidden)
            async with daemon.as_user(1002) as operator:
                records = (await operator.call("session.log", sessionId="shop"))["records"]
                assert "session_created" in [record["event"] for record in records]
                changes = [record["data"] for record in records if record["event"] == "status_changed"]
                assert changes[-1]["status"] == "connected"
                again = (await operator.call("session.log", sessionId="shop"))["records"]
                assert again == records, "to read the log is nothing to tell in it"
                with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
                    await operator.call("session.log", sessionId="hidden")
            async with daemon.as_user(1001) as reader:
                with pytest.raises(RpcError, match="FORBIDDEN"):
                    await reader.call("session.log", sessionId="shop")
            async with daemon.as_user(0) as admin:
                await admin.call("session.delete", sessionId="shop", backup=False)
                await admin.call("session.create", id="shop", name="Another")
                (only,) = (await admin.call("session.log", sessionId="shop"))["records"]
                assert only["event"] == "session_created"

"""A session that breaks of an error of ours troubles no other; and whoever only asks changes nothing."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog.testing

from protocol.client.aio import Client
from protocol.errors import RpcError
from protocol.methods import METHODS
from supervisors.launches import Turn
from supervisors.machine import Died
from supervisors.session import Session
from tests.daemon import inprocess
from tests.daemon.inprocess import LinkedLife, daemon_in
from tests.system.wasupd import until

SESSIONS = ("stopped", "running", "given-up")


class Life(LinkedLife):
    """The latest life of each session can be had, and broken by a defect."""

    latest: ClassVar[dict[str, "Life"]] = {}

    def __init__(self, session: Session, find_workplace: object, turn: Turn) -> None:
        super().__init__(session, find_workplace, turn)
        self.defective = False
        Life.latest[session.id] = self

    async def run(self) -> Died:
        died = await super().run()
        if self.defective:
            raise ValueError("a defect")
        return died


@pytest.fixture(autouse=True)
def lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inprocess, "LinkedLife", Life)
    monkeypatch.setattr(Life, "latest", {})


async def test_an_error_of_one_session_takes_none_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as a death of that session, which is restarted; the daemon and the others go on."""
    quick = "[restart]\nsettle = 0\ncooldown = 0"
    async with daemon_in(tmp_path, monkeypatch, quick) as daemon, daemon.as_user(0) as client:
        for session_id in ("bad", "good"):
            await client.call("session.create", name=session_id, id=session_id)
            await client.call("session.start", sessionId=session_id, wait=True)
        async with client.subscribe() as events:
            with structlog.testing.capture_logs() as lines:
                Life.latest["bad"].defective = True
                Life.latest["bad"].end("BROWSER_CRASHED")
                seen = await until(events, "session.recovered")
        assert [line["session_id"] for line in lines if line["event"] == "session_failed"] == ["bad"]
        assert {event["sessionId"] for event in seen} == {"bad"}
        assert seen[0]["data"] == {"from": "connected", "to": "disconnected", "reason": "INTERNAL_ERROR"}
        for session_id, restarts in (("good", 0), ("bad", 1)):
            session = await client.call("session.get", sessionId=session_id)
            assert (session["status"], session["restarts"]["count"]) == ("connected", restarts)


async def _read_everything(client: Client) -> None:
    """Call every method that a reader may, for every session."""
    for name, method in METHODS.items():
        if method.role != "reader" or name in ("events.subscribe", "events.unsubscribe", "daemon.whoami"):
            continue
        for session_id in SESSIONS:
            params: dict[str, Any] = {}
            fields = method.params.__struct_fields__
            if "session_id" in fields:
                params["sessionId"] = session_id
            if "message_id" in fields:
                params["messageId"] = "3EB0"
            if name == "session.wait":
                params |= {"status": ["inactive", "connected", "disconnected"]}
            code = None
            try:
                await client.call(name, params)
            except RpcError as error:
                code = error.code
            assert code not in ("INVALID_PARAMS", "INTERNAL_ERROR"), name


async def test_reading_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that are stopped, connected, given up stay so, no event is told, and the daemon lives."""
    limits = "[restart]\nmax_restarts = 0\nrevive_after = 0"
    async with daemon_in(tmp_path, monkeypatch, limits) as daemon, daemon.as_user(0) as client:
        for session_id in SESSIONS:
            await client.call("session.create", name=session_id, id=session_id)
        for session_id in ("running", "given-up"):
            await client.call("session.start", sessionId=session_id, wait=True)
        Life.latest["given-up"].end("BROWSER_CRASHED")
        await client.call("session.wait", sessionId="given-up", status="disconnected")

        async def everything() -> tuple[list[Any], dict[str, Any]]:
            told = (await client.call("events.list", limit=1000))["events"]
            sessions = (await client.call("session.list"))["sessions"]
            return told, {session["id"]: session for session in sessions}

        before = await everything()
        await _read_everything(client)
        assert await everything() == before
        assert [before[1][name]["status"] for name in SESSIONS] == ["inactive", "connected", "disconnected"]

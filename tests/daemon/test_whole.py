"""The whole daemon in this process, with lives that do as Hypothesis says: any order of verbs is answered."""

import random
import tempfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon import main
from daemon.config import Config, parse
from protocol.client.aio import Client, connect
from protocol.errors import RpcError
from supervisors import machine
from supervisors.journal import ConnectionFacts
from supervisors.launches import Turn
from supervisors.machine import Died
from supervisors.session import Session
from tests.daemon.inprocess import LinkedLife

SESSIONS = ("one", "two", "three")
LEGAL = {
    ("inactive", "connecting"),
    ("connecting", "qr_generated"),
    ("connecting", "connected"),
    ("qr_generated", "connected"),
    *((status, "disconnected") for status in ("connecting", "qr_generated", "connected")),
    *(("disconnected", status) for status in ("connecting", "qr_generated", "connected")),
    *((status, "inactive") for status in ("connecting", "qr_generated", "connected", "disconnected")),
}


class Life(LinkedLife):
    """A life without a browser: it links, hangs or dies as its dice fall, and never shares its profile."""

    alive: ClassVar[Counter[str]] = Counter()
    dice: ClassVar[random.Random] = random.Random(0)  # noqa: S311  for tests

    def __init__(self, session: Session, find_workplace: object, turn: Turn) -> None:
        super().__init__(session, find_workplace, turn)
        self._cause: str | None = None

    async def run(self) -> Died:
        name = self._session.id
        Life.alive[name] += 1
        assert Life.alive[name] == 1, "two browsers on one profile"
        try:
            await self._live()
        finally:
            Life.alive[name] -= 1
            self._turn.close()
        return Died(self._cause or "BROWSER_CRASHED")

    async def _live(self) -> None:
        steps = Life.dice.choices(["qr", "connect", "lose", "unlink", "pause", "break", "die", "wait"], k=6)
        self._session.give(machine.Admitted())
        for step in [*steps, "wait"]:
            await trio.lowlevel.checkpoint()
            if self._over.is_set() or step == "die":
                return
            if step == "qr":
                self._session.show_qr("1@code", 10**13)
            elif step == "connect":
                number = zlib.crc32(self._session.id.encode())  # another for each
                self._session.connect(ConnectionFacts(phone_number=f"+49{number}"))
            elif step == "lose":
                self._session.give(machine.Lost("NETWORK"))
            elif step == "break":
                level = Life.dice.choice([machine.Level.LOOP, machine.Level.RELOAD, machine.Level.PAGE])
                self._session.give(machine.Broke("PAGE_CRASHED", "by lot", level))
            elif step == "unlink":
                self._session.give(machine.LoggedOut())
            elif step == "wait":
                await self._over.wait()

    def end(self, cause: str, _detail: str | None = None) -> None:
        self._cause = self._cause or cause
        self._over.set()


ACCEPTED = {
    "start": {"SESSION_BUSY", "SESSION_ALREADY_STARTED"},
    "restart": {"SESSION_BUSY"},
    "stop": set[str](),
    "reload": {"SESSION_BUSY", "SESSION_NOT_STARTED"},
    "clearAuth": {"SESSION_BUSY"},
    "status": set[str](),
    "get": set[str](),
    "qr": {"QR_NOT_AVAILABLE", "QR_CODE_EXPIRED"},
    "delete": set[str](),
    "create": {"SESSION_EXISTS"},
    "update": set[str](),
    "list": set[str](),
}
GONE = {"SESSION_NOT_FOUND"}

verbs = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(sorted(ACCEPTED)), st.sampled_from(SESSIONS)), max_size=60
)


def config_in(directory: Path) -> Config:
    text = f"""
[daemon]
state_dir = "{directory}/state"
[rpc]
socket = "{directory}/wasup.sock"
[restart]
settle = 0
cooldown = 0
revive_after = 0
[log]
level = "error"
format = "json"
"""
    return parse(text, {})


async def ask(client: Client, verb: str, session_id: str) -> None:
    params: dict[str, Any] = {"sessionId": session_id}
    if verb == "create":
        params = {"id": session_id, "name": session_id}
    elif verb == "list":
        params = {}
    elif verb == "update":
        params["description"] = "changed"
    elif verb == "delete":
        params["backup"] = False
    code = None
    try:
        with trio.fail_after(30):
            await client.call(f"session.{verb}", params)
    except RpcError as error:
        code = error.code
    assert code in {None} | ACCEPTED[verb] | GONE, (verb, code)


@pytest.mark.filterwarnings("default::trio.TrioDeprecationWarning")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), verbs)
def test_any_verbs_from_several_clients(seed: int, asked: list[tuple[int, str, str]]) -> None:
    """Every request is answered, transitions are legal, and no session ever has two lives."""
    Life.alive, Life.dice = Counter(), random.Random(seed)  # noqa: S311  for tests

    async def scene(directory: Path) -> list[dict[str, Any]]:
        config = config_in(directory)
        events: list[dict[str, Any]] = []
        async with trio.open_nursery() as nursery:
            await nursery.start(main.run, config)
            async with connect(str(config.rpc.socket)) as client:
                for session_id in SESSIONS:
                    await ask(client, "create", session_id)

                async def act(number: int) -> None:
                    async with connect(str(config.rpc.socket)) as mine:
                        for whose, verb, session_id in asked:
                            if whose == number:
                                await ask(mine, verb, session_id)

                async with trio.open_nursery() as clients:
                    for number in range(3):
                        clients.start_soon(act, number)
                for session_id in SESSIONS:
                    await ask(client, "stop", session_id)
                assert sum(Life.alive.values()) == 0
                while True:
                    after = events[-1]["seq"] if events else 0
                    page = await client.call("events.list", after=after, limit=1000)
                    if not page["events"]:
                        break
                    events += page["events"]
                await client.call("daemon.shutdown")
        return events

    with tempfile.TemporaryDirectory(prefix="wasup-") as directory:
        events = trio.run(scene, Path(directory))
    last = dict.fromkeys(SESSIONS, "inactive")
    for event in events:
        if event["type"] == "session.created":
            last[event["sessionId"]] = "inactive"
        if event["type"] == "session.status":
            before, to = event["data"]["from"], event["data"]["to"]
            assert before == last[event["sessionId"]]
            assert (before, to) in LEGAL
            last[event["sessionId"]] = to
    assert set(last.values()) == {"inactive"}


@pytest.fixture(autouse=True)
def lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisors.fleet.Incarnation", Life)

    async def no_browser(_fleet: object) -> None:
        pass

    monkeypatch.setattr("daemon.main._look_for_browser", no_browser)

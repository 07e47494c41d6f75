"""What daemon.health says of sessions in trouble."""

from pathlib import Path

import pytest

from supervisors import machine
from tests.daemon import inprocess


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (machine.Lost("BANNED"), "BANNED"),
        (machine.Lost("CONFLICT"), "CONFLICT"),
        (machine.Lost("NETWORK"), None),
        (machine.Queued(machine.WAITING_FOR_MEMORY), "WAITING_FOR_MEMORY"),
    ],
)
async def test_what_bars_a_session_is_a_problem_with_what_to_do(
    event: machine.Event, code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TroubledLife(inprocess.LinkedLife):
        async def run(self) -> machine.Died:
            self._session.give(event)
            try:
                await self._over.wait()
            finally:
                self._turn.close()
            return machine.Died("ENDED")

    monkeypatch.setattr(inprocess, "LinkedLife", TroubledLife)
    async with inprocess.daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", id="shop", name="shop", start=True)
        wanted = {"NETWORK", "BANNED", "CONFLICT", "WAITING_FOR_MEMORY"}
        while (await client.call("session.status", sessionId="shop"))["reason"] not in wanted:
            pass
        problems = (await client.call("daemon.health"))["problems"]
        found = [problem for problem in problems if problem.get("sessionId") == "shop"]
        assert [problem["code"] for problem in found] == ([] if code is None else [code])
        assert all(problem["action"] for problem in found)

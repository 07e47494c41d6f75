"""Hundreds of sessions in one daemon, on browsers that only speak: all up, whichever of them are killed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.stand_in.daemon import programs
from tests.system.crowd import all_connected, killed
from tests.system.wasupd import Wasupd


@pytest.fixture
async def wasupd(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Wasupd]:
    """A daemon with stand-ins; at the end it must stop in order and leave no process."""
    settings: dict[str, object] = {"log.level": "info", "profile.snapshots": 1}
    settings |= getattr(request, "param", {})
    async with trio.open_nursery() as nursery:
        daemon = Wasupd(tmp_path, [], settings, programs(tmp_path))
        try:
            await daemon.start()
            nursery.start_soon(daemon.drain)
            yield daemon
            assert await daemon.end() == 0
            assert daemon.browsers() == []
        finally:
            with trio.CancelScope(shield=True):
                if daemon.process is not None:
                    daemon.process.kill()
                    await daemon.process.wait()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("sessions", "kills", "pause_s"),
    [(60, 10, 0.0), pytest.param(500, 60, 1.0, marks=pytest.mark.slow)],
    ids=["60", "500"],
)
async def test_all_are_up_whoever_is_killed(
    wasupd: Wasupd, sessions: int, kills: int, pause_s: float
) -> None:
    names = [f"s{number}" for number in range(sessions)]
    began = trio.current_time()
    async with wasupd.client() as call:
        for name in names:
            await call.create(name, start=True)
    await all_connected(wasupd, names)
    up_s = trio.current_time() - began
    assert len(wasupd.browsers()) == sessions
    print(f"{sessions} up in {up_s:.1f} s; {await killed(wasupd, names, kills, pause_s)}")
    assert len(wasupd.browsers()) == sessions


@pytest.mark.parametrize(
    "wasupd", [{"browser.launch_concurrency": 1, "liveness.connect_timeout": 4}], indirect=True, ids=["one"]
)
async def test_a_browser_that_never_answers_holds_up_the_others_for_a_while_only(
    wasupd: Wasupd, tmp_path: Path
) -> None:
    """It has the only turn to launch; when its time is over it is ended, and the next one comes up."""
    stand_in = tmp_path / "stand-in"
    begin = "    keep_a_login(profile)\n"
    mute = "    while '/mute/' in profile:\n        b'Browser.close' in os.read(3, 65536) and sys.exit(0)\n"
    stand_in.write_text(stand_in.read_text().replace(begin, begin + mute, 1))
    async with wasupd.client() as call:
        for name in ("mute", "good"):
            await call.create(name, start=True)
        await call.wait("good", "connected")
        (*_, first) = (await call("session.incidents", sessionId="mute"))["incidents"]
        assert (first["kind"], first["action"]) == ("BROWSER_HUNG", "NEW_BROWSER")
        assert (await call("session.get", sessionId="good"))["restarts"]["count"] == 0
        waited = [line["session_id"] for line in wasupd.logged() if line["event"] == "launch_queued"]
        assert waited[0] == "good"
        await call("session.stop", sessionId="mute")

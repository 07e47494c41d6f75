"""Events across the daemon's restarts, for both clients, on real sockets."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from protocol.client import aio, blocking
from protocol.client.errors import DaemonUnreachable
from protocol.errors import RpcError

from .daemon_double import Restarted, open_fds


@asynccontextmanager
async def restarted(directory: Path) -> AsyncIterator[Restarted]:
    """A double that is up; nothing may take longer than a few seconds, nothing may stay open."""
    fds = open_fds()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            daemon = Restarted(directory / "wasup.sock", nursery)
            await daemon.up()
            yield daemon
            nursery.cancel_scope.cancel()
    assert open_fds() == fds


async def test_trio_goes_on_after_a_restart_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    async with restarted(tmp_path) as daemon:
        daemon.happen(3)
        async with aio.follow(str(daemon.path), after=1, types=["session.connecting"]) as events:
            assert events.cursor == 1
            assert (await anext(events))["seq"] == 2
            await daemon.down()
            daemon.happen(2)
            await daemon.up()
            assert [(await anext(events))["seq"] for _ in range(3)] == [3, 4, 5]
            daemon.happen()
            assert (await anext(events))["seq"] == events.cursor == 6
    wanted = [params for method, params in daemon.asked if method == "events.subscribe"]
    assert wanted == [{"types": ["session.connecting"], "after": after} for after in (1, 3)]


async def test_blocking_goes_on_after_a_restart_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    async with restarted(tmp_path) as daemon:
        daemon.happen(3)
        events = await trio.to_thread.run_sync(lambda: blocking.follow(str(daemon.path), after=1))
        assert (await trio.to_thread.run_sync(next, events))["seq"] == 2
        await daemon.down()
        daemon.happen(2)
        await daemon.up()
        rest = await trio.to_thread.run_sync(lambda: list(itertools.islice(events, 3)))
        assert [event["seq"] for event in rest] == [3, 4, 5]
        await trio.to_thread.run_sync(events.close)


@pytest.mark.parametrize("refusal", ["CURSOR_EXPIRED", "FORBIDDEN"])
async def test_what_does_not_pass_is_raised(tmp_path: Path, refusal: str) -> None:
    """A refusal after a restart ends the events; one at the beginning is raised at once."""
    async with restarted(tmp_path) as daemon, aio.follow(str(daemon.path)) as events:
        listened = await trio.to_thread.run_sync(blocking.follow, str(daemon.path))
        await daemon.down()
        daemon.refuses = refusal
        await daemon.up()
        for _ in range(2):
            with pytest.raises(RpcError, match=refusal):
                await anext(events)
        with pytest.raises(RpcError, match=refusal):
            await trio.to_thread.run_sync(next, listened)
        with pytest.raises(RpcError, match=refusal):
            async with aio.follow(str(daemon.path)):
                pass
        with pytest.raises(RpcError, match=refusal):
            await trio.to_thread.run_sync(blocking.follow, str(daemon.path))


async def test_a_daemon_that_is_about_to_go_is_waited_for(tmp_path: Path) -> None:
    async with restarted(tmp_path) as daemon, aio.follow(str(daemon.path)) as events:
        await daemon.down()
        daemon.refuses = "SHUTTING_DOWN"
        await daemon.up()
        while len(daemon.asked) < 2:  # it was refused
            await trio.lowlevel.checkpoint()
        await daemon.down()
        daemon.refuses = None
        daemon.happen()
        await daemon.up()
        assert (await anext(events))["seq"] == 1


async def test_a_daemon_that_was_never_there_is_told(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "wasup.sock")
    with pytest.raises(DaemonUnreachable, match="No such file"):
        async with aio.follow(nowhere):
            pass
    with pytest.raises(DaemonUnreachable, match="No such file"):
        blocking.follow(nowhere)

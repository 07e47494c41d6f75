"""Memory: what is left, who waits for it, and sessions that take too much."""

import os
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol.errors import RpcError
from supervisors import memory
from supervisors.launches import LOOK_AGAIN_S, Launches
from supervisors.memory_watch import MEMORY_LIMIT, PATIENCE_S, PAUSE_S, PROBES, MemoryWatch
from supervisors.settings import BrowserSettings, LivenessSettings, SupervisorSettings


def group(path: Path, limit: str, used: int, inactive: int) -> Path:
    path.mkdir()
    (path / "cgroup.controllers").write_text("memory")
    (path / "memory.max").write_text(limit)
    (path / "memory.current").write_text(str(used))
    (path / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")
    return path


def test_the_tightest_of_all_groups_counts(tmp_path: Path) -> None:
    outer = group(tmp_path / "outer", "1000", 700, 100)
    inner = group(outer / "inner", "max", 600, 0)
    assert memory.available_bytes(inner) == 400
    (outer / "memory.max").write_text("500")
    assert memory.available_bytes(inner) == 0
    assert memory.available_bytes(tmp_path) <= psutil.virtual_memory().total


async def test_what_a_process_takes() -> None:
    found = await memory.measure([os.getpid(), 2**22 + 1])
    assert found.keys() == {os.getpid()}
    assert found[os.getpid()] > 2**20


def test_what_the_next_browser_is_expected_to_take() -> None:
    sizes = memory.Sizes()
    assert sizes.expected_bytes == memory.USUAL_BYTES
    for size in (100, 300):
        sizes.note(size)
    assert sizes.expected_bytes == 250


async def test_launches_wait_for_memory(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    room = 1
    launches = Launches(10, lambda launching: launching < room)
    nursery.start_soon(launches.keep_looking)
    first, second, third = (launches.join() for _ in range(3))
    assert [turn.has_come.is_set() for turn in (first, second, third)] == [True, False, False]
    assert second.reason == "WAITING_FOR_MEMORY"
    first.close()
    assert second.has_come.is_set()
    second.close()
    room = 0
    fourth = launches.join()
    third.close()
    assert not fourth.has_come.is_set()
    room = 1
    with trio.fail_after(LOOK_AGAIN_S + 0.1):
        while not fourth.has_come.is_set():
            await fourth.news()
    nursery.cancel_scope.cancel()


class Grown:
    """A session whose browser takes what the test says, with something to send or not."""

    id = "shop"

    def __init__(self) -> None:
        self.state = self
        self.status = "connected"
        self.life = self
        self.pid = 1
        self.journal = self
        self.sending: bool | RpcError = False
        self.bytes = 95
        self.alerts: list[str] = []
        self.ended: list[float] = []

    def alerted(self, kind: str, _detail: str) -> None:
        self.alerts.append(kind)

    async def is_sending(self) -> bool:
        if isinstance(self.sending, RpcError):
            raise self.sending
        return self.sending

    def end(self, cause: str, _detail: str | None = None) -> None:
        assert cause == MEMORY_LIMIT
        self.ended.append(trio.current_time())


@pytest.fixture
def watched(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> Grown:
    session = Grown()

    async def measured(pids: list[int]) -> dict[int, int]:
        return dict.fromkeys(pids, session.bytes)

    monkeypatch.setattr(memory, "measure", measured)
    monkeypatch.setattr(memory, "held", measured)
    settings = SupervisorSettings(
        browser=BrowserSettings(memory_limit=100), liveness=LivenessSettings(probe_interval=15)
    )
    sessions: Any = [session]
    nursery.start_soon(MemoryWatch(settings, memory.Sizes()).run, sessions)
    return session


async def test_what_processes_hold_is_less_than_what_they_take() -> None:
    held = await memory.held([os.getpid(), 2**22 + 1])
    assert 2**20 < held[os.getpid()] <= (await memory.measure([os.getpid()]))[os.getpid()]
    assert held[2**22 + 1] == 0
    assert await memory.held([]) == {}


async def test_a_session_beyond_the_limit_is_ended_at_once(
    watched: Grown, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Whatever it is at, connected or not, and as often as it has to be."""
    watched.sending = True
    watched.status = "qr_generated"
    watched.bytes = 100
    await trio.sleep(15 * PROBES + 1)
    assert (watched.alerts, watched.ended) == ([], [])
    watched.bytes = 101
    await trio.sleep(15)
    assert len(watched.ended) == 1
    await trio.sleep(15)
    assert len(watched.ended) == 2
    nursery.cancel_scope.cancel()


async def test_a_session_that_grows_is_restarted_when_it_is_quiet(
    watched: Grown, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    watched.sending = True
    await trio.sleep(15 * PROBES * 2 + 1)
    assert (watched.alerts, watched.ended) == (["memory"], [])
    watched.sending = False
    await trio.sleep(15 * PROBES)
    assert len(watched.ended) == 1
    await trio.sleep(PAUSE_S - 15 * PROBES)  # what it needs it needs
    assert (watched.alerts, len(watched.ended)) == (["memory"], 1)
    await trio.sleep(15 * PROBES * 2)
    assert (watched.alerts, len(watched.ended)) == (["memory"] * 2, 2)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sending", [True, RpcError("STORE_FULL")], ids=["sending", "nobody knows"])
async def test_one_that_never_is_quiet_is_restarted_all_the_same(
    sending: bool | RpcError, watched: Grown, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    watched.sending = sending
    await trio.sleep(PATIENCE_S)
    assert watched.ended == []
    await trio.sleep(15 * PROBES + 1)
    await wait_all_tasks_blocked()
    assert len(watched.ended) == 1
    nursery.cancel_scope.cancel()

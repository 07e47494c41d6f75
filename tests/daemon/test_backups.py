"""Copies by themselves: when, how many, and what is said when they fail."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from daemon.backups import Backups, due_in_s
from daemon.store import Store, StoreError, open_store

HOUR_S = 3600.0


@given(st.none() | st.integers(0, 2**45), st.integers(0, 2**45), st.floats(1, 1e7))
def test_a_copy_is_due_within_an_interval_whatever_the_clock_says(
    last_ms: int | None, now_ms: int, interval_s: float
) -> None:
    assert 0 <= due_in_s(last_ms, now_ms, interval_s) <= interval_s


def test_when_a_copy_is_due() -> None:
    assert due_in_s(None, 0, HOUR_S) == 0
    assert due_in_s(1_000_000, 1_600_000, HOUR_S) == 3000
    assert due_in_s(1_000_000, 9_000_000, HOUR_S) == 0  # the daemon was away, or the clock jumped ahead
    assert due_in_s(9_000_000, 1_000_000, HOUR_S) == HOUR_S  # it was put back


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "state" / "wasup.db") as opened:
        yield opened


def numbers(directory: Path) -> list[int]:
    return sorted(int(each.name.split("-")[1]) for each in directory.iterdir() if "scheduled" in each.name)


async def made(backups: Backups, count: int, interval_s: float = 0.001, keep: int = 3) -> None:
    """Have copies made until there were so many."""
    seen: set[int | None] = {backups.last_ms}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backups.keep_making, interval_s, keep)
        with trio.fail_after(30):
            while len(seen) <= count or backups.lock.locked():
                seen.add(backups.last_ms)
                await trio.testing.wait_all_tasks_blocked(0.001)
        nursery.cancel_scope.cancel()


async def test_the_newest_are_kept_and_no_others_touched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([5_000_000, 9_000_000_000, 6_000_000, *range(7_000_000, 8_000_000)])
    monkeypatch.setattr("daemon.backups.now_ms", lambda: next(clock))
    directory = tmp_path / "backups"
    backups = Backups(store, directory)
    asked, _size = await backups.make()
    (directory / "scheduled-1-mine.txt").write_text("not a copy")
    await made(backups, 6)
    kept = numbers(directory)
    assert asked.exists()
    assert (directory / "scheduled-1-mine.txt").exists()
    assert [each for each in kept if each > 1][-3:] == list(range(kept[-1] - 2, kept[-1] + 1))
    assert len([each for each in directory.iterdir() if each.suffix == ".db"]) <= 5  # one may be new
    assert {each.stat().st_mode & 0o777 for each in directory.glob("*.db")} == {0o600}


async def test_the_last_one_is_remembered(tmp_path: Path) -> None:
    async with open_store(tmp_path / "wasup.db") as store:
        backups = Backups(store, tmp_path / "backups")
        await backups.load()
        assert [backups.last_ms] == [None]
        await backups.make()
        last_ms = backups.last_ms
        assert last_ms is not None
    async with open_store(tmp_path / "wasup.db") as store:
        backups = Backups(store, tmp_path / "backups")
        await backups.load()
        assert backups.last_ms == last_ms


async def test_one_that_fails_is_said_until_one_succeeds(store: Store, tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.write_bytes(b"in the way")
    backups = Backups(store, directory)
    with pytest.raises(StoreError):
        await backups.make()
    assert "cannot be written" in str(backups.failure)
    assert backups.last_ms is None
    directory.unlink()
    await backups.make()
    assert str(backups.failure) == "None"


async def test_a_schedule_survives_failures(
    store: Store, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    directory = tmp_path / "backups"
    directory.write_bytes(b"in the way")
    backups = Backups(store, directory)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backups.keep_making, 24 * HOUR_S, 2)
        await trio.sleep(1)
        while backups.failure is None:  # noqa: ASYNC110 - the mock's time
            await trio.sleep(1)
        directory.unlink()
        begun = trio.current_time()
        while backups.last_ms is None:  # noqa: ASYNC110 - the mock's time
            await trio.sleep(60)
        assert trio.current_time() - begun >= 60
        assert numbers(directory) == [1]
        nursery.cancel_scope.cancel()

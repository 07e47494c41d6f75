"""Removing what something still holds."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from trio.testing import MockClock

from supervisors.trash import PAUSES_S, Trash


def directory(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    (path / "profile").mkdir(parents=True)
    (path / "profile" / "file").touch()
    return path


def busy(times: int, function: object) -> object:
    """A function that finds something busy so many times before it does its work."""
    left = [times]

    def act(*args: object) -> object:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return function(*args)  # type: ignore[operator]  # one of shutil's

    return act


async def test_what_is_busy_for_a_while_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(shutil, "rmtree", busy(len(PAUSES_S), shutil.rmtree))
    trash = Trash(tmp_path / ".removed")
    await trash.throw(directory(tmp_path))
    await trash.throw(tmp_path / "missing")
    assert list(tmp_path.rglob("*")) == [tmp_path / ".removed"]


async def test_what_stays_busy_is_out_of_the_way_and_goes_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    trash = Trash(tmp_path / ".removed")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy(100, shutil.rmtree))
        await trash.throw(directory(tmp_path))
    assert not (tmp_path / "shop").exists()
    assert len(list((tmp_path / ".removed").iterdir())) == 1
    await trash.empty()
    assert list((tmp_path / ".removed").iterdir()) == []


async def test_what_cannot_be_moved_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(Path, "rename", busy(100, Path.rename))
    with pytest.raises(OSError, match="busy"):
        await Trash(tmp_path / ".removed").throw(directory(tmp_path))
    assert (tmp_path / "shop" / "profile" / "file").exists()

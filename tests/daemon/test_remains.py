"""What must not be left, and must not hang: old logins, half files, full disks, sessions that are over."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon import main
from daemon.config import parse
from daemon.files import MediaFiles
from daemon.seals import Seals
from daemon.store import StoreError, StoreFull
from protocol.errors import RpcError

from .inprocess import daemon_in


async def test_a_new_session_does_not_get_the_login_of_its_ids_former_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would lie there after a deletion that was cut short."""
    login = tmp_path / "state" / "sessions" / "shop" / "profile" / "Default" / "Cookies"
    login.parent.mkdir(parents=True)
    login.write_text("whose?")
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        created = await client.call("session.create", name="Shop", id="shop", start=True)
        assert (created["phoneNumber"], login.exists()) == (None, False)
        await client.call("session.wait", sessionId="shop", status="connected")


async def test_all_are_terminated_those_that_are_over_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        for session_id in ("never", "stopped", "running"):
            await client.call("session.create", name=session_id, id=session_id)
        for session_id in ("stopped", "running"):
            await client.call("session.start", sessionId=session_id, wait=True)
        await client.call("session.stop", sessionId="stopped")
        for _ in range(2):
            answer = await client.call("session.terminateAll", within_s=20)
            assert sorted(answer["terminated"]) == ["never", "running", "stopped"]
        found = (await client.call("session.list"))["sessions"]
        assert {(each["status"], each["desired"]) for each in found} == {("inactive", "stopped")}
        assert (await client.call("session.start", sessionId="never", wait=True))["status"] == "connected"


class FullStore:
    """A store that has no room for a while."""

    def __init__(self, refusals: int, *, read_only: bool) -> None:
        self.refusals = refusals
        self.read_only = read_only
        self.asked: list[float] = []

    async def write(self, _job: object) -> int:
        await trio.lowlevel.checkpoint()
        self.asked.append(trio.current_time())
        if len(self.asked) <= self.refusals:
            raise StoreError("wasup.db: cannot be written: read-only") if self.read_only else StoreFull
        return 0


@pytest.mark.parametrize("read_only", [False, True])
async def test_on_a_full_disk_expiry_is_put_off(
    read_only: bool, autojump_clock: trio.testing.MockClock
) -> None:
    store: Any = FullStore(refusals=2, read_only=read_only)
    begun = trio.current_time()
    with trio.move_on_after(3.5 * main.EXPIRE_EVERY_S):
        await main._expire(lambda: parse("", {"HOME": "/nowhere"}), store)
    hours = [round((at - begun) / main.EXPIRE_EVERY_S) for at in store.asked]
    assert hours == [0, 1, 2, 2, 3, 3]  # events, then messages, as soon as there is room


@pytest.mark.parametrize("kind", ["sent", "downloaded"])
async def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    files = MediaFiles(tmp_path, Seals())

    async def keep(data: bytes) -> None:
        if kind == "sent":
            await files.keep("shop", "3EB0", data)
        else:
            await files.keep_downloaded("shop", "key", data)

    def no_room(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(RpcError, match="STORE_FULL"):
            await keep(b"half of it")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
    assert await files.downloaded("shop", "key") is None
    await keep(b"all of it")
    (written,) = (each for each in tmp_path.rglob("*") if each.is_file())
    assert written.read_bytes() == b"all of it"

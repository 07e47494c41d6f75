"""What must not be left, and must not hang: old logins, half files, full disks, sessions that are over."""

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
import structlog
import trio
import trio.testing

from daemon import expiry
from daemon.config import parse
from daemon.files import MediaFiles
from daemon.handlers import messages as handler
from daemon.media import TakenFile
from daemon.seals import Seals
from daemon.store import Store, StoreError, StoreFull, messages, open_store, outbox, sessions
from daemon.store.messages import Content
from protocol.errors import RpcError
from protocol.models import MessageError, SessionSettings, StoredSettings
from tests.tmpfs import mounted

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


async def test_a_deletion_that_a_crash_cut_short_is_ended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is gone from the store then, and its login would stay for ever."""
    kept = tmp_path / "state" / "sessions" / "unknown" / "profile" / "Cookies"  # of a store that was put back

    async def cut_short(_fleet: object, _session_id: str) -> None:
        raise OSError(errno.EIO, "as if killed here")

    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        for session_id in ("shop", "again"):
            await client.call("session.create", name=session_id, id=session_id)
            login = tmp_path / "state" / "sessions" / session_id / "profile" / "Cookies"
            login.parent.mkdir(parents=True, exist_ok=True)
            login.write_text("whose?")
        kept.parent.mkdir(parents=True)
        kept.write_text("whose?")
        with monkeypatch.context() as patched, structlog.testing.capture_logs():
            patched.setattr("supervisors.fleet.Fleet.remove_files", cut_short)
            for session_id in ("shop", "again"):
                with pytest.raises(RpcError, match="INTERNAL_ERROR"):
                    await client.call("session.delete", sessionId=session_id, backup=False)
        await client.call("session.create", name="Again", id="again")
        login.parent.mkdir(parents=True, exist_ok=True)
        login.write_text("mine")
    async with daemon_in(tmp_path, monkeypatch):
        assert {file.name for file in kept.parents[2].iterdir()} - {".removed"} == {"again", "unknown"}
        assert (login.read_text(), kept.exists()) == ("mine", True)


async def test_a_profile_that_is_busy_does_not_keep_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system says EBUSY: the session goes, its id is free, the rest goes at a later start."""
    sessions_dir = tmp_path / "state" / "sessions"
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", name="Shop", id="shop")
        (sessions_dir / "shop" / "profile").mkdir(parents=True, exist_ok=True)
        with mounted(sessions_dir / "shop" / "profile" / "held", "1m") as held:
            (held / "login").write_text("whose?")
            await client.call("session.delete", sessionId="shop", backup=False, within_s=30)
            assert (await client.call("session.list"))["total"] == 0
            assert not (sessions_dir / "shop").exists()
            created = await client.call("session.create", name="Shop", id="shop", start=True)
            assert created["phoneNumber"] is None
            (left,) = (sessions_dir / ".removed").glob("shop-*/profile/held")
            assert list(left.iterdir()) == []  # nobody can use the login
    async with daemon_in(tmp_path, monkeypatch):
        assert list((sessions_dir / ".removed").iterdir()) == []


class FullStore:
    """A store that has no room for a while, or another trouble."""

    def __init__(self, refusals: int, refusal: Exception) -> None:
        self.refusals = refusals
        self.refusal = refusal
        self.asked: list[float] = []

    async def write(self, _job: object) -> int:
        await trio.lowlevel.checkpoint()
        self.asked.append(trio.current_time())
        if len(self.asked) <= self.refusals:
            raise self.refusal
        return 0

    async def read(self, _query: object) -> dict[str, bool]:
        return {}


@pytest.mark.parametrize("refusal", [StoreFull(), StoreError("a bad sector")], ids=["full", "bad"])
async def test_on_a_disk_that_refuses_expiry_is_put_off(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, refusal: Exception
) -> None:
    store: Any = FullStore(refusals=2, refusal=refusal)
    begun = trio.current_time()
    with trio.move_on_after(3.5 * expiry.EVERY_S):
        await expiry.keep_expiring(
            lambda: parse("", {"HOME": "/nowhere"}), store, MediaFiles(tmp_path, Seals())
        )
    hours = [round((at - begun) / expiry.EVERY_S) for at in store.asked]
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


NOW_S = 1_800_000_000
HOUR_S = 3600


async def with_sessions(store: Store) -> None:
    """One that keeps what was said, one that forgets it; each with messages that wait, failed, have left."""

    def job(db: apsw.Connection) -> None:
        for name, kept in (("keeps", True), ("forgets", False)):
            settings = StoredSettings(visible=SessionSettings(message_history=kept))
            sessions.insert(db, id=name, name=name, at_ms=1, settings=settings)
            for number, id_ in enumerate(("WAITS", "FAILED", "LEFT")):
                outbox.enqueue(db, name, Content(type="image"), id=id_, chat_id=f"{number}@c.us", at_ms=1)
            outbox.fail(db, name, "FAILED", MessageError(code="PAGE_ERROR", message="no"), 1)
            messages.ack(db, name, "LEFT", "sent", 1)

    await store.write(job)


async def test_files_that_a_crash_left_and_those_of_forgotten_messages_go(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path, Seals())
    aged = {"WAITS": 48, "FAILED": 48, "LEFT": 2, "NEVER": 2, "JUST": 0, "WAITS.part": 2, "JUST.part": 0}
    came = {"old": 25, "new": 23, "old.part": 25, "new.part": 0}
    async with open_store(tmp_path / "wasup.db") as store:
        await with_sessions(store)
        for session in ("keeps", "forgets"):
            for directory, ages in (("media", aged), ("downloads", came)):
                for name, hours in ages.items():
                    file = tmp_path / session / directory / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("what was said")
                    os.utime(file, (NOW_S - hours * HOUR_S, NOW_S - hours * HOUR_S))
        await expiry.drop_files(store, files, NOW_S * 1000)
        left = {
            f"{file.parent.parent.name} {file.name}"
            for directory in ("media", "downloads")
            for file in tmp_path.glob(f"*/{directory}/*")
        }
        waiting = ("WAITS", "FAILED", "JUST", "JUST.part")
        assert left == {f"keeps {name}" for name in (*waiting, "old", "new", "new.part")} | {
            f"forgets {name}" for name in (*waiting, "new", "new.part")
        }


async def test_an_acceptance_that_was_cut_short_keeps_the_file_of_what_is_accepted(tmp_path: Path) -> None:
    """As when the client is gone, or the daemon stops, while the disk is slow."""
    files = MediaFiles(tmp_path, Seals())
    file = TakenFile(data=b"picture", mimetype="image/png", filename="a.png")
    async with open_store(tmp_path / "wasup.db") as store:
        await with_sessions(store)
        service: Any = SimpleNamespace(files=files, store=store)
        committing, go_on = trio.Event(), threading.Event()

        def accept(db: apsw.Connection) -> tuple[Any, bool]:
            trio.from_thread.run_sync(committing.set)
            assert go_on.wait(10)
            return outbox.enqueue(db, "keeps", Content(type="image"), id="NEW", chat_id="9@c.us", at_ms=1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(handler._accept, service, "keeps", "NEW", file, accept)
            await committing.wait()
            nursery.cancel_scope.cancel()
        go_on.set()
        row = await store.write(lambda db: messages.get(db, "keeps", "NEW"))
        async with files.outgoing("keeps", row.id).open() as read:
            assert await read() == b"picture"


async def test_a_file_that_cannot_be_removed_is_told_and_no_more(tmp_path: Path) -> None:
    """It is removed when an acknowledgment has been written, by the store's own task."""
    files = MediaFiles(tmp_path, Seals())
    files.path("shop", "3EB0").mkdir(parents=True)
    with structlog.testing.capture_logs() as lines:
        files.drop("shop", "3EB0")
    assert [(line["event"], line["error"]) for line in lines] == [("file_not_removed", "Is a directory")]


async def test_of_backups_that_a_crash_cut_short_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "state" / "backups"
    directory.mkdir(parents=True)
    halves = ("shop-1.tar.messages", "shop-1.tar.part", ".shop-1.tar.gz.0a1b2c3d.part", "wasup-1.db.part")
    for name in (*halves, "shop-0.tar.gz", "wasup-0.db"):
        (directory / name).write_text("what was said")
    async with daemon_in(tmp_path, monkeypatch):
        assert {file.name for file in directory.iterdir()} == {"shop-0.tar.gz", "wasup-0.db"}

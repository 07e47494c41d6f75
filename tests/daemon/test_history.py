"""wasupctl and a whole daemon: what is exported is read back, what is wiped was backed up before."""

import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon import main
from daemon.config import Config
from daemon.store import open_store
from protocol.client.aio import Client, connect
from protocol.errors import RpcError

from .test_whole import Life, config_in, lives

__all__ = ["lives"]

Done = subprocess.CompletedProcess[str]


class Daemon:
    """A daemon in this process, a client of it, and wasupctl."""

    def __init__(self, config: Config, client: Client, directory: Path) -> None:
        self.call = client.call
        self.state = config.state_dir
        self._socket = str(config.rpc.socket)
        self._directory = directory

    async def ctl(self, *argv: str, code: int = 0) -> Done:
        done = await trio.run_process(
            [sys.executable, "-m", "daemon.cli", "--socket", self._socket, *argv],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=self._directory,
            env={**os.environ, "PYTHONWARNINGS": "error", "LANG": "C.UTF-8"},
        )
        assert done.returncode == code, done.stderr.decode()
        return subprocess.CompletedProcess(done.args, code, done.stdout.decode(), done.stderr.decode())

    async def messages(self, session_id: str) -> list[dict[str, Any]]:
        answer = await self.call("message.list", sessionId=session_id, limit=1000)
        found: list[dict[str, Any]] = answer["messages"]
        return found


@asynccontextmanager
async def daemon_in(directory: Path, more: str = "") -> AsyncIterator[Daemon]:
    from daemon.config import parse

    plain = config_in(directory)
    text = f"""
[daemon]
state_dir = "{plain.state_dir}"
[rpc]
socket = "{plain.rpc.socket}"
[log]
level = "error"
format = "json"
{more}
"""
    config = parse(text, {})
    async with trio.open_nursery() as nursery:
        await nursery.start(main.run, config)
        async with connect(str(config.rpc.socket)) as client:
            yield Daemon(config, client, directory)
            await client.call("daemon.shutdown")


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    Life.alive.clear()
    async with daemon_in(tmp_path) as running:
        yield running


def past(number: int, **fields: Any) -> dict[str, Any]:
    second = f"2026-01-01T00:00:{number % 60:02}.000Z"
    return {
        "id": f"A{number}",
        "key": f"false_49@c.us_A{number}",
        "origin": "contact",
        "chatId": "49@c.us",
        "direction": "in",
        "from": "49@c.us",
        "type": "text",
        "text": f"number {number}",
        "status": "received",
        "timestamp": second,
        "createdAt": second,
        "updatedAt": second,
        **fields,
    }


async def fill(daemon: Daemon, session_id: str, count: int = 450) -> None:
    await daemon.call("session.create", id=session_id, name=f"The {session_id}")
    await daemon.call("message.import", sessionId=session_id, messages=[past(n) for n in range(count)])
    await daemon.call("message.send", sessionId=session_id, to="+49 151 12345678", text="waits")


async def test_an_export_is_read_back(daemon: Daemon, tmp_path: Path) -> None:
    await fill(daemon, "shop")
    before = await daemon.messages("shop")
    done = await daemon.ctl("export", "shop", "--output", "out")
    file = tmp_path / "out" / "shop.jsonl"
    assert done.stdout == "The shop: 451 messages in out/shop.jsonl.\n"
    assert [each.name for each in file.parent.iterdir()] == ["shop.jsonl"]
    assert file.stat().st_mode & 0o777 == 0o600
    header, *lines = map(json.loads, file.read_text().splitlines())
    assert (header["format"], header["version"], header["messages"]) == ("wasup-export", 1, 451)
    assert header["session"] == {"id": "shop", "name": "The shop", "phoneNumber": None}
    assert lines == before[::-1]

    again = json.loads((await daemon.ctl("--json", "import", "out/shop.jsonl")).stdout)
    assert again == {"sessionId": "shop", "created": False, "imported": 0, "duplicates": 451}
    assert await daemon.messages("shop") == before
    await daemon.call("session.delete", sessionId="shop", backup=False)
    done = await daemon.ctl("import", "out/shop.jsonl")
    assert done.stdout == "The shop (created): 451 messages imported.\n"
    assert await daemon.messages("shop") == [{**before[0], "status": "cancelled"}, *before[1:]]
    session = await daemon.call("session.get", sessionId="shop")
    assert (session["messageStats"]["received"], session["messageQueue"]) == (450, 0)
    events = await daemon.call("events.list", sessions=["shop"], types=["message.received"])
    assert events["events"] == []

    await daemon.call("session.create", id="desk", name="Desk")
    await daemon.ctl("import", "out/shop.jsonl", "--session", "Desk")
    assert len(await daemon.messages("desk")) == 451


async def test_files_that_cannot_be_had_are_said(daemon: Daemon, tmp_path: Path) -> None:
    await daemon.call("session.create", id="shop", name="Shop")
    image = {"mimetype": "image/png", "filename": "../../etc/passwd", "bytes": 3}
    await daemon.call("message.import", sessionId="shop", messages=[past(1, type="image", media=image)])
    done = await daemon.ctl("export", "shop")
    assert "1 files were not downloaded: SESSION_NOT_CONNECTED" in done.stderr
    assert json.loads((tmp_path / "shop.jsonl").read_text().splitlines()[1])["mediaFile"] is None
    plain = json.loads((await daemon.ctl("--json", "export", "shop", "--no-media")).stdout)
    assert plain == {"path": "shop.jsonl", "messages": 1}


HEADER = {
    "format": "wasup-export",
    "version": 1,
    "session": {"id": "shop", "name": "Shop", "phoneNumber": None},
    "exportedAt": "2026-01-01T00:00:00.000Z",
    "messages": 2,
}


def text_of(*lines: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: not the beginning"),
        ("not JSON\n", "line 1: not the beginning"),
        ("[" * 100_000, "line 1: not the beginning"),
        (text_of(past(1)), "line 1: not the beginning"),
        (text_of({**HEADER, "version": 2}), "has version 2 of the format"),
        (text_of({**HEADER, "session": {"id": "../../x", "name": "x"}}), "$.session.id"),
        (text_of(HEADER, past(1)), "1 of its 2 messages are there"),
        (text_of(HEADER, past(1), past(2))[:-1], "line 3: cut off"),
        (text_of(HEADER, past(1)) + "{\n", "line 3: $"),
        (text_of(HEADER, past(1), {**past(2), "x": 1}), "line 3: $.x"),
        (text_of(HEADER, past(1), past(2, origin="api", direction="out", status="sent", id="../x")), "$.id"),
        (text_of(HEADER, past(1), past(2, text="x" * 9_000_000)), "line 3: longer than 8.0 MiB"),
        (text_of(HEADER, past(1), past(2, timestamp="soon")), "line 3: $.timestamp"),
    ],
)
async def test_a_hostile_file_is_refused_as_a_whole(
    daemon: Daemon, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    done = await daemon.ctl("import", "in.jsonl", code=1)
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert (await daemon.call("session.list"))["total"] == 0


async def test_a_file_that_is_not_there(daemon: Daemon) -> None:
    done = await daemon.ctl("import", "none.jsonl", code=1)
    assert done.stderr == "wasupctl: none.jsonl cannot be read: No such file or directory.\n"


async def test_a_batch_that_is_refused_is_told_with_what_was_done(daemon: Daemon, tmp_path: Path) -> None:
    late = past(1001, createdAt="9000-01-01T00:00:00.000Z", timestamp="9000-01-01T00:00:00.000Z")
    lines = [{**HEADER, "messages": 1001}, *map(past, range(1000)), late]
    (tmp_path / "in.jsonl").write_text(text_of(*lines))
    done = await daemon.ctl("import", "in.jsonl", code=1)
    assert "1000 messages were imported before this" in done.stderr
    assert "INVALID_PARAMS" in done.stderr
    assert len(await daemon.messages("shop")) == 1000


async def test_a_backup_is_put_back(tmp_path: Path) -> None:
    """As docs/backup.md says: stop the daemon, put the copy in the store's place, start it."""
    Life.alive.clear()
    async with daemon_in(tmp_path) as daemon:
        await fill(daemon, "shop", 10)
        assert (await daemon.call("daemon.health"))["lastBackup"] is None
        copy = json.loads((await daemon.ctl("--json", "backup")).stdout)
        assert copy["bytes"] == Path(copy["path"]).stat().st_size
        before = await daemon.messages("shop")
        last = (await daemon.call("daemon.health"))["lastBackup"]
        assert last is not None
        await daemon.call("session.delete", sessionId="shop", backup=False)
        state = daemon.state
    for name in ("wasup.db", "wasup.db-wal", "wasup.db-shm"):
        (state / name).unlink(missing_ok=True)
    Path(copy["path"]).rename(state / "wasup.db")
    async with daemon_in(tmp_path) as daemon:
        assert await daemon.messages("shop") == before
        health = await daemon.call("daemon.health")
        assert health["store"]["messages"] == 11
        assert health["store"]["oldestMessage"] == "2026-01-01T00:00:00.000Z"
        assert health["store"]["freeBytes"] > 0
    async with daemon_in(tmp_path) as daemon:
        await daemon.ctl("backup")
        last = (await daemon.call("daemon.health"))["lastBackup"]
    async with daemon_in(tmp_path) as daemon:
        assert (await daemon.call("daemon.health"))["lastBackup"] == last


async def test_backups_by_themselves(tmp_path: Path) -> None:
    Life.alive.clear()
    async with daemon_in(tmp_path, "[backup]\ninterval_hours = 24") as daemon:
        with trio.fail_after(10):
            while (await daemon.call("daemon.health"))["lastBackup"] is None:
                pass
        assert [each.name[:17] for each in (daemon.state / "backups").iterdir()] == ["scheduled-000001-"]


async def test_a_large_store_is_checked_while_clients_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Life.alive.clear()
    async with daemon_in(tmp_path) as daemon:
        await fill(daemon, "shop", 10)
        before = await daemon.messages("shop")
        lock = daemon.state / "wasup.db.lock"
    lock.write_bytes(b"in use by process 1\n")
    passed = threading.Event()

    def slow(_path: Path, wanted: Callable[[], bool]) -> None:
        while wanted() and not passed.wait(0.01):
            pass

    monkeypatch.setattr("daemon.store.store.check_pages", slow)
    monkeypatch.setattr("daemon.main.open_store", partial(open_store, background_bytes=0))
    monkeypatch.setattr("daemon.main.RESTORE_S", 0.1)
    async with daemon_in(tmp_path) as daemon, trio.open_nursery() as nursery:
        health = await daemon.call("daemon.health")
        assert health["store"]["checking"]
        assert "STORE_CHECKING" in [problem["code"] for problem in health["problems"]]
        assert await daemon.messages("shop") == before
        sent = trio.Event()

        async def send() -> None:
            await daemon.call("message.send", sessionId="shop", to="+49 151 12345678", text="later")
            sent.set()

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert not sent.is_set()
        passed.set()
        with trio.fail_after(10):
            await sent.wait()
        assert not (await daemon.call("daemon.health"))["store"]["checking"]
        assert len(await daemon.messages("shop")) == len(before) + 1


async def test_cleanup_asks(daemon: Daemon) -> None:
    await fill(daemon, "shop", 3)
    with pytest.raises(RpcError) as refused:
        await daemon.call("daemon.forceCleanup")
    assert refused.value.code == "INVALID_PARAMS"
    done = await daemon.ctl("force-cleanup", code=2)
    assert "give --yes" in done.stderr
    assert len(await daemon.messages("shop")) == 4


async def test_cleanup_backs_up_then_wipes(daemon: Daemon, tmp_path: Path) -> None:
    await fill(daemon, "shop", 3)
    await daemon.call("session.create", id="desk", name="Desk", start=True)
    profile = daemon.state / "sessions" / "shop" / "profile"
    profile.mkdir(parents=True)
    (profile / "login").write_text("secret")
    done = json.loads((await daemon.ctl("--json", "force-cleanup", "--yes")).stdout)
    assert sorted(done["sessions"]) == ["desk", "shop"]
    assert done["messages"] == 4
    assert Life.alive.total() == 0
    assert (await daemon.call("session.list"))["total"] == 0
    assert not (daemon.state / "sessions" / "shop").exists()
    assert Path(done["backup"]).stat().st_size > 0
    (archive,) = [path for path in done["backups"] if "shop" in path]
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert {"session.json", "messages.jsonl", "profile/login"} <= set(names)
        tar.extract("messages.jsonl", tmp_path, filter="data")
    await daemon.ctl("import", "messages.jsonl")
    assert len(await daemon.messages("shop")) == 4


async def test_a_cleanup_that_cannot_back_up_leaves_all(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(daemon, "shop", 3)
    await daemon.call("session.create", id="desk", name="Desk", start=True)

    async def no_room(_service: object, session_id: str) -> Path:
        if session_id == "desk":
            raise RpcError("STORE_FULL")
        path: Path = await archive(_service, session_id)
        return path

    from daemon import backup

    archive: Callable[..., Any] = backup.back_up_session
    monkeypatch.setattr("daemon.backup.back_up_session", no_room)
    with pytest.raises(RpcError) as refused:
        await daemon.call("daemon.forceCleanup", confirm=True)
    assert refused.value.code == "STORE_FULL"
    assert len(await daemon.messages("shop")) == 4
    desk = await daemon.call("session.get", sessionId="desk")
    assert desk["desired"] == "running"
    assert list((daemon.state / "backups").glob("*.tar.gz")) == []

    (daemon.state / "backups").rename(daemon.state / "elsewhere")
    (daemon.state / "backups").write_bytes(b"in the way")
    with pytest.raises(RpcError):
        await daemon.call("daemon.forceCleanup", confirm=True)
    health = await daemon.call("daemon.health")
    assert "BACKUP_FAILED" in [problem["code"] for problem in health["problems"]]
    assert health["status"] == "degraded"
    assert (await daemon.call("session.list"))["total"] == 2

"""The whole daemon with sessions whose enableEncryption is true, and what is on its disk."""

import base64
import json
import os
import sqlite3
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon import config as configuration
from daemon import keyfile, main
from daemon.config import ConfigError
from daemon.resealing import Resealing
from daemon.seals import Key, Seals
from daemon.store import KeyMissing, StoreError
from protocol.client.aio import Client, connect
from protocol.errors import RpcError
from supervisors.launches import Turn
from supervisors.session import Session
from supervisors.whatsapp.news import Edited, PageMessage, Reacted, Voted
from tests.daemon.inprocess import LinkedLife

ADA = "4915110000001@c.us"
FILE = b"%PDF s3cretive bytes" * 5_000
WORDS = (
    b"w0rds-here",
    b"an 3dit-here",
    b"s3cretive",
    b"v0tes-here",
    b"qu3stion",
    b"ch0ice-here",
    b"c4ption-here",
    b"Gr4ce-Hopper",
    b"pl4ce-here",
    "☃☃☃".encode(),
    base64.b64encode(FILE[:30]),
)


class Quiet(LinkedLife):
    """A life without a browser, that is told what its page would say."""

    sessions: dict[str, Session] = {}  # noqa: RUF012  set anew by each test

    def __init__(self, session: Session, find_workplace: object, turn: Turn) -> None:
        super().__init__(session, find_workplace, turn)
        Quiet.sessions[session.id] = session


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_browser(_fleet: object) -> None:
        pass

    Quiet.sessions = {}
    monkeypatch.setattr("supervisors.fleet.Incarnation", Quiet)
    monkeypatch.setattr("daemon.main._look_for_browser", no_browser)


class Running:
    """A daemon of this process, and a client of it."""

    def __init__(self, directory: Path, client: Client) -> None:
        self.call = client.call
        self._socket = directory / "wasup.sock"

    async def ctl(self, *argv: str) -> Any:
        done = await trio.run_process(
            [sys.executable, "-m", "daemon.cli", "--json", "--socket", str(self._socket), *argv],
            capture_stdout=True,
        )
        return json.loads(done.stdout)

    async def encryption(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("daemon.health"))["encryption"]
        return found

    async def resealed(self, *keys: Key) -> None:
        """Wait until everything is as it is wanted, with these keys and no other needed."""
        ids = [key.id.hex() for key in keys]
        with trio.fail_after(30):
            while True:
                found = await self.encryption()
                if (found["pending"], found["keysInUse"], found["clearTextLeft"]) == (0, ids, False):
                    return

    async def shown(self) -> list[Any]:
        """What clients are told of the session: its messages and events, and both files."""
        listed = await self.call("message.list", sessionId="shop", limit=100)
        events = await self.call("events.list", sessions=["shop"], limit=1000)
        told = [event for event in events["events"] if event["type"].startswith("message.")]
        file = await self.call("message.download", sessionId="shop", messageId="false_A2")
        return [listed["messages"], told, file]


@asynccontextmanager
async def running(directory: Path, key_file: Path | None) -> AsyncIterator[Running]:
    async with trio.open_nursery() as nursery:
        await nursery.start(main.run, configured(directory, key_file))
        async with connect(str(directory / "wasup.sock")) as client:
            yield Running(directory, client)
            await client.call("daemon.shutdown")


def configured(directory: Path, key_file: Path | None) -> configuration.Config:
    file = directory / "config.toml"
    file.write_text(
        f"""
        daemon.state_dir = "{directory}/state"
        rpc.socket = "{directory}/wasup.sock"
        log.level = "error"
        log.format = "json"
        """
        + (f'encryption.key_file = "{key_file}"' if key_file else "")
    )
    return configuration.load(file, {})


def on_disk(directory: Path) -> set[bytes]:
    """Which of the words are in any file of the state directory."""
    found = set()
    for path in (directory / "state").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {word for word in WORDS if word in data}
    return found


def told(message_id: str, kind: str = "chat", **more: Any) -> PageMessage:
    fields: dict[str, Any] = {
        "key": f"false_{message_id}",
        "id": message_id,
        "from_me": False,
        "chat_id": ADA,
        "author": ADA,
        "to": None,
        "kind": kind,
        "text": None,
        "mimetype": None,
        "filename": None,
        "bytes": None,
        "quoted_id": None,
        "timestamp": 1,
        "ack": None,
    }
    return PageMessage(**{**fields, **more})


async def talk(daemon: Running, *, sealed: bool) -> None:
    """Everything that can be said, both ways."""
    call = daemon.call
    settings = {"enableEncryption": sealed}
    await call("session.create", id="shop", name="Shop", settings=settings, start=True)
    await call("session.wait", sessionId="shop", status="connected")
    journal = Quiet.sessions["shop"].journal
    journal.received(told("A1", text="w0rds-here"), recovered=False)
    document = {
        "mimetype": "application/pdf",
        "filename": "s3cretive.pdf",
        "bytes": len(FILE),
        "text": "c4ption-here",
    }
    await journal.keep_file("false_A2", FILE)
    journal.received(told("A2", "document", **document), recovered=True)
    journal.received(
        told("A3", "poll_creation", text="qu3stion", options=("ch0ice-here", "no")), recovered=False
    )
    journal.changed(Edited(key="false_A1", text="an 3dit-here of w0rds-here"))
    journal.changed(Voted(key="false_A3", sender=ADA, options=("v0tes-here",)))
    journal.changed(Reacted(key="false_A1", sender=ADA, emoji="☃☃☃"))
    await call("message.send", sessionId="shop", to=ADA, text="w0rds-here", idempotencyKey="once")
    poll = {"question": "qu3stion", "options": ["ch0ice-here", "no"]}
    await call("message.send", sessionId="shop", to=ADA, poll=poll)
    contact = {"name": "Gr4ce-Hopper", "phoneNumber": "+4915110000002"}
    await call("message.send", sessionId="shop", to=ADA, contact=contact)
    place = {"latitude": 1.0, "longitude": 2.0, "name": "pl4ce-here"}
    await call("message.send", sessionId="shop", to=ADA, location=place)
    image = {"data": base64.b64encode(FILE).decode(), "caption": "c4ption-here", "filename": "s3cretive.png"}
    await call("message.send", sessionId="shop", to=ADA, image=image)


async def test_nothing_that_was_said_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    async with running(tmp_path / "plain", None) as daemon:
        await talk(daemon, sealed=False)
        assert on_disk(tmp_path / "plain") >= {*WORDS} - {WORDS[-1]}  # or the search would find nothing
    key = keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=True)
        shown = await daemon.shown()
        text = json.dumps(shown, ensure_ascii=False).encode()
        assert {word for word in WORDS if word not in text} == set()
        await daemon.resealed(key)
        await daemon.call("daemon.backup")
        assert on_disk(tmp_path) == set()
    assert on_disk(tmp_path) == set()
    async with running(tmp_path, tmp_path / "key") as daemon:
        assert await daemon.shown() == shown


async def test_a_session_is_encrypted_later_and_no_longer(tmp_path: Path) -> None:
    key = keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=False)
        shown = await daemon.shown()
        assert await daemon.encryption() == {
            "keys": [key.id.hex()],
            "keysInUse": [],
            "pending": 0,
            "clearTextLeft": False,
        }
        await daemon.call("session.update", sessionId="shop", settings={"enableEncryption": True})
        await daemon.resealed(key)
        assert await daemon.shown() == shown
        assert on_disk(tmp_path) == set()
        await daemon.call("session.update", sessionId="shop", settings={"enableEncryption": None})
        await daemon.resealed()
        assert await daemon.shown() == shown
    async with running(tmp_path, None) as daemon:  # the key is not needed any more
        assert await daemon.shown() == shown


async def test_keys_follow_one_another(tmp_path: Path) -> None:
    """Without a restart; the old key is needed until health says that it is not."""
    path = tmp_path / "key"
    old = keyfile.create(path)
    line = path.read_bytes()
    async with running(tmp_path, path) as daemon:
        await talk(daemon, sealed=True)
        await daemon.resealed(old)
        shown = await daemon.shown()
        path.unlink()
        new = keyfile.create(path)
        with pytest.raises(RpcError, match=old.id.hex()) as refused:
            await daemon.call("daemon.reloadConfig")
        assert refused.value.code == "INVALID_PARAMS"
        assert (await daemon.encryption())["keys"] == [old.id.hex()]
        path.write_bytes(path.read_bytes() + line)
        assert "encryption" in (await daemon.call("daemon.reloadConfig"))["reloaded"]
        await daemon.resealed(new)
        assert (await daemon.encryption())["keys"] == [new.id.hex(), old.id.hex()]
        assert await daemon.shown() == shown
    path.unlink()
    path.touch(0o600)
    path.write_bytes(base64.b64encode(new._secret))
    async with running(tmp_path, path) as daemon:
        assert await daemon.shown() == shown


@pytest.mark.parametrize("given", ["none", "another"])
async def test_a_store_is_not_opened_without_its_key(tmp_path: Path, given: str) -> None:
    key = keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=True)
    keyfile.create(tmp_path / "another")
    before = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
    with pytest.raises(KeyMissing, match=key.id.hex()):
        await main.run(configured(tmp_path, tmp_path / "another" if given == "another" else None))
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="open to other users"):
        await main.run(configured(tmp_path, tmp_path / "key"))
    assert {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()} == before


async def test_encryption_without_a_key_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, None) as daemon:
        for method, params in (("create", {"name": "x"}), ("update", {"sessionId": "shop"})):
            if method == "update":
                await daemon.call("session.create", id="shop", name="Shop")
            with pytest.raises(RpcError) as refused:
                await daemon.call(f"session.{method}", {**params, "settings": {"enableEncryption": True}})
            assert refused.value.code == "INVALID_PARAMS"
            assert refused.value.details["path"] == "$.settings.enableEncryption"
            assert "--new-key" in refused.value.details["action"]


async def test_an_archive_is_encrypted_and_read_back_and_an_export_is_clear(tmp_path: Path) -> None:
    keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=True)
        listed = await daemon.call("message.list", sessionId="shop")
        await daemon.ctl("export", "shop", "--no-media", "--output", str(tmp_path / "out"))
        assert b"qu3stion" in (tmp_path / "out" / "shop.jsonl").read_bytes()
        deleted = await daemon.call("session.delete", sessionId="shop")
        with tarfile.open(deleted["backup"]) as archive:
            archive.extractall(tmp_path / "archive", filter="data")
        archived = tmp_path / "archive" / "messages.jsonl"
        assert not any(word in archived.read_bytes() for word in WORDS)
        answer = await daemon.ctl("import", str(archived))
        assert (answer["created"], answer["imported"]) == (True, len(listed["messages"]))
        session = await daemon.call("session.get", sessionId="shop")
        assert session["settings"]["enableEncryption"] is True
        again = await daemon.call("message.list", sessionId="shop")
        waited = [
            {**each, "status": "cancelled"} if each["status"] == "queued" else each
            for each in listed["messages"]
        ]
        assert again["messages"] == waited
        sealed = base64.b64encode(os.urandom(100)).decode()
        with pytest.raises(RpcError) as refused:
            await daemon.call("message.import", sessionId="shop", sealed=[sealed])
        assert refused.value.details["path"] == "$.sealed[0]"
        assert on_disk(tmp_path) == set()


async def test_a_backup_is_put_back_with_its_key(tmp_path: Path) -> None:
    key = keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=True)
        listed = await daemon.call("message.list", sessionId="shop")
        copy = Path((await daemon.call("daemon.backup"))["path"])
    state = tmp_path / "elsewhere" / "state"
    state.mkdir(parents=True)
    copy.rename(state / "wasup.db")
    with pytest.raises(KeyMissing, match=key.id.hex()):
        await main.run(configured(tmp_path / "elsewhere", None))
    async with running(tmp_path / "elsewhere", tmp_path / "key") as daemon:
        assert await daemon.call("message.list", sessionId="shop") == listed


async def test_what_cannot_be_decrypted_is_not_sent(tmp_path: Path) -> None:
    keyfile.create(tmp_path / "key")
    async with running(tmp_path, tmp_path / "key") as daemon:
        await talk(daemon, sealed=True)
    with closing(sqlite3.connect(tmp_path / "state" / "wasup.db")) as db:
        db.execute("UPDATE messages SET sealed = zeroblob(50) WHERE type = 'text' AND origin = 'api'")
        db.commit()
    async with running(tmp_path, tmp_path / "key") as daemon:
        await daemon.call("session.wait", sessionId="shop", status="connected")
        taken = await Quiet.sessions["shop"].journal.take(10)
        assert taken == []
        (following,) = await Quiet.sessions["shop"].journal.take(10)
        assert following.kind == "poll"
        listed = await daemon.call("message.list", sessionId="shop", status="failed")
        (failed,) = listed["messages"]
        assert failed["details"] == {"unreadable": True}
        assert failed["error"]["message"] == "What it says cannot be decrypted"


async def test_what_stays_unreadable_is_tried_ever_less_often(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Any = None
    resealing = Resealing(nothing, Seals(), nothing)
    tried: list[float] = []

    async def in_vain() -> bool:
        await trio.lowlevel.checkpoint()
        tried.append(trio.current_time() / 60)
        if len(tried) == 2:
            raise StoreError("a bad sector")
        return False

    monkeypatch.setattr(resealing, "_go_through", in_vain)
    begun = trio.current_time() / 60
    resealing.wake()
    with trio.move_on_after(240 * 60):
        await resealing.run()
    assert [round(at - begun) for at in tried] == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    resealing.wake()  # the keys have changed, say
    with trio.move_on_after(90):
        await resealing.run()
    assert len(tried) == 11

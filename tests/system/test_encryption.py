"""Encrypted sessions with a browser: files go out and come in, and a kill changes nothing of it."""

import base64
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from daemon import keyfile
from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import PROGRAM, Caller, Wasupd, until

WORDS = (b"w0rds-here", b"s3cretive", b"an 3dit-here", b"c4ption-here")


def on_disk(directory: Path) -> set[bytes]:
    """Which of the words are in the state directory; Chrome's own profile is not the daemon's to encrypt."""
    found = set()
    for path in (directory / "state").rglob("*"):
        if path.is_file() and "profile" not in path.parts:
            data = path.read_bytes()
            found |= {word for word in WORDS if word in data}
    return found


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    keyfile.create(tmp_path / "key")
    return {"encryption.key_file": str(tmp_path / "key")}


@pytest.mark.chrome
async def test_files_go_both_ways_and_nothing_is_left_in_clear(
    sim: Simulator, wasupd: Wasupd, call: Caller
) -> None:
    shop = sim.phone(SHOP)
    state = wasupd.directory / "state"
    settings = {"enableEncryption": True, "autoDownloadMedia": True}
    await call.create("shop", settings=settings)
    data = b"s3cretive bytes " * 100_000  # several pieces
    document = {"data": base64.b64encode(data).decode(), "filename": "big.pdf", "caption": "c4ption-here"}
    waits = await call("message.send", sessionId="shop", to=ADA, document=document)
    (kept,) = (state / "sessions" / "shop" / "media").iterdir()
    assert kept.name == f"{waits['id']}.sealed"
    assert on_disk(wasupd.directory) == set()
    await call.link("shop", shop)
    sent = await call.send("shop", ADA, "w0rds-here", wait="sent")
    assert shop.media(waits["id"]) == data
    assert list(kept.parent.iterdir()) == []
    await call("message.edit", sessionId="shop", messageId=sent["id"], text="an 3dit-here")
    async with call.client.subscribe(types=["message.received"]) as events:
        shop.receive_media(ADA, "document", data, "application/zip", filename="s3cretive.zip")
        (event,) = await until(events, "message.received")
    downloads = state / "sessions" / "shop" / "downloads"
    with trio.fail_after(30):
        while not downloads.exists() or [path.suffix for path in downloads.iterdir()] != [".sealed"]:
            await call("session.status", sessionId="shop")
    assert on_disk(wasupd.directory) == set()
    await call("session.stop", sessionId="shop")
    key = event["data"]["message"]["key"]
    got = await call("message.download", sessionId="shop", messageId=key)  # from the disk
    assert base64.b64decode(got["data"]) == data


async def test_a_change_of_keys_survives_a_kill(tmp_path: Path, settings: dict[str, object]) -> None:
    """As often as it is killed on the way, it is taken up again; then the old key may go."""
    old = (tmp_path / "key").read_bytes()
    daemon = Wasupd(tmp_path, [], settings, PROGRAM)
    await daemon.start()
    async with daemon.client() as call:
        await call.create("shop", settings={"enableEncryption": True})
        for start in range(0, 3000, 1000):
            batch = [past(number) for number in range(start, start + 1000)]
            await call("message.import", sessionId="shop", messages=batch)
        before = await call("message.list", sessionId="shop", limit=200)
        path = tmp_path / "key"
        path.unlink()
        new = keyfile.create(path)
        path.write_bytes(path.read_bytes() + old)
        await call("daemon.reloadConfig")
    await daemon.end(signal.SIGKILL)
    await daemon.start()
    await daemon.end(signal.SIGKILL)
    await daemon.start()
    async with daemon.client() as call:
        with trio.fail_after(60):
            while (await call("daemon.health"))["encryption"]["keysInUse"] != [new.id.hex()]:
                pass
        assert (await call("daemon.health"))["encryption"]["pending"] == 0
    await daemon.end()
    path.unlink()
    assert "cannot be read: No such file" in await refusal(daemon)
    keyfile.create(path)
    assert f"encrypted with the key {new.id.hex()}" in await refusal(daemon)
    path.unlink()
    path.touch(0o600)
    path.write_bytes(base64.b64encode(new._secret) + b"\n")
    assert on_disk(tmp_path) == set()
    await daemon.start()
    async with daemon.client() as call:
        assert await call("message.list", sessionId="shop", limit=200) == before
    await daemon.end()


async def refusal(daemon: Wasupd) -> str:
    """What a daemon that does not start for want of a key says."""
    done = await trio.run_process(
        [str(PROGRAM), "--config", str(daemon.config)], capture_stderr=True, check=False
    )
    assert done.returncode == 78
    return done.stderr.decode()


async def test_a_key_is_made_once(tmp_path: Path) -> None:
    command = [str(PROGRAM), "--new-key", str(tmp_path / "key")]
    done = await trio.run_process(command, capture_stdout=True)
    (key,) = keyfile.load(tmp_path / "key", {})
    assert key.id.hex() in done.stdout.decode()
    before = (tmp_path / "key").read_bytes()
    again = await trio.run_process(command, capture_stderr=True, check=False)
    assert (again.returncode, again.stderr.decode()) == (
        1,
        f"wasupd: {tmp_path}/key: no key is written there: File exists\n",
    )
    assert (tmp_path / "key").read_bytes() == before


def past(number: int) -> dict[str, Any]:
    return {
        "id": f"A{number}",
        "key": f"false_49@c.us_A{number}",
        "origin": "contact",
        "chatId": "49@c.us",
        "direction": "in",
        "type": "text",
        "text": f"w0rds-here, {number}",
        "status": "received",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }

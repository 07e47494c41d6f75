"""Damaged profiles: a login that was copied comes back without a code, one that was not asks for one."""

import shutil
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisors.chrome import usage
from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


def session_dir(wasupd: Wasupd) -> Path:
    return wasupd.directory / "state" / "sessions" / "shop"


def database(wasupd: Wasupd) -> Path:
    (found,) = (session_dir(wasupd) / "profile" / "Default" / "IndexedDB").glob("*.leveldb")
    return found


def copies(wasupd: Wasupd) -> list[Path]:
    return sorted(path for path in (session_dir(wasupd) / "snapshots").glob("*-*"))


def logged(wasupd: Wasupd, event: str) -> list[dict[str, Any]]:
    return [line for line in wasupd.logged() if line["event"] == event]


def lose_manifest(database: Path) -> None:
    next(database.glob("MANIFEST-*")).unlink()


def overwrite_log(database: Path) -> None:
    log = next(database.glob("*.log"))
    log.write_bytes(b"\xff" * log.stat().st_size)


def empty_everything(database: Path) -> None:
    """As a crash of the machine can leave it."""
    for path in database.parents[2].rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(b"")


def lose_it(database: Path) -> None:
    shutil.rmtree(database)


def lose_profile(database: Path) -> None:
    shutil.rmtree(database.parents[2])


async def alerts(call: Caller) -> list[str]:
    events = (await call("events.list", types=["session.alert"], limit=1000))["events"]
    return [event["data"]["kind"] for event in events]


@pytest.mark.parametrize(
    "damage",
    [lose_manifest, overwrite_log, empty_everything, lose_it, lose_profile],
    ids=lambda d: d.__name__,
)
async def test_a_damaged_login_is_put_back(
    sim: Simulator, wasupd: Wasupd, call: Caller, damage: Callable[[Path], None]
) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    assert len(copies(wasupd)) == 1
    damage(database(wasupd))
    async with call.client.subscribe() as events:
        await call("session.start", sessionId="shop")
        seen = await until(events, "session.connected")
    assert "session.qr" not in [event["type"] for event in seen]
    assert await alerts(call) == ["profile"]
    assert (await call.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"
    assert len(logged(wasupd, "login_restored")) == 1
    incidents = (await call("session.incidents", sessionId="shop"))["incidents"]
    assert [each["kind"] for each in incidents] == ["PROFILE_CORRUPT"]
    assert (session_dir(wasupd) / "profile.broken").is_dir()


@pytest.mark.parametrize("settings", [{"profile.snapshot_interval": 1}], indirect=True, ids=["often"])
async def test_a_running_login_is_copied(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """A copy that is made beside a Chrome that writes is as good as one made after its end."""
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    with trio.fail_after(30):
        while not any(path.name.endswith("-000004") for path in copies(wasupd)):
            await call.send("shop", ADA, "y" * 10_000, wait="sent")
    await wasupd.end(signal.SIGKILL)  # no orderly end, and so no copy after it
    assert len(copies(wasupd)) <= 4  # one may have been on its way out
    for path in copies(wasupd)[:-1]:
        shutil.rmtree(path)
    lose_it(database(wasupd))
    await wasupd.start()
    async with wasupd.client() as again:
        await again.wait("shop", "connected")
        assert (await again.send("shop", ADA, "still here", wait="delivered"))["status"] == "delivered"


@pytest.mark.parametrize(
    "settings", [{"profile.snapshots": 0, "liveness.connect_timeout": 8}], indirect=True, ids=["no copies"]
)
@pytest.mark.parametrize("damage", [lose_manifest, overwrite_log], ids=lambda d: d.__name__)
async def test_without_a_copy_there_is_a_new_code(
    sim: Simulator, wasupd: Wasupd, call: Caller, damage: Callable[[Path], None]
) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    assert copies(wasupd) == []
    damage(database(wasupd))
    await call("session.start", sessionId="shop")
    await call.wait("shop", "qr_generated")
    assert await alerts(call) == ["profile"]
    # what Chrome itself did not mend is kept
    assert (session_dir(wasupd) / "profile.broken").is_dir() is (damage is lose_manifest)
    await sim.phone(SHOP).scan((await call("session.qr", sessionId="shop"))["qrText"])
    await call.wait("shop", "connected")


async def test_a_login_that_ended_is_not_put_back(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """Not after the phone unlinked it while nobody ran, nor after it was cleared; nor are its copies kept."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    await call("session.stop", sessionId="shop")
    shop.unlink()
    assert await call.start("shop") == "qr_generated"
    assert (await call("session.status", sessionId="shop"))["reason"] == "LOGGED_OUT"
    await shop.scan((await call("session.qr", sessionId="shop"))["qrText"])
    await call.wait("shop", "connected")
    await call("session.stop", sessionId="shop")
    assert len(copies(wasupd)) == 1  # of the new one
    await call("session.clearAuth", sessionId="shop")
    assert copies(wasupd) == []
    assert await call.start("shop") == "qr_generated"
    assert await alerts(call) == []


async def test_fresh_logins_at_every_start(sim: Simulator, wasupd: Wasupd) -> None:
    async with wasupd.client() as call:
        for name in ("shop", "desk"):
            await call.create(name)
        await call.link("shop", sim.phone(SHOP))
        await call.send("shop", ADA, "before", wait="delivered")
    assert await wasupd.end() == 0
    wasupd.config.write_text(wasupd.config.read_text() + '\n[startup]\nmode = "fresh"\n')
    for _ in range(2):
        await wasupd.start()
        async with wasupd.client() as call:
            await call.wait("shop", "qr_generated")
            session = await call("session.get", sessionId="shop")
            assert (session["phoneNumber"], session["desired"]) == (None, "running")
            assert (await call("session.status", sessionId="desk"))["status"] == "inactive"
            told = (await call("message.list", sessionId="shop"))["messages"]
            assert "before" in [message["text"] for message in told]
            assert not copies(wasupd)
        # one archive, of the one login that there was
        (archive,) = (wasupd.directory / "state" / "backups").iterdir()
        assert await wasupd.end() == 0
    with tarfile.open(archive) as backup:
        names = backup.getnames()
    assert any(name.startswith("profile/Default/IndexedDB/") for name in names)


async def test_what_a_session_takes_of_the_disk(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    await call.create("desk")
    none = {"profileBytes": 0, "cacheBytes": 0, "mediaBytes": 0}
    assert (await call("session.get", sessionId="desk"))["disk"] == none
    await call("session.delete", sessionId="desk", backup=False)
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    (session_dir(wasupd) / "downloads").mkdir()
    (session_dir(wasupd) / "downloads" / "x").write_bytes(b"x" * 1000)
    disk = usage.disk_use(session_dir(wasupd))
    assert disk.cache > disk.profile > 0
    told = {"profileBytes": disk.profile, "cacheBytes": disk.cache, "mediaBytes": 1000}
    assert (await call("session.get", sessionId="shop"))["disk"] == told
    (session_dir(wasupd) / "downloads" / "x").unlink()
    assert (await call("session.get", sessionId="shop"))["disk"] == told  # a minute old at most
    (session,) = (await call("session.list"))["sessions"]
    assert session["disk"] is None  # a list is not kept waiting for it


@pytest.mark.parametrize("settings", [{"profile.cache_limit": 2**20}], indirect=True, ids=["1 MiB"])
async def test_caches_are_kept_small(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    await call("session.stop", sessionId="shop")
    cache = session_dir(wasupd) / "profile" / "Default" / "Cache"
    (cache / "more").write_bytes(b"x" * 2**20)
    assert await call.start("shop") == "connected"
    assert not (cache / "more").exists()
    assert len(logged(wasupd, "caches_pruned")) == 1

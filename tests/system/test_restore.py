"""Backups put back on another machine, as docs/backup.md and docs/operations.md say."""

import shutil
from pathlib import Path

import pytest
import trio

from tests.simulator import Simulator
from tests.system.conftest import ADA
from tests.system.test_page_versions import NEW, OLD, kept, linked, version
from tests.system.wasupd import Caller, Wasupd

pytestmark = pytest.mark.chrome


def put_back(old: Path, state: Path, copy: str, what: str) -> None:
    """Fill an empty state directory from what was taken of another."""
    if what == "everything":
        shutil.copytree(old, state, symlinks=True)
        return
    state.mkdir(mode=0o700)
    shutil.copy(old / "backups" / copy, state / "wasup.db")
    if what == "store and pages":
        shutil.copytree(old / "pages", state / "pages")


@pytest.mark.parametrize("what", ["store", "store and pages", "everything"])
async def test_a_backup_on_another_machine(sim: Simulator, wasupd: Wasupd, call: Caller, what: str) -> None:
    """Messages come back with the store, the page that sessions are to have with `pages/`."""
    shop = await linked(sim, call)
    await call("page.update", sessionId="shop")
    await call.send("shop", ADA, "before", wait="delivered")
    copy = Path((await call("daemon.backup"))["path"]).name
    await wasupd.end()
    sim.publish(NEW)
    state = wasupd.directory / "state"
    put_back(state.rename(wasupd.directory / "of-another-machine"), state, copy, what)
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as anew:
        nursery.start_soon(wasupd.drain)
        if what != "everything":  # which has the login
            await anew.wait("shop", "qr_generated")
            await shop.scan((await anew("session.qr", sessionId="shop"))["qrText"])
        await anew.wait("shop", "connected")
        found = (await anew("page.list"))["inUse"], await kept(anew), await version(anew)
        assert found == (("latest", {}, NEW) if what == "store" else (OLD, {OLD: True}, OLD))
        assert [m["text"] for m in (await anew("message.list", sessionId="shop"))["messages"]] == ["before"]
        nursery.cancel_scope.cancel()

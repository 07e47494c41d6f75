"""An export with its files, from a session that is connected."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome


async def ctl(wasupd: Wasupd, *argv: str) -> Any:
    done = await trio.run_process(
        [sys.executable, "-m", "daemon.cli", "--json", "--socket", str(wasupd.socket), *argv],
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
    )
    return json.loads(done.stdout)


async def test_an_export_has_the_files_and_is_read_back(
    sim: Simulator, wasupd: Wasupd, call: Caller, tmp_path: Path
) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    data = os.urandom(300_000)
    async with call.client.subscribe(types=["message.received"]) as events:
        shop.receive_media(ADA, "document", data, "application/zip", filename="all.zip", caption="here")
        await until(events, "message.received")
    await call.send("shop", ADA, "thanks", wait="sent")
    out = tmp_path / "out"
    result = await ctl(wasupd, "export", "shop", "-o", str(out))
    assert result["messages"] == 2
    assert result["media"] == {"saved": 1, "skipped": 0}
    lines = [json.loads(line) for line in (out / "shop.jsonl").read_text().splitlines()[1:]]
    (file,) = [out / line["mediaFile"] for line in lines if line.get("mediaFile")]
    assert (file.read_bytes(), file.suffix) == (data, ".zip")
    before = [{key: line[key] for key in line if key != "mediaFile"} for line in reversed(lines)]

    await call("session.delete", sessionId="shop")
    result = await ctl(wasupd, "import", str(out / "shop.jsonl"))
    assert (result["created"], result["imported"]) == (True, 2)
    assert (await call("message.list", sessionId="shop"))["messages"] == before

"""wasupctl, as typed, on a real daemon with a real Chrome."""

import json
import sys
from pathlib import Path

import pytest
import trio

from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd

pytestmark = pytest.mark.chrome


async def test_a_person_at_the_terminal(sim: Simulator, wasupd: Wasupd, call: Caller, tmp_path: Path) -> None:
    """One session, and what one does with it; every command says what came of it."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    picture = tmp_path / "a.pdf"
    picture.write_bytes(b"%PDF-1.4 paper")
    people = tmp_path / "people.csv"
    people.write_text(f"to,name\n{ADA},Ada\n{GRACE},Grace\n")

    async def typed(*argv: str, code: int = 0) -> str:
        done = await trio.run_process(
            [sys.executable, "-m", "daemon.cli", "--socket", str(wasupd.socket), *argv],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert done.returncode == code, done.stderr.decode()
        return done.stdout.decode()

    sent = (await typed("send", "shop", ADA, "Look", "--file", str(picture), "--wait", "sent")).split()
    assert sent[1] in ("sent", "delivered")
    assert "a.pdf" in await typed("messages", "shop")
    assert f"Id: {sent[0]}" in await typed("message", "get", "shop", sent[0])
    copy = tmp_path / "copy.pdf"
    await typed("message", "download", "shop", sent[0], str(copy))
    assert copy.read_bytes() == picture.read_bytes()
    await typed(
        "send", "shop", ADA, "--poll", "When?", "--option", "now", "--option", "later", "--wait", "sent"
    )
    await typed("send", "shop", ADA, "--location", "52.5,13.4", "Here", "--wait", "sent")
    await typed("message", "react", "shop", sent[0], "👍")

    assert await typed("send-many", "shop", str(people), "--text", "Dear {name}") == "2 accepted.\n"
    assert await typed("send-many", "shop", str(people), "--text", "Dear {name}") == "2 accepted.\n"
    texts = [m["text"] for m in json.loads(await typed("messages", "shop", "--json"))["messages"]]
    assert sorted(text for text in texts if text and text.startswith("Dear")) == ["Dear Ada", "Dear Grace"]

    chats = await typed("chat", "list", "shop")
    assert "4915110000001@c.us" in chats
    assert "4915110000001@c.us" in await typed("number", "check", "shop", ADA)
    await typed("chat", "archive", "shop", ADA)
    assert "group.create" in await typed("whatsapp", "functions", "shop", "group.*")
    assert "sent" in await typed("stats", "shop")
    assert "session.connected" in await typed("events", "shop", "--since", "1h", "--type", "session.*")
    assert "connected" in await typed("wait", "shop")
    assert json.loads(await typed("incidents", "shop", "--json")) == {"incidents": []}
    assert "Status" in await typed("session", "status", "shop")
    assert await typed("discover") != ""
    assert "wasup" in await typed("metrics")
    done = await trio.run_process(
        [
            sys.executable,
            "-m",
            "daemon.cli",
            "__complete",
            "--",
            "--socket",
            str(wasupd.socket),
            "show",
            "sh",
        ],
        capture_stdout=True,
    )
    assert done.stdout.startswith(b"shop\t")

"""A daemon that is killed: what was acknowledged is there, and every state has its event."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from daemon.store import messages, open_store, outbox, sessions
from daemon.store.messages import Content

ROOT = Path(__file__).parents[3]

CHILD = """
import pathlib, sys, trio
from daemon.store import open_store, messages, outbox, sessions
from daemon.store.messages import Content

async def produce(store, name):
    number = 0
    while True:
        text = f"{name}-{number}"
        await store.write(lambda db: outbox.enqueue(
            db, "one", Content(text=text), id=text, chat_id=f"{name}@c.us", at_ms=number))
        if number % 3 == 0:
            await store.record(lambda db: messages.ack(db, "one", text, "sent", number)).wait()
        sys.stdout.write(text + "\\n")
        sys.stdout.flush()
        number += 1

async def main(path):
    async with open_store(path) as store:
        await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1))
        async with trio.open_nursery() as nursery:
            for name in range(16):
                nursery.start_soon(produce, store, f"{name}")

trio.run(main, pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_acknowledged_survives_sigkill(path: Path, seed: int) -> None:
    until = random.Random(seed).randint(1, 1500)  # noqa: S311  no secret
    acknowledged: set[str] = set()
    child = await trio.lowlevel.open_process(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    assert child.stdout is not None
    with trio.fail_after(30):
        rest = b""
        async with child.stdout:
            async for chunk in child.stdout:
                *lines, rest = (rest + chunk).split(b"\n")
                acknowledged.update(line.decode() for line in lines if b"-" in line and b" " not in line)
                if len(acknowledged) >= until and child.returncode is None:
                    child.send_signal(signal.SIGKILL)
        await child.wait()
    assert child.returncode == -signal.SIGKILL

    async with open_store(path) as store:
        rows, _ = await store.read(lambda db: messages.list_(db, "one", limit=1_000_000))
        assert acknowledged - {each.text for each in rows} == set()
        assert len(acknowledged) >= until
        page = await store.log.list(limit=1_000_000)
        assert [each.seq for each in page.events] == list(range(1, page.latest + 1))
        told: dict[str, str] = {}
        for each in page.events[1:]:
            message = json.loads(bytes(each.record.data))["message"]
            told[message["id"]] = message["status"]
        assert told == {each.id: each.status for each in rows}
        counted = await store.read(lambda db: sessions.get(db, "one"))
        assert counted.sent == sum(each.status == "sent" for each in rows)
        assert counted.queued == sum(each.status == "queued" for each in rows)
        await store.write(
            lambda db: outbox.enqueue(db, "one", Content(text="on"), id="on", chat_id="1@c.us", at_ms=1)
        )

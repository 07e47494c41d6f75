"""The power is cut: at every write, and with what was not synced lost, torn or out of order.

What opens then is whole, has all that was acknowledged, and every state has its event.
"""

from __future__ import annotations

import json
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.store import Store, messages, open_store, outbox, sessions, webhooks
from daemon.store.events import read_page
from daemon.store.messages import Content, Observed
from daemon.store.webhooks import Hook, LaneRow, State
from tests.daemon.store.disk import Disk, Image, Step, Sync, Told, recording

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

    from protocol.models import MessageStatus

S = "one"
CHATS = 3
_ACKS: tuple[MessageStatus, ...] = ("sent", "delivered")
REACHED = ("queued", "sending", "sent", "delivered")


async def work(path: Path, steps: list[Step], rounds: int) -> None:
    """What the daemon does all day, in several tasks: the writer gathers what it can."""
    hook = Hook(id="hook", source="api", session_id=None, url="https://example.org/", created_at=1)

    async def exchange(store: Store, name: str, number: int) -> None:
        """One message goes out, and comes to be delivered; another comes in meanwhile."""
        out, came, chat_id = f"{name}-{number}", f"in-{name}-{number}", f"{name}@c.us"
        content = Content(text=out * 30)
        observed = Observed(
            id=came,
            key=came,
            chat_id=chat_id,
            sender=None,
            recipient=None,
            timestamp=number,
            content=Content(text="hello"),
        )
        await store.write(lambda db: outbox.enqueue(db, S, content, id=out, chat_id=chat_id, at_ms=number))
        steps.append(Told(("message", out, "queued")))
        received = store.record(lambda db: messages.received(db, S, observed, number))
        taken = await store.write(lambda db: outbox.take(db, S, number))
        steps.extend(Told(("message", row.id, "sending")) for row in taken)
        for status in _ACKS:
            await store.record(
                partial(messages.ack, session_id=S, message_id=out, status=status, at_ms=number)
            ).wait()
            steps.append(Told(("message", out, status)))
        await received.wait()
        steps.append(Told(("message", came, "received")))

    async def chat(store: Store, name: str) -> None:
        for number in range(rounds):
            await exchange(store, name, number)

    async def deliver(store: Store) -> None:
        for number in range(1, rounds * 4):
            state = State(cursor=number, lanes=(LaneRow(session=S, cursor=number),))
            await store.record(
                partial(webhooks.save, hook_id=hook.id, state=state, done=(), given_up=())
            ).wait()
            steps.append(Told(("hook", hook.id, str(number))))
            await store.read(partial(read_page, after=number, limit=10, types=None, sessions=None))

    async with open_store(path) as store:
        # The log goes into the file after a few pages, not after a thousand.
        await store.write(lambda db: db.wal_autocheckpoint(24))
        await store.write(lambda db: sessions.insert(db, id=S, name="One", at_ms=1))
        steps.append(Told(("session", S, "")))
        await store.write(lambda db: webhooks.insert(db, hook))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deliver, store)
            for number in range(CHATS):
                nursery.start_soon(chat, store, f"{number}")


async def check(path: Path, image: Image, told: dict[tuple[str, str], str]) -> None:
    """Start a daemon's store on what is left of the disk."""
    for each in path.parent.iterdir():
        each.unlink()
    path.with_name("store.db.lock").write_text("in use by process 1\n")
    for name, content in image.items():
        path.with_name(name).write_bytes(content)
    async with open_store(path, readers=1) as store:
        await store.read(lambda db: whole(db, told))
        await store.write(lambda db: outbox.queue_length(db, S))


def whole(db: apsw.Connection, told: dict[tuple[str, str], str]) -> None:
    assert db.pragma("integrity_check") == "ok"
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    status = dict(db.execute("SELECT id, status FROM messages"))
    cursors = dict(db.execute("SELECT id, cursor FROM webhooks"))
    for (kind, name), value in told.items():
        match kind:
            case "session":
                sessions.get(db, name)
            case "hook":
                assert cursors[name] >= int(value)
            case _ if value == "received":
                assert status[name] == "received"
            case _:
                assert REACHED.index(status[name]) >= REACHED.index(value)
    page = read_page(db, 0, 100_000, None, None)
    assert [each.seq for each in page.events] == list(range(1, page.latest + 1))
    last: dict[str, str] = {}
    for each in page.events:
        if each.record.type.startswith("message."):
            message = json.loads(bytes(each.record.data))["message"]
            last[message["id"]] = message["status"]
    # `sending` has no event of its own.
    assert last == {name: "queued" if each == "sending" else each for name, each in status.items()}
    if status:
        row = sessions.get(db, S)
        assert row.sent == sum(each in ("sent", "delivered") for each in status.values())
        assert row.received == sum(each == "received" for each in status.values())


async def survive(path: Path, steps: list[Step], every: int, dice: random.Random) -> int:
    """Cut the power at every step, or at one of so many by chance; return how many cuts that were."""
    disk, told = Disk(), dict[tuple[str, str], str]()
    cuts = 0
    for number, step in enumerate(steps):
        disk.apply(step)
        if isinstance(step, Told):
            told[step.what[0], step.what[1]] = step.what[2]
        elif dice.randrange(every) == 0:
            images = [("cut", disk.after_cut(dice))]
            if not isinstance(step, Sync):  # else it is as before
                images.append(("killed", disk.seen))
            for name, image in images:
                try:
                    await check(path, image, told)
                except BaseException as error:
                    error.add_note(f"{name} after step {number} of {len(steps)}")
                    raise
                cuts += 1
    return cuts


@pytest.mark.parametrize(("rounds", "every"), [(1, 1), (20, 30)])
async def test_whenever_the_power_is_cut(path: Path, rounds: int, every: int) -> None:
    """Every step of a short run, from the first write to an empty disk on; some of a longer one."""
    with recording(path) as steps:
        await work(path, steps, rounds)
    syncs = {each.file for each in steps if isinstance(each, Sync)}
    assert {"store.db", "store.db-wal"} <= syncs
    cuts = await survive(path, steps, every, random.Random(7))  # noqa: S311  for tests
    print(f"{cuts} cuts in {len(steps)} steps")
    assert cuts > 80

"""Webhooks of a real daemon that is killed, to a receiver that fails half the time and goes away."""

import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from standardwebhooks import Webhook

from tests.daemon.webhooks.receiver import Answer, Receiver, Request, certificate
from tests.simulator import Simulator
from tests.system.conftest import ADA, SHOP
from tests.system.wasupd import Caller, Wasupd

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  the specification's example
SESSIONS = ("shop", "desk", "store")


@pytest.fixture
async def killable(tmp_path: Path) -> AsyncIterator[Wasupd]:
    """A daemon without a browser, not yet started."""
    daemon = Wasupd(tmp_path, [], {})
    try:
        yield daemon
    finally:
        with trio.CancelScope(shield=True):
            if daemon.process is not None:
                daemon.process.kill()
                await daemon.process.wait()


@asynccontextmanager
async def life(daemon: Wasupd) -> AsyncIterator[Caller]:
    """Start the daemon; at the end it is killed."""
    async with trio.open_nursery() as nursery:
        await daemon.start()
        nursery.start_soon(daemon.drain)
        async with daemon.client() as call:
            yield call
            await daemon.end(signal.SIGKILL)
        nursery.cancel_scope.cancel()


async def test_nothing_is_lost_whoever_is_killed(
    killable: Wasupd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten SIGKILLs and a receiver that comes and goes: each event at least once, in order per session."""
    dice = random.Random(1)  # noqa: S311  for tests
    taken: list[Request] = []
    failing = 0.5

    def answer(request: Request) -> Answer:
        if dice.random() < failing:
            return Answer(500)
        taken.append(request)
        return Answer()

    receiver = Receiver(answer)
    server, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with receiver.serve(server) as url, life(killable) as call:
        for session_id in SESSIONS:
            await call.create(session_id)
        hook = await call("webhook.create", url=url, secret=SECRET)
        await _rename(call, dice)
    for number in range(8):
        if number % 3 == 1:
            async with life(killable) as call:
                await _rename(call, dice)
        else:
            async with receiver.serve(server), life(killable) as call:
                await _rename(call, dice)
                await receiver.until(lambda: receiver.requests)

    failing = 0
    async with receiver.serve(server), life(killable) as call:
        await call("webhook.replay", webhookId=hook["id"])  # at once, not when the pauses are over
        events = (await call("events.list", after=hook["cursor"], limit=1000))["events"]
        wanted = {event["seq"] for event in events}
        await receiver.until(lambda: wanted <= {request.event["seq"] for request in taken})
    told: dict[str | None, list[int]] = {session: [] for session in (*SESSIONS, None)}
    for request in taken:
        event = Webhook(SECRET).verify(request.body, request.headers)
        assert event in events
        assert request.headers["webhook-id"].startswith(f"evt_{event['seq']}_")
        told[event["sessionId"]].append(event["seq"])
    for session, seqs in told.items():
        # Repeats aside, in the order of the log.
        assert list(dict.fromkeys(seqs)) == [e["seq"] for e in events if e["sessionId"] == session]
    assert SECRET not in killable.log.read_text()
    assert [line for line in killable.logged() if line["level"] in ("error", "critical")] == []


@pytest.mark.chrome
async def test_what_is_said_is_told(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """A message that comes and one that goes, to the webhook of the session's settings."""
    shop = sim.phone(SHOP)
    receiver = Receiver()
    async with receiver.serve() as url:
        wanted = ["message.received", "message.delivered"]
        settings = {"webhookUrl": url, "webhookEvents": wanted, "webhookSecret": SECRET}
        await call.create("shop", settings=settings)
        await call.link("shop", shop)
        shop.receive(ADA, "Hello shop")
        await receiver.until(lambda: receiver.requests)
        await call.send("shop", ADA, "Hello Ada", wait="delivered")
        await receiver.until(lambda: len(receiver.requests) == 2)
        logged = (await call("events.list", sessions=["shop"], types=wanted, limit=1000))["events"]
    told = [Webhook(SECRET).verify(request.body, request.headers) for request in receiver.requests]
    assert told == logged
    assert [event["data"]["message"]["text"] for event in told] == ["Hello shop", "Hello Ada"]
    text = wasupd.log.read_text()
    assert not any(secret in text for secret in (SECRET, "Hello shop", url))


async def _rename(call: Caller, dice: random.Random) -> None:
    for number in range(20):
        await call("session.update", sessionId=dice.choice(SESSIONS), name=f"name {number}")

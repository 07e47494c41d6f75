"""One story in which every method is called: what the examples of docs/api.md and docs/events.md show."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from protocol.reference import Example
from tests.simulator import Config, Simulator, serve
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd, until

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
        "789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
    )
).decode()
LONG = 200
MANY, SOME = 4, 2


@attrs.frozen
class Recording:
    """Every request with its answer, in order; one event of each type that came."""

    examples: list[Example]
    events: dict[str, Any]


async def record(directory: Path) -> Recording:
    """Play the story on a daemon and a simulator of its own; `directory` is left out of what is recorded."""
    recording = Recording([], {})
    async with serve(Config()) as sim, trio.open_nursery() as nursery:
        daemon = Wasupd(directory, sim.chrome_args, {})
        try:
            await daemon.start()
            nursery.start_soon(daemon.drain)
            async with daemon.client() as call:
                await _Story(call, sim, recording, directory).play()
            assert daemon.process is not None
            with trio.fail_after(30):
                assert await daemon.process.wait() == 0  # the last request was daemon.shutdown
        finally:
            with trio.CancelScope(shield=True):
                if daemon.process is not None:
                    daemon.process.kill()
                    await daemon.process.wait()
            nursery.cancel_scope.cancel()
    return recording


class _Story:
    def __init__(self, call: Caller, sim: Simulator, recording: Recording, directory: Path) -> None:
        self.call = call
        self.sim = sim
        self.recording = recording
        self.directory = directory
        self.phone = sim.phone(SHOP)
        self.phone.add_group("Team", [ADA, GRACE])

    async def ask(self, method: str, **params: object) -> Any:
        result = await self.call(method, **params)
        if method == "rpc.discover":
            shown = {key: inner if isinstance(inner, str) else "…" for key, inner in result.items()}
        else:
            shown = self.tidy(result)
        example = Example(method=method, params=self.tidy(params), result=shown)
        self.recording.examples.append(example)
        return result

    async def shop(self, method: str, **params: object) -> Any:
        return await self.ask(method, sessionId="shop", **params)

    def tidy(self, value: Any) -> Any:
        """The value with long texts and lists cut, and without this machine's paths."""
        match value:
            case str() if len(value) > LONG:
                return value[:60] + "…"
            case str():
                return re.sub(rf"{re.escape(str(self.directory))}(/state)?", "/var/lib/wasup", value)
            case dict():
                return {key: self.tidy(inner) for key, inner in value.items()}
            case list() if len(value) > MANY:
                return [*(self.tidy(inner) for inner in value[:SOME]), "…"]
            case list():
                return [self.tidy(inner) for inner in value]
            case _:
                return value

    async def play(self) -> None:
        async with self.call.client.subscribe(after=0) as events:
            await self.beginning(events)
            await self.talk(events)
            await self.lists()
            await self.pages(events)
            await self.webhooks()
            await self.endings(events)

    @asynccontextmanager
    async def told(self, events: Any, *types: str) -> AsyncIterator[None]:
        """Return when these events have come since the last time; one of each type is kept."""
        yield
        for event in await until(events, *types):
            self.recording.events.setdefault(event["type"], self.tidy(event))

    async def beginning(self, events: Any) -> None:
        async with self.told(events, "session.connected"):
            await self.ask("session.create", name="The shop", id="shop", settings={"tags": ["sales"]})
            await self.shop("session.start", wait=True)
            code = await self.shop("session.qr")
            pairing = await self.shop("session.pair", phoneNumber=SHOP)
            assert pairing["pairingCode"]
            await self.phone.scan_image(code["qrCode"])
            await self.shop("session.wait", status="connected")
        await self.shop("session.status")
        await self.shop("session.get")
        await self.ask("session.list", status="connected")
        await self.shop("session.update", settings={"alertSentPerHour": 500})

    async def talk(self, events: Any) -> None:
        async with self.told(events, "message.delivered"):
            sent = await self.shop(
                "message.send", to=ADA, text="It is ready.", idempotencyKey="order-17", wait="delivered"
            )
        one = {"messageId": sent["id"]}
        await self.shop("message.get", **one)
        await self.shop("message.edit", **one, text="It is ready for you.")
        await self.shop("message.react", **one, emoji="👍")
        await self.shop("message.forward", **one, to=GRACE)
        async with self.told(events, "message.received", "message.reaction"):
            entry = self.phone.receive(ADA, "Thank you!")
            self.phone.react(ADA, entry.id, "🎉")
        listed = await self.shop("message.list", chatId=ADA, limit=2)
        (received,) = [m for m in listed["messages"] if m["direction"] == "in"]
        await self.shop("message.markRead", messageId=received["key"])
        picture = await self.shop(
            "message.send", to=GRACE, image={"data": PIXEL, "mimetype": "image/png"}, wait="sent"
        )
        await self.shop("message.download", messageId=picture["id"])
        await self.shop("message.delete", messageId=picture["id"])

    async def lists(self) -> None:
        await self.shop("chat.list", limit=2)
        await self.shop("contact.list", limit=2)
        await self.shop("group.list")
        await self.shop("number.check", phoneNumber=ADA)
        await self.shop("whatsapp.functions")
        await self.shop("whatsapp.call", function="conn.getMyUserId")
        await self.shop("session.stats", days=7)
        await self.shop("session.incidents", limit=2)
        await self.shop("session.screenshot")
        subscription = await self.ask("events.subscribe", types=["message.received"], sessions=["shop"])
        await self.ask("events.unsubscribe", subscription=subscription["subscription"])
        await self.ask("events.list", types=["session.connected"], limit=1)
        for method in ("health", "metrics", "whoami", "reloadConfig", "backup"):
            await self.ask(f"daemon.{method}")
        await self.ask("rpc.discover")

    async def pages(self, events: Any) -> None:
        async with self.told(events, "session.connected", "session.connected"):
            await self.shop("page.save")
            updated = await self.shop("page.update")
        await self.ask("page.list")
        await self.ask("page.use", version="latest")
        await self.ask("page.remove", version=updated["version"])

    async def webhooks(self) -> None:
        hook = await self.ask(
            "webhook.create",
            url="http://127.0.0.1:9/orders",
            sessionId="shop",
            events=["message.received"],
            secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # noqa: S106  # the specification's own example
        )
        await self.ask("webhook.list")
        await self.ask("webhook.test", webhookId=hook["id"])
        await self.ask("webhook.replay", webhookId=hook["id"])
        await self.ask("webhook.delete", webhookId=hook["id"])

    async def endings(self, events: Any) -> None:
        async with self.told(events, "session.connected", "session.connected"):
            await self.shop("session.reload", wait=True)
            await self.shop("session.restart", wait=True)
        await self.shop("session.logout")
        await self.shop("session.clearAuth")
        await self.shop("session.stop", wait=True)
        await self.shop("session.log", limit=1)
        async with self.told(events, "message.cancelled"):
            late = await self.shop("message.send", to=ADA, text="See you tomorrow.")
            await self.shop("message.cancel", messageId=late["id"])
        await self.shop("message.retry", messageId=late["id"])
        await self.ask("session.terminateInactive")
        await self.ask("session.terminateAll")
        await self.shop("session.delete")
        past = {"id": "3EB0A1B2C3D4E5F60718", "chatId": "4915110000001@c.us", "text": "Until tomorrow."}
        await self.ask("session.create", name="Archive", id="archive")
        await self.ask("message.import", sessionId="archive", messages=[past_message(past)])
        await self.ask("daemon.forceCleanup", confirm=True)
        await self.ask("daemon.shutdown")


def past_message(given: dict[str, str]) -> dict[str, object]:
    """A message as exports have it."""
    time = "2026-11-20T10:00:00.000Z"
    return {
        **given,
        "key": f"false_{given['chatId']}_{given['id']}",
        "direction": "in",
        "origin": "contact",
        "from": given["chatId"],
        "to": None,
        "type": "text",
        "status": "received",
        "timestamp": time,
        "createdAt": time,
        "updatedAt": time,
    }

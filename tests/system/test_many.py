"""Many sessions at once: each its own phone, its own messages, in order, once."""

import base64
import random

import pytest
import trio

from tests.simulator import Phone, Simulator
from tests.system.conftest import ADA, GRACE
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

SESSIONS = 10
MESSAGES = 500


def phone_of(sim: Simulator, number: int) -> Phone:
    return sim.phone(f"+4917000000{number:02}")


def content(number: int, dice: random.Random) -> dict[str, object]:
    """Every kind in turn, texts most of all; each tells its number."""
    if number % 10 == 3:
        data = base64.b64encode(dice.randbytes(20_000)).decode()
        return {"document": {"data": data, "filename": f"{number}.bin", "caption": f"{number}"}}
    if number % 10 == 5:
        return {"location": {"latitude": 52.5, "longitude": 13.4, "name": f"{number}"}}
    if number % 10 == 7:
        return {"poll": {"question": f"{number}", "options": ["yes", "no"]}}
    return {"text": f"{number}"}


async def test_ten_sessions_five_hundred_messages(sim: Simulator, wasupd: Wasupd, call: Caller) -> None:
    """Each once, at the right account, in order per chat, files byte for byte."""
    dice = random.Random(1)  # noqa: S311  for a test
    names = [f"s{number}" for number in range(SESSIONS)]
    phones = {name: phone_of(sim, number) for number, name in enumerate(names)}

    async def link(name: str) -> None:
        """Half of them by the picture, half by a code that is typed on the phone."""
        async with wasupd.client() as own:
            await own.create(name)
            if names.index(name) % 2:
                await own.link(name, phones[name])
                return
            assert await own.start(name) == "qr_generated"
            pairing = await own("session.pair", sessionId=name, phoneNumber=phones[name].number)
            await phones[name].enter_code(pairing["pairingCode"])
            await own.wait(name, "connected")

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(link, name)

    wanted: dict[tuple[str, str], list[dict[str, object]]] = {}
    for number in range(MESSAGES):
        key = (names[number % SESSIONS], (ADA, GRACE)[number // SESSIONS % 2])
        wanted.setdefault(key, []).append(content(number, dice))
    accepted: dict[tuple[str, str], list[str]] = {key: [] for key in wanted}

    async def send_all(name: str, to: str) -> None:
        async with wasupd.client() as own:
            for one in wanted[name, to]:
                sent = await own("message.send", sessionId=name, to=to, **one)
                accepted[name, to].append(sent["id"])

    async with call.client.subscribe(types=["message.sent"]) as events:
        async with trio.open_nursery() as nursery:
            for name, to in wanted:
                nursery.start_soon(send_all, name, to)
        await until(events, *["message.sent"] * MESSAGES)

    for (name, to), ids in accepted.items():
        chat = f"{to.removeprefix('+')}@c.us"
        submitted = [s for s in phones[name].submissions if s.chat == chat]
        assert [s.id for s in submitted] == ids
        assert not any(s.duplicate for s in submitted)
        for one, id_ in zip(wanted[name, to], ids, strict=True):
            document = one.get("document")
            if isinstance(document, dict):
                assert phones[name].media(id_) == base64.b64decode(document["data"])

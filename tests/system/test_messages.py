"""Messages of every kind, both ways, and what is done to them."""

import base64
import hashlib
import os
import signal
from pathlib import Path

import pytest

from protocol.errors import RpcError
from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import Caller, Wasupd, until

pytestmark = pytest.mark.chrome

ADA_CHAT = "4915110000001@c.us"
# The smallest picture that is one: a PNG of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("kind", "content", "mimetype"),
    [
        ("image", {"data": in_base64(PNG), "mimetype": "image/png", "caption": "one pixel"}, "image/png"),
        ("document", {"data": in_base64(os.urandom(3 * 2**20)), "filename": "big.pdf"}, "application/pdf"),
        ("audio", {"data": in_base64(os.urandom(5000)), "ptt": True}, "audio/ogg; codecs=opus"),
        ("video", {"data": in_base64(os.urandom(50_000)), "mimetype": "video/mp4"}, "video/mp4"),
        ("sticker", {"data": in_base64(os.urandom(3000))}, "image/webp"),
    ],
)
async def test_files_go_out_byte_for_byte(
    sim: Simulator, wasupd: Wasupd, call: Caller, kind: str, content: dict[str, object], mimetype: str
) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    data = base64.b64decode(str(content["data"]))
    sent = await call("message.send", sessionId="shop", to=ADA, wait="sent", **{kind: content})
    assert (sent["type"], sent["text"]) == (kind, content.get("caption"))
    assert (sent["media"]["mimetype"], sent["media"]["bytes"]) == (mimetype, len(data))
    assert hashlib.sha256(shop.media(sent["id"])).digest() == hashlib.sha256(data).digest()
    assert [s.duplicate for s in shop.submissions] == [False]
    assert list((wasupd.directory / "state" / "sessions" / "shop" / "media").iterdir()) == []
    got = await call("message.download", sessionId="shop", messageId=sent["id"])
    assert base64.b64decode(got["data"]) == data
    assert got["mimetype"] == mimetype


async def test_a_file_comes_in_and_is_downloaded(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    data = os.urandom(2 * 2**20 + 1)
    async with call.client.subscribe(types=["message.received"]) as events:
        shop.receive_media(
            ADA, "document", data, "application/zip", filename="all.zip", caption="as promised"
        )
        (event,) = await until(events, "message.received")
    message = event["data"]["message"]
    assert (message["type"], message["text"]) == ("document", "as promised")
    assert message["media"] == {"mimetype": "application/zip", "filename": "all.zip", "bytes": len(data)}
    os.kill(await call.pid("shop"), signal.SIGKILL)  # the file is WhatsApp's, not the page's
    await call.wait("shop", "disconnected", "connecting")
    await call.wait("shop", "connected")
    got = await call("message.download", sessionId="shop", messageId=message["key"])
    assert (base64.b64decode(got["data"]), got["filename"]) == (data, "all.zip")


async def test_a_file_survives_a_killed_chrome_before_it_is_sent(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    os.kill(await call.pid("shop"), signal.SIGKILL)
    sent = await call(
        "message.send", sessionId="shop", to=ADA, image={"data": in_base64(PNG)}, wait="sent", timeout=60
    )
    assert shop.media(sent["id"]) == PNG


@pytest.mark.parametrize("settings", [{"messages.max_media_bytes": 100_000}], indirect=True)
async def test_files_that_are_refused(sim: Simulator, wasupd: Wasupd, call: Caller, tmp_path: Path) -> None:
    await call.create("shop")
    secret = tmp_path / "secret"
    secret.write_text("not for clients")
    for content, code in [
        ({"data": in_base64(b"x" * 100_001)}, "MEDIA_TOO_LARGE"),
        ({"data": "no base64!"}, "INVALID_PARAMS"),
        ({"path": str(secret)}, "INVALID_PARAMS"),
        ({"path": "relative"}, "INVALID_PARAMS"),
        ({"data": "eA==", "path": "/x"}, "INVALID_PARAMS"),
        ({}, "INVALID_PARAMS"),
    ]:
        with pytest.raises(RpcError) as refusal:
            await call("message.send", sessionId="shop", to=ADA, document=content)
        assert (content, refusal.value.code) == (content, code)
    assert (await call("session.get", sessionId="shop"))["messageQueue"] == 0
    assert not (wasupd.directory / "state" / "sessions" / "shop" / "media").exists()


LICENCES = Path("/usr/share/common-licenses")  # of Debian's base-files: there on every machine


@pytest.mark.parametrize("settings", [{"messages.media_dirs": [str(LICENCES)]}], indirect=True)
async def test_a_file_by_its_path(sim: Simulator, call: Caller, tmp_path: Path) -> None:
    """Only from the directories that the administrator named, wherever links lead."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    licence = LICENCES / "Apache-2.0"
    sent = await call("message.send", sessionId="shop", to=ADA, document={"path": str(licence)}, wait="sent")
    assert sent["media"]["filename"] == "Apache-2.0"
    assert shop.media(sent["id"]) == licence.read_bytes()
    for path in (LICENCES / ".." / ".." / ".." / "etc" / "hostname", LICENCES, LICENCES / "missing"):
        with pytest.raises(RpcError) as refusal:
            await call("message.send", sessionId="shop", to=ADA, document={"path": str(path)})
        assert refusal.value.code == "INVALID_PARAMS"
        assert refusal.value.details["path"] == "$.document.path"


async def test_quotes_mentions_locations_contacts_polls(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    first = await call.send("shop", ADA, "first", wait="sent")
    await call.send(
        "shop", ADA, "second @4915110000002", quotedMessageId=first["id"], mentions=[GRACE], wait="sent"
    )
    place = {"latitude": 52.52, "longitude": 13.405, "name": "Berlin"}
    await call("message.send", sessionId="shop", to=ADA, location=place, wait="sent")
    card = {"name": "Grace Hopper", "phoneNumber": "+49 151 1000 0002"}
    await call("message.send", sessionId="shop", to=ADA, contact=card, wait="sent")
    poll = {"question": "When?", "options": ["today", "tomorrow"]}
    asked = await call("message.send", sessionId="shop", to=ADA, poll=poll, wait="sent")
    assert (asked["type"], asked["text"]) == ("poll", "When?")
    assert [s.kind for s in shop.submissions] == ["chat", "chat", "location", "vcard", "poll_creation"]
    assert shop.submissions[1].quoted_id == first["id"]
    assert shop.submissions[1].mentions == ("4915110000002@c.us",)


async def test_what_is_done_to_messages_here(sim: Simulator, call: Caller) -> None:
    """Edited, reacted to, marked as read, forwarded, deleted: WhatsApp sees each, and so does the record."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    sent = await call.send("shop", ADA, "helo", wait="delivered")
    name = {"sessionId": "shop", "messageId": sent["id"]}
    async with call.client.subscribe(types=["message.received"]) as events:
        shop.receive(ADA, "what?")
        (event,) = await until(events, "message.received")
    came = {"sessionId": "shop", "messageId": event["data"]["message"]["key"]}

    edited = await call("message.edit", **name, text="hello")
    assert (edited["text"], edited["editedAt"] is not None) == ("hello", True)
    await call("message.react", **came, emoji="👍")
    await call("message.markRead", **came)
    await call("message.forward", **came, to=GRACE)
    await shop.wait_for(lambda phone: phone.read_receipts and len(phone.submissions) >= 4)
    assert [s.kind for s in shop.submissions if s.kind != "chat"] == ["protocol", "reaction"]
    assert [s.text for s in shop.submissions if s.chat == "4915110000002@c.us"] == ["what?"]

    deleted = await call("message.delete", **name)
    assert deleted["deletedAt"] is not None
    again = await call("message.send", sessionId="shop", to=ADA, wait="sent", reaction={
        "messageId": came["messageId"], "emoji": "🎉"})  # fmt: skip
    assert (again["type"], again["text"]) == ("reaction", "🎉")
    with pytest.raises(RpcError) as refusal:
        await call("message.download", **name)
    assert refusal.value.code == "MESSAGE_NOT_FOUND"
    with pytest.raises(RpcError) as refusal:
        await call("message.edit", sessionId="shop", messageId="3EB0NONE", text="x")
    assert refusal.value.code == "MESSAGE_NOT_FOUND"


async def test_what_others_do_is_told(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    team = shop.add_group("Team", [ADA, GRACE])
    await call.create("shop")
    await call.link("shop", shop)
    sent = await call.send("shop", ADA, "lunch?", wait="delivered")
    poll = {"question": "When?", "options": ["today", "tomorrow"]}
    asked = await call("message.send", sessionId="shop", to=ADA, poll=poll, wait="delivered")
    async with call.client.subscribe() as events:
        came = shop.receive(ADA, "yess")
        await until(events, "message.received")
        shop.edit(ADA, came.id, "yes")
        (*_, edited) = await until(events, "message.edited")
        assert edited["data"]["message"]["text"] == "yes"
        shop.react(ADA, sent["id"], "❤️")
        (*_, reaction) = await until(events, "message.reaction")
        assert (reaction["data"]["message"]["id"], reaction["data"]["emoji"]) == (sent["id"], "❤️")
        assert reaction["data"]["from"] == ADA_CHAT
        shop.vote(ADA, asked["id"], ["tomorrow"])
        (*_, vote) = await until(events, "message.poll_vote")
        assert (vote["data"]["message"]["id"], vote["data"]["options"]) == (asked["id"], ["tomorrow"])
        shop.revoke(ADA, came.id)
        (*_, deleted) = await until(events, "message.deleted")
        assert deleted["data"]["message"]["deletedAt"] is not None
        shop.presence(ADA, "composing")
        await until(events, "chat.presence", chatId=ADA_CHAT)
        shop.call(ADA, video=True)
        await until(events, "call.received", video=True)
        shop.change_group(team, "remove", [GRACE])
        await until(events, "group.updated", groupId=team, action="remove")


@pytest.mark.parametrize(
    ("kind", "type_"), [("location", "location"), ("contact", "contact"), ("poll", "poll")]
)
async def test_other_kinds_come_in(sim: Simulator, call: Caller, kind: str, type_: str) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.received"]) as events:
        if kind == "location":
            shop.receive_location(ADA, 52.52, 13.405, "Berlin")
        elif kind == "contact":
            shop.receive_contact(ADA, "Grace", GRACE)
        else:
            shop.receive_poll(ADA, "When?", ["today", "tomorrow"])
        (event,) = await until(events, "message.received")
    assert event["data"]["message"]["type"] == type_
    assert event["data"]["message"]["text"] in ("Berlin", "Grace", "When?")


@pytest.mark.parametrize("settings", [{"messages.retry_limit": 1}], indirect=True)
async def test_no_sessions_is_tried_again_and_then_told_what_to_do(sim: Simulator, call: Caller) -> None:
    """Keys that are missing once cost a pause; keys that stay away end in an error with an action."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.retrying", "message.sent", "message.failed"]) as events:
        shop.fail_sends(1)
        once = await call.send("shop", ADA, "keys come late")
        assert [e["type"] for e in await until(events, "message.sent")] == [
            "message.retrying",
            "message.sent",
        ]
        shop.fail_sends(2)
        never = await call.send("shop", ADA, "keys never come")
        (*_, failed) = await until(events, "message.failed")
    assert failed["data"]["message"]["id"] == never["id"]
    assert failed["data"]["message"]["error"]["code"] == "NO_ENCRYPTION_SESSION"
    assert "clearAuth" in failed["data"]["message"]["error"]["details"]["action"]
    assert [d.id for d in shop.deliveries] == [once["id"]]
    kept = await call("message.get", sessionId="shop", messageId=never["id"])
    assert (kept["text"], kept["attempts"]) == ("keys never come", 2)


async def test_what_comes_is_downloaded_and_marked_as_read_if_wished(
    sim: Simulator, wasupd: Wasupd, call: Caller
) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop", settings={"autoDownloadMedia": True, "markRead": True})
    await call.link("shop", shop)
    data = os.urandom(50_000)
    async with call.client.subscribe(types=["message.received"]) as events:
        came = shop.receive_media(ADA, "image", data, "image/png", caption="look")
        (event,) = await until(events, "message.received")
    await shop.wait_for(lambda phone: phone.read_receipts)
    assert shop.read_receipts[0].ids == (came.id,)
    await call("session.stop", sessionId="shop")
    key = event["data"]["message"]["key"]
    got = await call("message.download", sessionId="shop", messageId=key)  # no page is needed any more
    assert base64.b64decode(got["data"]) == data
    (kept,) = (wasupd.directory / "state" / "sessions" / "shop" / "downloads").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_an_unlinked_session_keeps_what_waits_to_itself(sim: Simulator, call: Caller) -> None:
    """What is accepted under a QR goes out when somebody is linked again, and disturbs nothing before."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(sessions=["shop"]) as events:
        shop.unlink()
        await until(events, "session.qr")
        waiting = await call.send("shop", ADA, "early")
        shop_code = await call("session.qr", sessionId="shop")
        assert (await call("session.status", sessionId="shop"))["reason"] == "LOGGED_OUT"
        await shop.scan(shop_code["qrText"])
        seen = await until(events, "message.sent")
    assert [e["type"] for e in seen if e["type"] == "session.disconnected"] == []
    assert [s.id for s in shop.submissions] == [waiting["id"]]

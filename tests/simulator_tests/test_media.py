"""Files out and in: the bytes that the other end gets are the bytes that were sent."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator import Simulator, SimulatorError
from tests.simulator.media import decrypt, encrypt
from tests.simulator_tests.browser import Page, PageError, browser
from tests.simulator_tests.conftest import ADA, linked

pytestmark = pytest.mark.chrome

CHAT = "4915110000001@c.us"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OPTIONS = {"markIsRead": False, "detectMentioned": False, "waveform": False}
DOWNLOAD = """(async () => {
  const blob = await WPP.chat.downloadMedia('%s');
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
  return [blob.type, url];
})()"""


async def download(page: Page, key: str) -> tuple[str, bytes]:
    kind, url = await page.evaluate(DOWNLOAD % key)
    return kind, base64.b64decode(url.partition(",")[2])


def data_url(data: bytes, mimetype: str) -> str:
    return f"data:{mimetype};base64,{base64.b64encode(data).decode()}"


def test_the_scheme_notices_changes() -> None:
    data = encrypt("image", b"k" * 32, b"hello")
    assert decrypt("image", b"k" * 32, data) == b"hello"
    with pytest.raises(SimulatorError, match="does not fit"):
        decrypt("video", b"k" * 32, data)


async def test_files_out(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        cases: list[tuple[str, str, str, dict[str, Any]]] = [
            ("image", "image/png", "image", {"type": "image", "caption": "look", "filename": "a.png"}),
            ("IMAGE2", "image/png", "image", {"type": "auto-detect"}),
            ("VIDEO", "video/mp4", "video", {"type": "video", "filename": "v.mp4"}),
            ("AUDIO", "audio/mpeg", "audio", {"type": "audio", "filename": "a.mp3"}),
            ("PTT", "audio/ogg", "ptt", {"type": "audio", "isPtt": True, "filename": "a.ogg"}),
            ("DOC", "application/pdf", "document", {"type": "document", "filename": "plan.pdf"}),
            ("STICKER", "image/webp", "sticker", {"type": "sticker", "filename": "s.webp"}),
        ]
        for id_, mimetype, kind, options in cases:
            data = PNG + id_.encode()
            key = f"true_{CHAT}_{id_}"
            url = data_url(data, mimetype)
            options = {**OPTIONS, **options, "messageId": key, "waitForAck": True}
            sent = await page.wpp("chat.sendFileMessage", CHAT, url, options)
            assert sent["id"] == key
            assert sent["sendMsgResult"]["messageSendResult"] == "OK"
            submission = phone.submissions[-1]
            assert (submission.id, submission.kind) == (id_, kind)
            assert submission.media is not None
            assert submission.media.sha256 == hashlib.sha256(data).hexdigest()
            assert (submission.media.size, submission.media.mimetype) == (len(data), mimetype)
            assert phone.media(id_) == data
            assert await download(page, key) == (mimetype, data)
        assert [s.text for s in phone.submissions] == ["look", *[""] * 6]
        assert [d.kind for d in phone.deliveries] == [kind for _, _, kind, _ in cases]
        facts = "(m => [m.type, m.mimetype, m.filename, m.size, m.caption, m.isCaptionByUser, m.ack > 0])"
        first = f"{facts}(WPP.whatsapp.MsgStore.get('true_{CHAT}_image'))"
        assert await page.evaluate(first) == ["image", "image/png", "a.png", len(PNG) + 5, "look", True, True]
        plan = f"{facts}(WPP.whatsapp.MsgStore.get('true_{CHAT}_DOC'))"
        # A document without a caption shows its name as one.
        assert (await page.evaluate(plan))[4:6] == ["plan.pdf", False]


async def test_several_mib_out_and_in_and_after_a_restart(sim: Simulator, profile: Path) -> None:
    big = os.urandom(6 * 2**20)
    key = f"true_{CHAT}_BIG"
    async with linked(sim, profile) as (page, phone):
        await page.wpp(
            "chat.sendFileMessage",
            CHAT,
            data_url(big, "application/octet-stream"),
            {**OPTIONS, "type": "document", "filename": "big.bin", "messageId": key, "waitForAck": True},
        )
        assert phone.media("BIG") == big
        entry = phone.receive_media(ADA, "image", big[:-7], "image/jpeg", caption="back")
        news = await page.event("chat.new_message", type="image")
        received = f"false_{CHAT}_{entry.id}"
        assert news["id"] == received
        assert await download(page, received) == ("image/jpeg", big[:-7])
        await phone.wait_for(lambda p: p.receptions)
    with trio.fail_after(30):
        async with browser(sim, profile) as page:
            await page.main()
            assert await download(page, received) == ("image/jpeg", big[:-7])
            assert (await download(page, key))[1] == big


async def test_troubles(sim: Simulator, profile: Path) -> None:
    async with linked(sim, profile) as (page, phone):
        entry = phone.receive_media(ADA, "document", b"%PDF-", "application/pdf", filename="a.pdf")
        await page.event("chat.new_message", type="document")
        sim.world.media.uploads.clear()
        code = (
            "(async () => {{ try {{ await WPP.chat.{} }} catch (error) {{ return error.code ?? error }} }})()"
        )
        gone = f"downloadMedia('false_{CHAT}_{entry.id}')"
        assert await page.evaluate(code.format(gone)) == "media_not_found"
        text = phone.receive(ADA, "no file")
        await page.event("chat.new_message", type="chat")
        none = f"downloadMedia('false_{CHAT}_{text.id}')"
        assert await page.evaluate(code.format(none)) == "message_not_contains_media"
        large = (
            f"sendFileMessage('{CHAT}', new File([new Uint8Array(17 * 2 ** 20)], 'a.png', "
            "{type: 'image/png'}), {type: 'image'})"
        )
        assert await page.evaluate(code.format(large)) == "file_too_large"
        wrong = f"sendFileMessage('{CHAT}', 'x', {{type: 'image'}})"
        assert await page.evaluate(code.format(wrong)) == "invalid_data_url"
        phone.offline()
        options = {**OPTIONS, "type": "image", "messageId": f"true_{CHAT}_LATER", "waitForAck": False}
        assert (await page.wpp("chat.sendFileMessage", CHAT, data_url(PNG, "image/png"), options))["ack"] == 0
        assert phone.submissions == []
        phone.online()
        await phone.wait_for(lambda p: p.deliveries)
        assert phone.media("LATER") == PNG
        with pytest.raises(SimulatorError, match="media is one of"):
            phone.receive_media(ADA, "smell", b"", "x/y")
        with pytest.raises(SimulatorError, match="not on the server"):
            phone.media(entry.id)
        with pytest.raises(PageError, match="No LID for user"):
            await page.wpp("chat.sendFileMessage", "4915113333333@c.us", data_url(PNG, "image/png"), OPTIONS)

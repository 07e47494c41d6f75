"""A page that has been taken over: how much it may say, how fast, and what its answers may be."""

import base64
import json
from typing import Any

import pytest
import trio
import trio.testing

from protocol.errors import RpcError
from supervisors.chrome.errors import EventsOverflowed
from supervisors.chrome.events import Event, EventStream
from supervisors.whatsapp import news
from supervisors.whatsapp.pace import NEWS_BURST, NEWS_PER_S, TEXT_BURST, TEXT_PER_S, Pace
from supervisors.whatsapp.page import SAY_AGAIN_S, WhatsAppPage, _checked


def test_a_burst_is_taken_at_once_and_the_rest_at_its_pace() -> None:
    pace = Pace(0.0)
    assert [pace.take(10, 0.0) for _ in range(NEWS_BURST)] == [0.0] * NEWS_BURST
    assert pace.take(10, 0.0) == pytest.approx(1 / NEWS_PER_S)
    assert pace.take(10, 1.0) == 0.0
    assert Pace(0.0).take(TEXT_BURST + TEXT_PER_S, 0.0) == pytest.approx(1.0)


async def test_what_waits_is_bounded_by_its_size() -> None:
    stream = EventStream[str](lambda event: event.method, 100, len, 10)
    stream.put(Event("12345678", {}, None))
    assert await anext(stream) == "12345678"
    stream.put(Event("1234567890", {}, None))
    stream.put(Event("1", {}, None))
    assert await anext(stream) == "1234567890"
    with pytest.raises(EventsOverflowed):
        await anext(stream)


async def test_rubbish_is_told_to_the_log_once_in_a_while(
    capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock
) -> None:
    async def payloads() -> Any:
        for _ in range(1000):
            yield "\x1b[2Jrubbish\n2026-11-21 [error] forged"
        await trio.sleep(SAY_AGAIN_S)
        yield "{}"
        yield '{"type":"idle"}'

    assert [item async for item in _checked(payloads())] == [news.Idle()]
    said = [line for line in capsys.readouterr().out.splitlines() if "page_news_dropped" in line]
    assert len(said) == 2
    assert "dropped=1000" in said[1]
    assert not any("forged" in line for line in said)


class _Tab:
    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    async def evaluate(self, _expression: str, *, timeout_s: float) -> Any:
        await trio.lowlevel.checkpoint()
        return {"value": next(self._answers, None)}


OPENED = {"bytes": 3, "mimetype": "image/png"}
THREE = base64.b64encode(b"abc").decode()


@pytest.mark.parametrize(
    "answers",
    [
        (None,),
        ({"bytes": "3", "mimetype": "image/png"},),
        ({"bytes": -3, "mimetype": "image/png"},),
        (OPENED, ""),
        (OPENED, "=?"),
        (OPENED, 7),
        (OPENED, base64.b64encode(b"abcd").decode()),
    ],
)
async def test_a_file_of_no_use_is_an_error_and_no_endless_loop(answers: tuple[Any, ...]) -> None:
    page = WhatsAppPage(_Tab(*answers), None)  # type: ignore[arg-type]  # all that is used of a tab
    with pytest.raises(RpcError) as refusal, trio.fail_after(20):
        await page.download("key", 100)
    assert refusal.value.code == "PAGE_ERROR"


async def test_a_file_is_taken_as_the_page_said_it_is() -> None:
    page = WhatsAppPage(_Tab(OPENED, THREE), None)  # type: ignore[arg-type]  # all that is used of a tab
    assert await page.download("key", 100) == ("image/png", b"abc")
    large = WhatsAppPage(_Tab({"bytes": 101, "mimetype": ""}), None)  # type: ignore[arg-type]
    with pytest.raises(RpcError) as refusal:
        await large.download("key", 100)
    assert refusal.value.code == "MEDIA_TOO_LARGE"


@pytest.mark.parametrize("field", ["timestamp", "bytes"])
def test_numbers_that_nothing_could_hold_are_no_news(field: str) -> None:
    message = dict.fromkeys(
        ("author", "to", "text", "mimetype", "filename", "bytes", "quotedId", "timestamp", "ack")
    )
    told = {**message, "key": "k", "id": "i", "fromMe": False, "chatId": "1@c.us", "kind": "chat"}

    def payload(number: int) -> str:
        return json.dumps({"type": "message", "recovered": False, "message": {**told, field: number}})

    assert isinstance(news.decode(payload(1)), news.Message)
    with pytest.raises(news.BadNewsError):
        news.decode(payload(2**60))

"""What a page tells is read as the word of a stranger."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors.whatsapp import news

MESSAGE = {
    "key": "false_49@c.us_AA",
    "id": "AA",
    "fromMe": False,
    "chatId": "49@c.us",
    "author": "49@c.us",
    "to": "50@c.us",
    "kind": "chat",
    "text": "hi",
    "mimetype": None,
    "filename": None,
    "bytes": None,
    "quotedId": None,
    "timestamp": 1_700_000_000,
    "ack": 0,
}


def test_a_message_is_read() -> None:
    told = news.decode(json.dumps({"type": "message", "message": MESSAGE, "recovered": False}))
    assert isinstance(told, news.Message)
    assert (told.message.chat_id, told.message.text) == ("49@c.us", "hi")


@pytest.mark.parametrize(
    "change",
    [
        {"key": 7},
        {"key": ""},
        {"chatId": "x" * 300},
        {"text": "x" * 200_001},
        {"timestamp": -1},
        {"timestamp": 1e300},
        {"ack": 99},
        {"fromMe": "yes"},
    ],
)
def test_a_field_out_of_bounds_is_refused_without_its_content(change: dict[str, object]) -> None:
    payload = json.dumps({"type": "message", "message": {**MESSAGE, **change}, "recovered": False})
    with pytest.raises(news.BadNewsError) as refusal:
        news.decode(payload)
    assert "xxx" not in str(refusal.value)


def test_what_is_too_long_is_not_even_read() -> None:
    with pytest.raises(news.BadNewsError):
        news.decode('{"type":"qr","code":"' + "x" * news.MAX_NEWS_BYTES + '"}')


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.text()
    | _json.map(json.dumps)
    | st.dictionaries(st.sampled_from(["type", "code", "ack"]), _json).map(json.dumps)
)
def test_nothing_but_a_refusal_comes_of_garbage(payload: str) -> None:
    with contextlib.suppress(news.BadNewsError):
        news.decode(payload)


def test_the_deepest_nesting_is_refused() -> None:
    with pytest.raises(news.BadNewsError):
        news.decode("[" * 200_000)

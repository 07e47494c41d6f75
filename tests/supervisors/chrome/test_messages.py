"""DevTools messages with characters cut in half."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors.chrome import messages

PIECES = st.sampled_from(["\ud83d", "\ude00", "\\", "u", "d83d", "\U0001f600"])
STRINGS = st.lists(PIECES | st.text(st.characters(codec=None))).map("".join)


@given(STRINGS)
def test_any_javascript_string_comes_through(text: str) -> None:
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    message = messages.decode(b'{"method":"x","params":{"payload":%b}}' % json.dumps(text).encode())
    assert msgspec.json.decode(message.params) == {"payload": expected}


def test_half_a_character_becomes_a_mark() -> None:
    message = messages.decode(rb'{"id":1,"result":{"value":"a\ud83d \\ud83d \ude00 \ud83d\ude00"}}')
    assert msgspec.json.decode(message.result) == {"value": "a\ufffd \\ud83d \ufffd \U0001f600"}


def test_nonsense_is_told() -> None:
    with pytest.raises(msgspec.MsgspecError):
        messages.decode(b'{"id":"\\ud83d')

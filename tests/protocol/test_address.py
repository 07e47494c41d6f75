"""Recipients: one spelling for many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.address import parse_recipient


@pytest.mark.parametrize(
    "text",
    ["4915112345678", "+49 151 12345678", "+49-151-1234.5678", "0049 (151) 12345678", " +49/15112345678 "],
)
def test_a_phone_number_is_its_digits(text: str) -> None:
    assert parse_recipient(text) == "4915112345678@c.us"


@pytest.mark.parametrize(
    "text",
    [
        "4915112345678@c.us",
        "123456789012345@lid",
        "120363012345678901@g.us",
        "4915112345678-1400000000@g.us",
        "120363012345678901@newsletter",
        "status@broadcast",
    ],
)
def test_a_chat_id_is_itself(text: str) -> None:
    assert parse_recipient(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "1234",
        "1234567890123456",
        "0151 12345678",
        "+49 151 CALL",
        "4915112345678@s.whatsapp.net",
        "@c.us",
        "+49151@c.us",
        "a@g.us",
        "1@c.us\n2@c.us",
        "other@broadcast",
        "٤٩١٥١١٢٣٤٥٦٧٨",
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expected a (phone number|chat id)"):
        parse_recipient(text)


@given(st.text())
def test_what_is_accepted_is_accepted_again(text: str) -> None:
    try:
        chat_id = parse_recipient(text)
    except ValueError:
        return
    assert parse_recipient(chat_id) == chat_id

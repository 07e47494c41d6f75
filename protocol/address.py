"""Who a message goes to: one spelling for phone numbers and chat ids."""

import re

_CHAT_ID = re.compile(
    r"\d{1,30}@(c\.us|lid|newsletter)|\d{1,30}(-\d{1,30})?@g\.us|status@broadcast", re.ASCII
)
_PHONE = re.compile(r"\+?[\d\s()./-]+", re.ASCII)
_NOT_DIGITS = re.compile(r"\D", re.ASCII)


def parse_recipient(text: str) -> str:
    """Return the chat id for a phone number or a chat id.

    A phone number is 5 to 15 digits with its country code; a `+` or `00` in front and separators (spaces,
    `-`, `.`, `/`, brackets) are taken away. A chat id ends in `@c.us`, `@lid`, `@g.us`, `@newsletter`, or
    is `status@broadcast`. Raises ValueError, with a sentence that says what was expected.
    """
    text = text.strip()
    if "@" in text:
        if _CHAT_ID.fullmatch(text):
            return text
        raise ValueError(
            f"Expected a chat id (digits@c.us, @lid, @g.us, @newsletter, or status@broadcast), got {text!r}"
        )
    digits = _NOT_DIGITS.sub("", text)
    if digits.startswith("00"):
        digits = digits[2:]
    if not _PHONE.fullmatch(text) or not 5 <= len(digits) <= 15 or digits[0] == "0":
        raise ValueError(
            f"Expected a phone number with its country code, 5 to 15 digits, or a chat id, got {text!r}"
        )
    return f"{digits}@c.us"

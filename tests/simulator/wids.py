"""Phone numbers and the ids WhatsApp makes of them. Pure."""

import hashlib
import re

from tests.simulator.errors import SimulatorError

_NUMBER = re.compile(r"^\+[1-9][0-9]{6,14}$")
_GROUP = re.compile(r"^[0-9]{10,20}(-[0-9]{6,12})?@g\.us$")


def parse_number(text: str) -> str:
    """The number in the form `+491701234567`; spaces and dashes are dropped, `…@c.us` is understood."""
    cleaned = re.sub(r"[ \-()]", "", text)
    if cleaned.endswith("@c.us"):
        cleaned = "+" + cleaned.removesuffix("@c.us").lstrip("+")
    if not _NUMBER.match(cleaned):
        raise SimulatorError(f"{text!r} is not a phone number: write it like +491701234567")
    return cleaned


def pn_wid(number: str) -> str:
    """`+491701234567` -> `491701234567@c.us`."""
    return f"{number.removeprefix('+')}@c.us"


def lid_wid(number: str) -> str:
    """The hidden id of a number: the same on every server, so that tests can predict it."""
    digest = int.from_bytes(hashlib.sha256(number.encode()).digest()[:8], "big")
    return f"{10**14 + digest % (9 * 10**14)}@lid"


def is_group(wid: str) -> bool:
    """Whether the id is a group's."""
    return wid.endswith("@g.us")


def parse_group(text: str) -> str:
    """A group's id, checked."""
    if not _GROUP.match(text):
        raise SimulatorError(f"{text!r} is not a group id: they look like 120363000000000001@g.us")
    return text

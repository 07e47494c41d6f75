"""What the page's words mean."""

import pytest

from supervisors.whatsapp.meanings import facts_of, standing, type_of
from supervisors.whatsapp.news import PageMessage, PageState


def state(**changes: object) -> PageState:
    usual: dict[str, object] = {
        "socket": "CONNECTED",
        "mode": "MAIN",
        "authenticated": True,
        "ready": True,
        "wid": "491701234567:12@c.us",
        "platform": "android",
        "device_model": None,
        "version": "2.3000.1",
        "library": "4.6.0",
    }
    return PageState(**{**usual, **changes})  # type: ignore[arg-type]  # the test's own shorthand


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({}, "connected"),
        ({"ready": False}, "opening"),
        ({"authenticated": False, "mode": "QR"}, "opening"),
        ({"mode": "SYNCING"}, "opening"),
        ({"socket": "OPENING"}, "opening"),
        ({"socket": "UNPAIRED", "authenticated": False, "mode": "QR"}, "unlinked"),
        ({"socket": "UNPAIRED_IDLE", "authenticated": False, "mode": "QR"}, "unlinked"),
        ({"socket": "TIMEOUT"}, ("lost", "NETWORK")),
        ({"socket": "CONFLICT"}, ("lost", "CONFLICT")),
        ({"socket": "SMB_TOS_BLOCK"}, ("lost", "TOS_BLOCK")),
        ({"socket": None, "mode": None, "authenticated": False, "ready": False}, "opening"),
    ],
)
def test_standing(changes: dict[str, object], meaning: object) -> None:
    assert standing(state(**changes)) == meaning


@pytest.mark.parametrize(
    ("wid", "phone"),
    [
        ("491701234567:12@c.us", "+491701234567"),
        ("491701234567@c.us", "+491701234567"),
        (None, None),
        ("x@lid", None),
    ],
)
def test_the_phone_number_is_read_from_the_account(wid: str | None, phone: str | None) -> None:
    assert facts_of(state(wid=wid)).phone_number == phone


@pytest.mark.parametrize(
    ("kind", "type_"), [("chat", "text"), ("ptt", "audio"), ("image", "image"), ("e2e_notification", None)]
)
def test_kinds_of_messages(kind: str, type_: str | None) -> None:
    message = PageMessage(
        key="k", id="i", from_me=False, chat_id="c", author=None, to=None, kind=kind, text=None,
        mimetype=None, filename=None, bytes=None, quoted_id=None, timestamp=None, ack=None,
    )  # fmt: skip
    assert type_of(message) == type_

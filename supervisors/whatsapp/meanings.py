"""What WhatsApp's words, as the page tells them, mean to the daemon. Pure."""

from typing import Literal

from supervisors.journal import ConnectionFacts
from supervisors.whatsapp import news

Standing = Literal["connected", "opening", "unlinked"] | tuple[Literal["lost"], str]

# Socket.state (WAWebSocketConst) -> the reason that clients see.
_LOST = {
    "TIMEOUT": "NETWORK",
    "CONFLICT": "CONFLICT",
    "UNLAUNCHED": "NETWORK",
    "PROXYBLOCK": "PROXYBLOCK",
    "TOS_BLOCK": "TOS_BLOCK",
    "SMB_TOS_BLOCK": "TOS_BLOCK",
    "DEPRECATED_VERSION": "DEPRECATED_VERSION",
}
_UNLINKED = frozenset({"UNPAIRED", "UNPAIRED_IDLE"})


def standing(state: news.PageState) -> Standing:
    """Say what a state of the page means.

    `conn.main_ready` is no sign of a connection: it fires under a QR too, once, and not again after the scan;
    nor is `conn.authenticated`, which a restored session never sees.
    """
    if state.socket in _LOST:
        return ("lost", _LOST[state.socket])
    if state.socket in _UNLINKED:
        return "unlinked"
    if state.socket == "CONNECTED" and state.authenticated and state.ready and state.mode == "MAIN":
        return "connected"
    return "opening"


def facts_of(state: news.PageState) -> ConnectionFacts:
    """Return what the state says of the account."""
    digits = (state.wid or "").split("@")[0].split(":")[0]
    return ConnectionFacts(
        phone_number=f"+{digits}" if digits.isascii() and digits.isdigit() else None,
        wid=state.wid,
        platform=state.platform,
        device_model=state.device_model,
        client_version=state.version,
    )


# Entries of a chat that nobody wrote: "messages are encrypted", "X joined", "missed call", and the like.
_NOTICES = frozenset(
    {
        "broadcast_notification",
        "call_log",
        "ciphertext",
        "debug",
        "e2e_notification",
        "gp2",
        "newsletter_notification",
        "notification",
        "notification_template",
        "protocol",
        "revoked",
    }
)
_TYPES = {
    "chat": "text",
    "ptt": "audio",
    "vcard": "contact",
    "multi_vcard": "contact",
    "poll_creation": "poll",
}


def type_of(message: news.PageMessage) -> str | None:
    """Return the protocol's word for the kind of message, None where it is no message of anybody's."""
    if message.kind in _NOTICES:
        return None
    return _TYPES.get(message.kind, message.kind)

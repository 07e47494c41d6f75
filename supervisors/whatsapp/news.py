"""What the bridge tells: typed, and checked as the word of a stranger would be.

The page's own scripts can call the binding too, so a value of the wrong type or size is refused here and goes
no further.
"""

from typing import Annotated

import msgspec

# Far above anything that WhatsApp allows (65,536 characters of text), far below what could hurt.
MAX_NEWS_BYTES = 1 << 20

# What no date can say any more.
YEAR_10000_S = 253_402_300_800

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Word = Annotated[str, msgspec.Meta(max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=200_000)]


class PageLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A place, in degrees."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    name: Annotated[str, msgspec.Meta(max_length=4096)] | None = None


class PageMessage(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A message as the page has it; `timestamp` in epoch seconds, `kind` in WhatsApp's own words."""

    key: _Id
    id: _Id
    from_me: bool
    chat_id: _Id
    author: _Id | None
    to: _Id | None
    kind: _Word
    text: _Text | None
    mimetype: _Word | None
    filename: Annotated[str, msgspec.Meta(max_length=1024)] | None
    bytes: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] | None
    quoted_id: _Id | None
    mentions: Annotated[tuple[_Id, ...], msgspec.Meta(max_length=2048)] = ()
    options: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=64)] = ()
    location: PageLocation | None = None
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=YEAR_10000_S)] | None
    ack: Annotated[int, msgspec.Meta(ge=-10, le=10)] | None


class PageState(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="state"):
    """How the page stands with WhatsApp; `socket` and `mode` in WhatsApp's own words."""

    socket: _Word | None
    mode: _Word | None
    authenticated: bool
    ready: bool
    wid: _Id | None
    platform: _Word | None
    device_model: _Word | None
    version: _Word | None
    library: _Word | None


class Qr(msgspec.Struct, frozen=True, kw_only=True, tag="qr"):
    """The code to scan, None when there is none."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)] | None


class Pairing(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="pairing"):
    """The code to type on the phone; None: the last one is not valid any more, and why if it failed."""

    phone_number: Annotated[str, msgspec.Meta(pattern=r"^\+[0-9]{4,20}$")]
    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{4,32}$")] | None
    error: _Word | None


class Idle(msgspec.Struct, frozen=True, kw_only=True, tag="idle"):
    """Nobody scanned; the page shows no more codes until it is asked for new ones."""


class Logout(msgspec.Struct, frozen=True, kw_only=True, tag="logout"):
    """The account no longer knows this device; a navigation follows."""


class Banned(msgspec.Struct, frozen=True, kw_only=True, tag="banned"):
    """WhatsApp has barred the account for some time; `event` in its own words."""

    event: _Word


class Message(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """A message that is new to the page, or (`recovered`) was found when catching up."""

    message: PageMessage
    recovered: bool


class Acked(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """An own message has come so far: 1 sent, 2 delivered, 3 read, 4 played; negative: failed."""

    key: _Id
    id: _Id
    ack: Annotated[int, msgspec.Meta(ge=-10, le=10)]


class Resolved(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="resolved"):
    """The full key under which a message of ours is about to be sent."""

    id: _Id
    key: _Id
    chat_id: _Id


class Verified(msgspec.Struct, frozen=True, kw_only=True, tag="verified"):
    """Which of the names of `needs` this version of the page does not have.

    `early` says that the library did not wait until no module had come for a while: see bridge/settle.js.
    """

    missing: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=256)]
    early: bool = False


class Edited(msgspec.Struct, frozen=True, kw_only=True, tag="edited"):
    """A message says something else now."""

    key: _Id
    text: _Text


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag="revoked"):
    """A message was deleted for everyone."""

    key: _Id


class Reacted(msgspec.Struct, frozen=True, kw_only=True, tag="reaction"):
    """Somebody put an emoji at a message, or, with an empty one, took it away."""

    key: _Id
    sender: _Id | None
    emoji: Annotated[str, msgspec.Meta(max_length=64)]


class Voted(msgspec.Struct, frozen=True, kw_only=True, tag="vote"):
    """Somebody's whole choice in a poll."""

    key: _Id
    sender: _Id | None
    options: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=64)]


class Presence(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="presence"):
    """What somebody is doing in a chat; `state` in WhatsApp's own words."""

    chat_id: _Id
    sender: _Id | None
    state: _Word | None


class Call(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="call"):
    """Somebody calls."""

    call_id: _Id
    sender: _Id | None
    video: bool
    group: bool


class GroupChange(msgspec.Struct, rename="camel", frozen=True, kw_only=True, tag="group"):
    """A group's members changed."""

    group_id: _Id
    action: _Word
    participants: Annotated[tuple[_Id, ...], msgspec.Meta(max_length=4096)]
    by: _Id | None


MessageChange = Edited | Revoked | Reacted | Voted
AccountNews = Presence | Call | GroupChange

News = (
    PageState
    | Qr
    | Pairing
    | Idle
    | Logout
    | Banned
    | Message
    | Acked
    | Resolved
    | Verified
    | Edited
    | Revoked
    | Reacted
    | Voted
    | Presence
    | Call
    | GroupChange
)

_decoder: msgspec.json.Decoder[News] = msgspec.json.Decoder(News)


class BadNewsError(Exception):
    """The page told something that is not of the agreed form."""


def decode(payload: str) -> News:
    """Read one payload of the binding.

    Raises:
        BadNewsError: too long, or not of the agreed form; its text names the field, never its content.
    """
    if len(payload) > MAX_NEWS_BYTES:
        raise BadNewsError(f"{len(payload)} characters")
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadNewsError(str(error)) from None

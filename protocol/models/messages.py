"""Messages: their record, and what the `message.*` methods take and answer."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from protocol.address import parse_recipient
from protocol.times import parse

from .base import (
    Direction,
    FieldError,
    Limit,
    MessageRef,
    MessageStatus,
    Origin,
    Params,
    Record,
    SessionRef,
    Tag,
    Time,
    TimeoutS,
    check,
)
from .contents import ContactCard, Location, MediaContent, Poll, Reaction

Recipient = Annotated[
    str, Meta(min_length=1, max_length=128, description="A phone number with its country code, or a chat id")
]
Text = Annotated[str, Meta(min_length=1, max_length=65_536)]
ContactCards = Annotated[tuple[ContactCard, ...], Meta(min_length=1, max_length=100)]
Wait = Literal["queued", "sent", "delivered"]


class Media(Record, frozen=True, kw_only=True):
    """What a message carries besides text; `bytes` is the size, None where it is not known."""

    mimetype: str
    filename: str | None = None
    bytes: int | None = None


class MessageError(Record, frozen=True, kw_only=True):
    """Why a message failed: a word of the error table, its sentence, its details."""

    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)


class Message(Record, frozen=True, kw_only=True):
    """A message as clients see it.

    `id` is WhatsApp's own, `key` its full serialised key; both name the message in later requests.
    `timestamp` is WhatsApp's time of the message, None until it has left. `edited_at` and `deleted_at` say
    that it was edited or deleted (for everybody); what it said last stays on record. `details` is what a
    type has beside text and media: a place's coordinates, a poll's options, a reaction's emoji.
    """

    id: str
    key: str | None = None
    origin: Origin
    session_id: str
    chat_id: str
    direction: Direction
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    type: str
    text: str | None = None
    media: Media | None = None
    quoted_message_id: str | None = None
    mentions: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    status: MessageStatus
    error: MessageError | None = None
    attempts: int = 0
    timestamp: Time | None = None
    edited_at: Time | None = None
    deleted_at: Time | None = None
    created_at: Time
    updated_at: Time


CONTENTS = (
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contact",
    "poll",
    "reaction",
)
"""The fields of MessageSendParams that are contents: a message has exactly one."""


class MessageSendParams(Params, frozen=True, kw_only=True):
    """What message.send is given: a session or a tag, a recipient, one content."""

    session_id: SessionRef | None = None
    tag: Tag | None = None
    to: Recipient
    text: Text | None = None
    image: MediaContent | None = None
    video: MediaContent | None = None
    audio: MediaContent | None = None
    document: MediaContent | None = None
    sticker: MediaContent | None = None
    location: Location | None = None
    contact: ContactCard | ContactCards | None = None
    poll: Poll | None = None
    reaction: Reaction | None = None
    quoted_message_id: MessageRef | None = None
    mentions: Annotated[tuple[Recipient, ...], Meta(max_length=1024)] = ()
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    wait: Wait = "queued"
    timeout: TimeoutS = 60

    def __post_init__(self) -> None:
        if (self.session_id is None) == (self.tag is None):
            raise FieldError("sessionId", "Expected exactly one of `sessionId` and `tag`")
        if len(self._given()) != 1:
            raise FieldError(CONTENTS[0], f"Expected exactly one content, of: {', '.join(CONTENTS)}")
        check("to", parse_recipient, self.to)
        for place, mention in enumerate(self.mentions):
            check(f"mentions[{place}]", parse_recipient, mention)

    def _given(self) -> list[str]:
        return [name for name in CONTENTS if getattr(self, name) is not None]

    @property
    def kind(self) -> str:
        """The name of the content that is given."""
        return self._given()[0]

    @property
    def recipient(self) -> str:
        """The chat id that `to` means."""
        return parse_recipient(self.to)

    @property
    def mentioned(self) -> tuple[str, ...]:
        """The chat ids that `mentions` mean."""
        return tuple(map(parse_recipient, self.mentions))


class MessageParams(Params, frozen=True, kw_only=True):
    """What methods are given that need one message."""

    session_id: SessionRef
    message_id: MessageRef


class MessageEditParams(Params, frozen=True, kw_only=True):
    """What message.edit is given."""

    session_id: SessionRef
    message_id: MessageRef
    text: Text


class MessageDeleteParams(Params, frozen=True, kw_only=True):
    """What message.delete is given; without `for_everyone` it goes from this account's devices only."""

    session_id: SessionRef
    message_id: MessageRef
    for_everyone: bool = True


class MessageReactParams(Params, frozen=True, kw_only=True):
    """What message.react is given; an empty emoji takes the reaction away."""

    session_id: SessionRef
    message_id: MessageRef
    emoji: Annotated[str, Meta(max_length=32)]


class MessageForwardParams(Params, frozen=True, kw_only=True):
    """What message.forward is given."""

    session_id: SessionRef
    message_id: MessageRef
    to: Recipient

    def __post_init__(self) -> None:
        check("to", parse_recipient, self.to)


class MessageForwardResult(Record, frozen=True, kw_only=True):
    """What message.forward answers; the new message comes as an event of the account's own."""

    forwarded: Literal[True] = True


class MessageDownloadResult(Record, frozen=True, kw_only=True):
    """A message's file; `data` as base64."""

    mimetype: str
    filename: str | None = None
    data: str


class MessageListParams(Params, frozen=True, kw_only=True):
    """What message.list is given; `cursor` is the `next` of an earlier answer."""

    session_id: SessionRef
    chat_id: Recipient | None = None
    direction: Direction | None = None
    status: MessageStatus | None = None
    since: Time | None = None
    until: Time | None = None
    cursor: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    limit: Limit = 50

    def __post_init__(self) -> None:
        if self.chat_id is not None:
            check("chatId", parse_recipient, self.chat_id)
        for name, value in (("since", self.since), ("until", self.until)):
            if value is not None:
                check(name, parse, value)

    @property
    def chat(self) -> str | None:
        """The chat id that `chat_id` means."""
        return None if self.chat_id is None else parse_recipient(self.chat_id)

    @property
    def since_ms(self) -> int | None:
        """`since` as milliseconds since 1970."""
        return None if self.since is None else parse(self.since)

    @property
    def until_ms(self) -> int | None:
        """`until` as milliseconds since 1970."""
        return None if self.until is None else parse(self.until)


class MessageListResult(Record, frozen=True, kw_only=True):
    """A page of messages, newest first; `next` is the cursor of the page after it, None at the end."""

    messages: tuple[Message, ...]
    next: str | None = None

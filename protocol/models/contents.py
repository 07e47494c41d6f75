"""What a message can carry beside text, as `message.send` takes it."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.address import parse_recipient

from .base import FieldError, MessageRef, Params, check

MediaKind = Literal["image", "video", "audio", "document", "sticker"]
Base64 = Annotated[str, Meta(min_length=1, description="The file's bytes, as base64")]
Label = Annotated[str, Meta(max_length=1024)]


class MediaContent(Params, frozen=True, kw_only=True):
    """A file: its bytes in `data`, or a `path` that the daemon may read (`[messages] media_dirs`).

    `ptt` makes an audio a voice note. What is left out is guessed from the file's name and the kind.
    """

    data: Base64 | None = None
    path: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    mimetype: Annotated[str, Meta(pattern=r"^[\w.+-]+/[\w.+-]+(;.*)?$(?!\n)", max_length=255)] | None = None
    filename: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    caption: Annotated[str, Meta(max_length=65_536)] | None = None
    ptt: bool = False

    def __post_init__(self) -> None:
        if (self.data is None) == (self.path is None):
            raise FieldError("data", "Expected exactly one of `data` and `path`")
        if self.filename is not None and ("/" in self.filename or "\0" in self.filename):
            raise FieldError("filename", "Expected a name without `/`")


class Location(Params, frozen=True, kw_only=True):
    """A place, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: Label | None = None
    address: Label | None = None


class ContactCard(Params, frozen=True, kw_only=True):
    """Somebody's name and number."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    phone_number: Annotated[str, Meta(min_length=1, max_length=64)]

    def __post_init__(self) -> None:
        check("phoneNumber", parse_recipient, self.phone_number)


class Poll(Params, frozen=True, kw_only=True):
    """A question with 2 to 12 options; with `multiple` more than one may be chosen."""

    question: Annotated[str, Meta(min_length=1, max_length=255)]
    options: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(min_length=2, max_length=12)
    ]
    multiple: bool = False

    def __post_init__(self) -> None:
        if len(set(self.options)) != len(self.options):
            raise FieldError("options", "Expected options that differ")


class Reaction(Params, frozen=True, kw_only=True):
    """An emoji at a message; an empty one takes it away."""

    message_id: MessageRef
    emoji: Annotated[str, Meta(max_length=32)]

"""Chats, contacts, groups, numbers, and the page's own functions: `chat.list` … `whatsapp.call`."""

from typing import Annotated, Any

from msgspec import Meta

from protocol.address import parse_recipient

from .base import Limit, Offset, Params, Record, SessionRef, Time, TimeoutS, check


class PagedParams(Params, frozen=True, kw_only=True):
    """What lists of a session are given."""

    session_id: SessionRef
    limit: Limit = 50
    offset: Offset = 0


class Chat(Record, frozen=True, kw_only=True):
    """A chat; `last_message_at` is None for one without messages, `muted_until` while it is not muted."""

    id: str
    name: str | None = None
    is_group: bool
    unread_count: int = 0
    archived: bool = False
    pinned: bool = False
    muted_until: Time | None = None
    last_message_at: Time | None = None


class ChatListResult(Record, frozen=True, kw_only=True):
    """A page of chats, the latest first; `total` counts all."""

    chats: tuple[Chat, ...]
    total: int


class Contact(Record, frozen=True, kw_only=True):
    """Somebody that the account knows; `phone_number` is None where only a `@lid` is known."""

    id: str
    name: str | None = None
    push_name: str | None = None
    phone_number: str | None = None
    is_business: bool = False
    is_my_contact: bool = False
    is_blocked: bool = False


class ContactListResult(Record, frozen=True, kw_only=True):
    """A page of contacts, by name; `total` counts all."""

    contacts: tuple[Contact, ...]
    total: int


class Participant(Record, frozen=True, kw_only=True):
    """A member of a group."""

    id: str
    is_admin: bool = False


class Group(Record, frozen=True, kw_only=True):
    """A group that the account is in."""

    id: str
    subject: str | None = None
    description: str | None = None
    owner: str | None = None
    created_at: Time | None = None
    participants: tuple[Participant, ...] = ()


class GroupListResult(Record, frozen=True, kw_only=True):
    """A page of groups, by subject; `total` counts all."""

    groups: tuple[Group, ...]
    total: int


class NumberCheckParams(Params, frozen=True, kw_only=True):
    """What number.check is given: a phone number, or a chat id of a person."""

    session_id: SessionRef
    phone_number: Annotated[str, Meta(min_length=1, max_length=128)]

    def __post_init__(self) -> None:
        check("phoneNumber", parse_recipient, self.phone_number)

    @property
    def recipient(self) -> str:
        """The chat id that the number means."""
        return parse_recipient(self.phone_number)


class NumberCheckResult(Record, frozen=True, kw_only=True):
    """Whether a number is on WhatsApp, and under which ids; `lid` is None where WhatsApp gives none."""

    exists: bool
    chat_id: str | None = None
    lid: str | None = None
    phone_number: str | None = None


class WhatsAppFunctionsResult(Record, frozen=True, kw_only=True):
    """Every function that the page library offers, as `whatsapp.call` takes their names."""

    functions: tuple[str, ...]


class WhatsAppCallParams(Params, frozen=True, kw_only=True):
    """What whatsapp.call is given: `chat.archive`, and its arguments as JSON; `timeout` in seconds."""

    session_id: SessionRef
    function: Annotated[str, Meta(pattern=r"^[A-Za-z]\w*(\.[A-Za-z]\w*){1,3}$(?!\n)", max_length=128)]
    args: Annotated[tuple[Any, ...], Meta(max_length=32)] = ()
    timeout: TimeoutS = 30

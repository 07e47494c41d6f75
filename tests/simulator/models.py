"""What the simulator's world is made of: messages, devices, contacts, groups, accounts. Pure."""

import itertools
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulator.wids import lid_wid, pn_wid

Frame = dict[str, Any]

ACK_SENT, ACK_DELIVERED, ACK_READ = 1, 2, 3
MAX_LINKED_DEVICES = 4


class Link(Protocol):
    """The open connection of a page."""

    def send(self, frame: Frame) -> None:
        """Queue a frame for the page; never blocks."""

    def close(self) -> None:
        """Drop the connection."""


@dataclass(frozen=True)
class Message:
    """What was said: `sender` is a number, `to` a number or a group's id, `content` what the page shows."""

    id: str
    sender: str
    to: str
    content: Mapping[str, Any]
    t: int

    @property
    def kind(self) -> str:
        """WhatsApp's type: `chat`, `image`, `location`, …"""
        return str(self.content.get("type", "chat"))

    @property
    def text(self) -> str:
        """The body, or the caption of a file."""
        return str(self.content.get("caption") or self.content.get("body") or "")


@dataclass
class Entry:
    """A message as one account sees it."""

    message: Message
    chat: str
    from_me: bool
    ack: int = 0
    delivered_to: set[str] = field(default_factory=set)
    read_by: set[str] = field(default_factory=set)
    reactions: dict[str, str] = field(default_factory=dict)
    votes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    edited: str | None = None
    revoked: bool = False
    hidden: bool = False

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id

    @property
    def kind(self) -> str:
        """WhatsApp's type of the message."""
        return self.message.kind

    @property
    def text(self) -> str:
        """The message's text."""
        return "" if self.revoked else self.edited if self.edited is not None else self.message.text

    @property
    def content(self) -> Frame:
        """The message as it stands now: edited, revoked, or not readable yet."""
        content = dict(self.message.content)
        if self.revoked:
            return {"type": "revoked"}
        if self.hidden:
            return {"type": "ciphertext"}
        if self.edited is not None:
            content["caption" if "mimetype" in content else "body"] = self.edited
        return content


@dataclass
class Device:
    """A linked page: what it is owed waits in `pending` until it confirms that it has stored it."""

    id: str
    name: str
    pending: dict[int, Frame] = field(default_factory=dict)
    link: Link | None = None
    sequence: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def owe(self, frame: Frame) -> None:
        """Deliver a frame now if the page is there, and in any case keep it until it is confirmed."""
        number = next(self.sequence)
        self.pending[number] = frame = {**frame, "seq": number}
        if self.link is not None:
            self.link.send(frame)


@dataclass
class Contact:
    """An entry of a phone's contact book."""

    number: str
    name: str


@dataclass
class Group:
    """A group; `addressing` says whether its members are shown by number (`pn`) or by hidden id (`lid`).

    Who is first in `participants` has founded it, and is an admin.
    """

    id: str
    subject: str
    participants: list[str]
    created: int
    addressing: str = "pn"
    admins: set[str] = field(default_factory=set)

    def wid_of(self, number: str) -> str:
        """A member's id inside this group."""
        return lid_wid(number) if self.addressing == "lid" else pn_wid(number)


@dataclass
class Account:
    """A phone with WhatsApp on it.

    Its pages name a person's chat by number, or by the hidden id: with `lid_chats` everybody's, else that of
    `lid_numbers`. `send_errors` are what the next messages of its pages fail with, one each.
    """

    number: str
    name: str
    contacts: dict[str, Contact] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    acts: dict[str, Entry] = field(default_factory=dict)
    offline: bool = False
    hold_acks: bool = False
    auto_deliver: bool = True
    presence_subscriptions: list[str] = field(default_factory=list)
    lid_chats: bool = False
    lid_numbers: set[str] = field(default_factory=set)
    send_errors: deque[str] = field(default_factory=deque)
    archived: set[str] = field(default_factory=set)
    pinned: set[str] = field(default_factory=set)

    @property
    def wid(self) -> str:
        """The account's id by number."""
        return pn_wid(self.number)

    @property
    def lid(self) -> str:
        """The account's hidden id."""
        return lid_wid(self.number)

    def owe_all(self, frame: Frame, but: str | None = None) -> None:
        """Owe a frame to every linked page, except the device `but`."""
        for device in self.devices.values():
            if device.id != but:
                device.owe(frame)


def new_message_id() -> str:
    """An id of the kind that phones choose."""
    return "3EB0" + secrets.token_hex(9).upper()

"""What happened, kept for tests: who submitted what, who got it, which page took it in. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.media import Media


@dataclass(frozen=True)
class Submission:
    """One frame of a page that asked to send; `duplicate` when its id had been submitted before.

    `kind` is WhatsApp's type of message (`chat`, `image`, `reaction`, …), `to` the chat's id as the page
    wrote it, `target` the message that a reaction, an edit, a revocation or a vote is about, `content` all
    that the page sent. `error` says why it was not accepted.
    """

    account: str
    id: str
    chat: str
    text: str
    at: float
    duplicate: bool
    accepted: bool
    kind: str = "chat"
    to: str = ""
    quoted_id: str | None = None
    mentions: tuple[str, ...] = ()
    target: str | None = None
    media: Media | None = None
    error: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """One message that reached one recipient, a phone number."""

    sender: str
    recipient: str
    id: str
    chat: str
    text: str
    at: float
    kind: str = "chat"


@dataclass(frozen=True)
class Reception:
    """One message that a linked page has stored and confirmed."""

    account: str
    device: str
    id: str
    at: float


@dataclass(frozen=True)
class ReadReceipt:
    """An account has read messages of a chat, and its page has told the server so."""

    account: str
    chat: str
    ids: tuple[str, ...]
    at: float


@dataclass
class Ledger:
    """Append-only lists; the methods only select."""

    submissions: list[Submission] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    receptions: list[Reception] = field(default_factory=list)
    read_receipts: list[ReadReceipt] = field(default_factory=list)

    def submissions_of(self, account: str, chat: str | None = None) -> list[Submission]:
        """Every submission of an account in the order of arrival, of one chat if one is named."""
        return [s for s in self.submissions if s.account == account and chat in (None, s.chat)]

    def deliveries_of(self, sender: str, chat: str | None = None) -> list[Delivery]:
        """Every delivery of an account's messages in order, of one chat if one is named."""
        return [d for d in self.deliveries if d.sender == sender and chat in (None, d.chat)]

    def receptions_of(self, account: str) -> list[Reception]:
        """Every message that this account's pages confirmed, in order."""
        return [r for r in self.receptions if r.account == account]

    def read_receipts_of(self, account: str) -> list[ReadReceipt]:
        """What this account's pages said they have read, in order."""
        return [r for r in self.read_receipts if r.account == account]

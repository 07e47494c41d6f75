"""What supervisors may read and write of the durable record: the whole of what they know of a store.

Facts that have happened are recorded by plain calls that return at once and are never refused: they keep
their order, and nobody is told of one before it is durable. What must be durable before the next step is
awaited.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from supervisors.machine import Incident, Publish, State
from supervisors.whatsapp.news import AccountNews, Acked, MessageChange, PageMessage


@attrs.frozen(kw_only=True)
class ConnectionFacts:
    """What is known of the linked account. Times are epoch milliseconds."""

    phone_number: str | None = None
    wid: str | None = None
    platform: str | None = None
    device_model: str | None = None
    client_version: str | None = None
    connected_at_ms: int | None = None
    linked_at_ms: int | None = None  # when the QR was scanned: nothing older is caught up with


class File(Protocol):
    """A file that waits with its message."""

    def open(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[bytes]]]:
        """Give a function that reads the next piece (768 KiB; b"" at the end), or raises OSError."""


@attrs.frozen(kw_only=True)
class Outgoing:
    """A message that waits to be sent; `message_id` was chosen when it was accepted."""

    message_id: str
    to: str
    kind: str  # "text", "media", "location", "contact", "poll", "reaction"
    content: Mapping[str, object]  # what the bridge's sender of that kind takes
    file: File | None = None  # the bytes of a medium
    quoted_id: str | None = None
    mentions: tuple[str, ...] = ()
    attempts: int = 0  # how often a page has been given it before

    @property
    def repeatable(self) -> bool:
        """Whether the page can be asked about it, and given it again under the same id."""
        return self.kind != "reaction"


class Journal(Protocol):
    """The record of one session. What is awaited raises STORE_FULL where the disk does not let it."""

    def transition(
        self,
        state: State,
        facts: ConnectionFacts,
        restarts_ms: Sequence[int],
        events: Sequence[Publish],
        incidents: Sequence[Incident],
        recorded: Callable[[], None],
    ) -> None:
        """Record what the session has become, with the events that tell it and the incidents behind it.

        `restarts_ms` is the ledger.
        `recorded` is called, from trio's thread, when it is durable.
        """

    def alerted(self, kind: str, detail: str) -> None:
        """Record that somebody should look at the session: one `session.alert`, and why in a sentence."""

    async def is_sending(self) -> bool:
        """Tell whether messages wait to be sent, or are being sent."""

    def received(self, message: PageMessage, *, recovered: bool) -> None:
        """Record a message that the page has; one that is known already is dropped."""

    def acked(self, ack: Acked) -> None:
        """Record how far an own message has come; steps back are dropped."""

    async def keep_file(self, key: str, data: bytes) -> None:
        """Keep the file of a message that came. Raises STORE_FULL."""

    def changed(self, change: MessageChange) -> None:
        """Record what somebody did to a message that is on record."""

    def noticed(self, news: AccountNews) -> None:
        """Record something that happened around the account: presence, a call, a group's members."""

    def resolved(self, message_id: str, key: str, chat_id: str) -> None:
        """Record the full key that the page has built, and the chat it found for the recipient."""

    def settled(self, message_id: str, ack: int) -> None:
        """Record that the message given to the page is acknowledged up to `ack` (1 sent … 4 played).

        Its file is kept until that is durable: a message that may have to be asked about may have to be sent.
        """

    def failed(self, message_id: str, code: str, message: str) -> None:
        """Record that the message will not be sent; `code` is one of the protocol's error words."""

    def keys_missing(self, message_id: str) -> None:
        """Record that the page had no encryption keys ("No sessions"): tried again later, up to a limit."""

    async def next_due(self) -> float | None:
        """Return in how many seconds the next message that waits for its time is due, None if none does."""

    async def take(self, limit: int) -> Sequence[Outgoing]:
        """Return the oldest waiting message of each chat that has none under way, at most `limit`.

        They are durably marked as given to a page when this returns; one that is lost then is found by
        `unsettled`. Cancelled: they may or may not be marked.
        """

    async def unsettled(self) -> Sequence[Outgoing]:
        """Return the messages that a page was given and whose outcome was not known, oldest first.

        What was recorded before the call counts, durable or not.
        """

    def put_back(self, message_id: str) -> None:
        """Record that the page was not ready and has done nothing with the message: it waits a little."""

    def caught_up(self, until_s: int) -> None:
        """Record that nothing is missing of what the account was sent until then (epoch seconds)."""

    async def caught_up_s(self) -> int | None:
        """Return until when nothing is missing; else the time of the newest message, None without any."""

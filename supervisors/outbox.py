"""Gives the page of one life the messages that wait, each once, in order within a chat.

What the page was given before a crash is asked about first; the page's answer, never a guess, decides whether
it is sent again (under the same id). Chats do not wait for one another.
"""

import math

import structlog
import trio

from protocol.errors import RpcError
from supervisors.chrome.errors import CallTimeout, ChromeError
from supervisors.faults import reached
from supervisors.journal import Journal, Outgoing
from supervisors.whatsapp.page import Failure, WhatsAppPage

_log = structlog.get_logger(__name__)

# Chats that are sent to at the same time. More would gain nothing: the page does its work in one thread.
CHATS_AT_ONCE = 8
# How long to wait before a disk that was full is tried again.
PUT_OFF_S = 5.0


class Outbox:
    """The sender of one life. `run` it while the page is there; tell it what changes."""

    def __init__(self, session_id: str, journal: Journal, page: WhatsAppPage) -> None:
        self._session_id = session_id
        self._journal = journal
        self._page = page
        self._under_way: dict[str, trio.CancelScope] = {}
        self._wake = trio.Event()
        self._connected = False
        self._ask = False

    def connected(self) -> None:
        """The page is connected, perhaps again: ask about what is unsettled, then go on sending."""
        self._connected = True
        self._ask = True
        self._wake.set()

    def disconnected(self) -> None:
        """Nothing more is given to the page until it is connected; what it was given stays with it."""
        self._connected = False

    def wake(self) -> None:
        """Messages may be waiting, or a chat may be free."""
        self._wake.set()

    def acknowledged(self, message_id: str) -> None:
        """The server has the message: nobody need wait for the page's own answer any longer."""
        scope = self._under_way.get(message_id)
        if scope is not None:
            scope.cancel()
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled. What is under way then stays unsettled, for the next life to ask about."""
        due_s: float | None = None
        async with trio.open_nursery() as nursery:
            while True:
                with trio.move_on_after(math.inf if due_s is None else due_s):
                    await self._wake.wait()
                self._wake = trio.Event()
                due_s = None
                if not self._connected:
                    continue
                try:
                    due_s = await self._dispatch(nursery)
                except RpcError as error:  # a full disk: nothing is given to the page that is not on record
                    _log.warning("sending_put_off", session_id=self._session_id, error=error.code)
                    due_s = PUT_OFF_S

    async def _dispatch(self, nursery: trio.Nursery) -> float | None:
        """Begin what can be begun; return in how many seconds more is due, None if only news can tell."""
        if self._ask:
            given = set(self._under_way)  # their outcomes may come while the record is read
            self._ask = False
            try:
                unsettled = await self._journal.unsettled()
            except RpcError:
                self._ask = True
                raise
            for message in unsettled:
                if message.message_id not in given:
                    self._begin(nursery, message, check=True)
        room = CHATS_AT_ONCE - len(self._under_way)
        if room <= 0:
            return None
        for message in await self._journal.take(room):
            self._begin(nursery, message, check=message.attempts > 0 and message.repeatable)
        return await self._journal.next_due()

    def _begin(self, nursery: trio.Nursery, message: Outgoing, *, check: bool) -> None:
        scope = self._under_way[message.message_id] = trio.CancelScope()
        nursery.start_soon(self._deliver, message, check, scope)

    async def _deliver(self, message: Outgoing, check: bool, scope: trio.CancelScope) -> None:
        try:
            with scope:
                if check and not message.repeatable:
                    reason = "A crash fell between asking the page and its answer"
                    self._journal.failed(message.message_id, "OUTCOME_UNKNOWN", reason)
                    return
                if not self._connected:  # no longer: the page went while the message was taken
                    if not message.repeatable:
                        self._journal.put_back(message.message_id)
                    return  # else it stays unsettled, and the page is asked when it is back
                reached("page.asked")
                answer = await self._page.deliver(message, check=check)
                reached("page.answered")
                if isinstance(answer, Failure):
                    if answer.code == "NOT_READY":  # nothing has been done with it
                        self._journal.put_back(message.message_id)
                        return
                    if answer.keys_missing:
                        self._journal.keys_missing(message.message_id)
                        return
                    code = answer.code if answer.code == "RECIPIENT_NOT_FOUND" else "PAGE_ERROR"
                    self._journal.failed(message.message_id, code, answer.message)
                elif answer.ack > 0 or answer.result == "OK":
                    self._journal.settled(message.message_id, max(1, answer.ack))
                elif answer.result is not None:
                    self._journal.failed(
                        message.message_id, "PAGE_ERROR", f"WhatsApp answered {answer.result}"
                    )
                # else: the page has it without an ack, and will send it itself; its ack comes as news.
        except CallTimeout:
            _log.warning("delivery_unanswered", session_id=self._session_id)
            self._ask = True
        except ChromeError as error:
            # The outcome is not known: it stays unsettled, and the page is asked when it is back.
            _log.info("delivery_interrupted", session_id=self._session_id, error=type(error).__name__)
        except OSError as error:
            self._journal.failed(
                message.message_id, "PAGE_ERROR", f"The file cannot be read: {error.strerror}"
            )
        finally:
            del self._under_way[message.message_id]
            self._wake.set()

"""Takes in what the page of one life tells of messages: recorded, then dealt with as the session wishes."""

import structlog
import trio

from protocol.errors import RpcError
from supervisors.session import Session
from supervisors.whatsapp.meanings import type_of
from supervisors.whatsapp.news import Message
from supervisors.whatsapp.page import WhatsAppPage

_log = structlog.get_logger(__name__)

# What waits to be marked as read or downloaded. More is left undone, and said so: a file can be asked for
# later.
MOST_WAITING = 1000


class Inbox:
    """The receiver of one life; `run` it while the page is there."""

    def __init__(self, session: Session, page: WhatsAppPage) -> None:
        self._session = session
        self._page = page
        self._later, self._waiting = trio.open_memory_channel[Message](MOST_WAITING)

    def take(self, told: Message) -> None:
        """Record a message; one that nobody wrote (a notice of WhatsApp's) is dropped."""
        message, wishes = told.message, self._session.preferences
        if type_of(message) is None:
            return
        self._session.journal.received(message, recovered=told.recovered)
        if message.from_me or not (wishes.mark_read or (wishes.auto_download_media and message.mimetype)):
            return
        try:
            self._later.send_nowait(told)
        except trio.WouldBlock:
            _log.warning("message_left_as_it_is", session_id=self._session.id, waiting=MOST_WAITING)

    async def run(self) -> None:
        """Mark as read and download what the session's settings say, one after the other, until cancelled."""
        async for told in self._waiting:
            message, wishes = told.message, self._session.preferences
            try:
                if wishes.auto_download_media and message.mimetype is not None:
                    _, data = await self._page.download(message.key, wishes.most_media_bytes)
                    await self._session.journal.keep_file(message.key, data)
                if wishes.mark_read:
                    await self._page.ask("markRead", {"key": message.key})
            except RpcError as error:
                _log.warning("message_left_as_it_is", session_id=self._session.id, error=error.code)

"""Has the page of one life tell what arrived while nobody listened, so that the record misses no message.

It knows since when messages may be missing; what is told is news like any other, and not its business.
"""

import time

import structlog
import trio

from supervisors.chrome.errors import CallTimeout
from supervisors.session import Session
from supervisors.whatsapp.page import Failure, WhatsAppPage

_log = structlog.get_logger(__name__)

# It begins this long before what is known to be on record: chats do not arrive in one order.
MARGIN_S = 300
# How often a connected page is compared with the record: a restart has to read again no more than that.
EVERY_S = 3600.0


class CatchUp:
    """The catching up of one life. `load` it before the page is listened to, `run` it when it is connected.

    It asks from when the last catch-up began that was completed; before the first, from the newest message
    that was on record before this page could add one. What is told live meanwhile moves neither.
    """

    def __init__(self, session: Session, page: WhatsAppPage) -> None:
        self._session = session
        self._page = page
        self._known_s: int | None = None
        self._scope = trio.CancelScope()

    async def load(self) -> None:
        """Find out until when the record is known to be complete."""
        self._known_s = await self._session.journal.caught_up_s()

    def forget(self) -> None:
        """Take it that the account is gone, with all that was known of it."""
        self._known_s = None
        self.stop()

    def stop(self) -> None:
        """Have `run` return."""
        self._scope.cancel()

    async def run(self) -> None:
        """Have the page tell what it has and the record may not, now and from time to time, until `stop`.

        Raises:
            ChromeError: the page or the browser went away.
        """
        with trio.CancelScope() as self._scope:
            while True:
                await self._ask()
                await trio.sleep(EVERY_S)

    async def _ask(self) -> None:
        began_s = int(time.time())
        try:
            answer = await self._page.catch_up(self._since_s(began_s))
        except CallTimeout:
            _log.warning("catch_up_failed", session_id=self._session.id, error="CallTimeout")
            return
        if isinstance(answer, Failure):
            _log.warning("catch_up_failed", session_id=self._session.id, error=answer.name)
        else:
            # A clock of ours that is ahead must not have messages taken for known before they are sent.
            self._known_s = began_s if answer.began_s is None else min(began_s, answer.began_s)
            self._session.journal.caught_up(self._known_s)
            _log.info("caught_up", session_id=self._session.id, messages=answer.told)

    def _since_s(self, now_s: int) -> int:
        linked_s = (self._session.facts.linked_at_ms or 0) // 1000
        if linked_s > now_s:
            linked_s = 0  # the clock was put back since
        if self._known_s is None:
            return linked_s or now_s
        return max(linked_s, min(self._known_s, now_s) - MARGIN_S)

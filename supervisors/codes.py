"""The codes that the page of one life shows: until when each is valid, and that an idle page shows more.

What a code means for the session (that it is not linked, or that its login is lost) the session itself says.
"""

import contextlib
import time

import structlog
import trio

from supervisors.chrome.errors import CallTimeout
from supervisors.session import Session
from supervisors.whatsapp import news
from supervisors.whatsapp.page import WhatsAppPage

_log = structlog.get_logger(__name__)

# How long WhatsApp shows a code: the first for 60 s, five more for 20 s each, then none until it is asked to.
# The page gives no time of expiry; measured on wa-js 4.6.0 and web.whatsapp.com's own rotation.
FIRST_CODE_S = 60
NEXT_CODE_S = 20
# A page that shows no codes when asked to is asked again after this long.
REFRESH_AGAIN_S = 5.0


class Codes:
    """The codes of one life; tell it when a row of them is over."""

    def __init__(self, session: Session, page: WhatsAppPage) -> None:
        self._session = session
        self._page = page
        self._first = True

    def over(self) -> None:
        """Take it that the page will show no more codes of this row: the next is the first of another."""
        self._first = True

    def take_qr(self, code: str | None) -> None:
        """Take the code that the page shows now, or that it shows none."""
        if code is None:
            self._session.hide_qr()
            return
        life_s = FIRST_CODE_S if self._first else NEXT_CODE_S
        self._first = False
        self._session.show_qr(code, int((time.time() + life_s) * 1000))

    def take_pairing(self, pairing: news.Pairing) -> None:
        """Take a code for linking by number, or that it is not valid any more."""
        if pairing.code is None:
            _log.info("pairing_ended", session_id=self._session.id, error=pairing.error)
            self._session.hide_pairing()
        else:
            self._session.show_pairing(pairing.phone_number, pairing.code)

    async def refresh(self) -> None:
        """Have an idle page show codes again, and ask again until it does; nothing is lost by asking.

        Raises:
            ChromeError: the page or the browser went away.
        """
        while True:
            with contextlib.suppress(CallTimeout):
                if await self._page.refresh_qr() is None:
                    return
            _log.warning("qr_refresh_failed", session_id=self._session.id)
            await trio.sleep(REFRESH_AGAIN_S)
            if self._session.qr is not None or self._session.state.status == "connected":
                return

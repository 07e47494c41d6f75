"""The codes that the page of one life shows: until when each is valid, and that an idle page shows more.

What a code means for the session (that it is not linked, or that its login is lost) the session itself says.
"""

import contextlib
import time

import structlog
import trio

from protocol.times import rfc3339
from supervisors import machine
from supervisors.chrome.errors import CallTimeout
from supervisors.session import PairingCode, Session
from supervisors.whatsapp import news
from supervisors.whatsapp.page import FIRST_CODE_S, NEXT_CODE_S, WhatsAppPage

_log = structlog.get_logger(__name__)

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
        expires_at_ms = int((time.time() + life_s) * 1000)
        self._session.show_qr(code, expires_at_ms, rfc3339(expires_at_ms))

    def take_pairing(self, pairing: news.Pairing) -> None:
        """Take a code for linking by number, or that it is not valid any more."""
        if pairing.code is None:
            _log.info("pairing_ended", session_id=self._session.id, error=pairing.error)
            self._session.hide_pairing()
            return
        self._session.show_pairing(pairing_code(pairing.phone_number, pairing.code))

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


def pairing_code(phone_number: str, code: str) -> PairingCode:
    """Return a code that the page has just given, with its expiry."""
    expires_at_ms = int((time.time() + machine.PAIRING_LIFE_S) * 1000)
    return PairingCode(
        phone_number=phone_number, code=code, expires_at_ms=expires_at_ms, expires_at=rfc3339(expires_at_ms)
    )

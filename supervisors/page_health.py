"""How the page of one life is, found by asking it: what is in it, what it lacks, and who it is that hangs.

It answers in the machine's words. When to ask, whom to tell, and whether that is news is for `page_life`.
"""

import contextlib
from collections.abc import Callable

import structlog

from supervisors.chrome.errors import CallTimeout, ContextDestroyed, TargetCrashed
from supervisors.chrome.tab import Tab
from supervisors.machine import PAGE_HUNG, Broke, Level, Lost, Mended, UpdateWanted
from supervisors.session import Session
from supervisors.whatsapp.page import Vitals, WhatsAppPage

_log = structlog.get_logger(__name__)

HALF_LOADED = "the page does not load to its end"
LIBRARY_MISSING = Broke("LIBRARY_MISSING", "the page library is not in the page")


class PageHealth:
    """The health of `page`, which `tab` shows.

    `ran_out_of_memory` tells whether a crash just now was for want of memory.
    """

    def __init__(
        self, session: Session, tab: Tab, page: WhatsAppPage, ran_out_of_memory: Callable[[], bool]
    ) -> None:
        self._session = session
        self._tab = tab
        self._page = page
        self._ran_out_of_memory = ran_out_of_memory
        self._vitals: Vitals | None = None
        self._update_told = False

    def forget(self) -> None:
        """Take it that another document comes."""
        self._vitals = None
        self._update_told = False

    def symptom(self) -> Broke | Lost:
        """Say what seems to be wrong with a page that shows neither a code nor a connection."""
        match self._vitals:
            case Vitals(fault=str(fault)):
                return Lost("NETWORK", fault)
            case Vitals(loaded=False):
                return Lost("NETWORK", HALF_LOADED)
            case None:
                return Broke(PAGE_HUNG, "the page did not load")
            case Vitals(library=False):
                return LIBRARY_MISSING
            case Vitals(ready=False):
                detail = "the page library does not find its way in the page"
                return Broke("LIBRARY_NOT_READY", self._page.pin.beside(detail))
            case _:
                return Broke(PAGE_HUNG, "no code and no connection came")

    async def check(self, timeout_s: float) -> Broke | Lost | UpdateWanted | None:
        """Have the page's event loop turn; return what is wrong in the page, or wanted.

        Raises:
            CallTimeout: it does not turn. Other ChromeErrors: there is none.
        """
        vitals = await self._page.probe(timeout_s)
        stalled = self._vitals is not None and self._vitals.progress == vitals.progress
        self._vitals = vitals
        fault = vitals.fault or (HALF_LOADED if stalled and not vitals.loaded else None)
        if fault is not None and self._session.state.status in ("connecting", "disconnected"):
            return Lost("NETWORK", self._page.pin.beside(fault))
        if vitals.loaded and not vitals.library:
            return LIBRARY_MISSING
        if vitals.needs_update and self._session.state.status == "connected":
            if not self._page.pin.would_stay:
                return UpdateWanted()
            if not self._update_told:
                self._update_told = True
                version = self._page.pin.served
                _log.info("page_update_not_taken", session_id=self._session.id, version=version)
        return None

    async def who_hangs(self, silence: str, timeout_s: float) -> Broke:
        """Say who it is that does not answer: the page, or the browser."""
        try:
            await self._tab.connection.call("Browser.getVersion", timeout_s=timeout_s / 2)
        except CallTimeout as error:
            return Broke("BROWSER_HUNG", str(error), Level.BROWSER)
        return Broke(PAGE_HUNG, silence, Level.LOOP)

    async def why_unloaded(self, silence: str, timeout_s: float) -> Broke | Lost:
        """Say why no document came: the page is stuck, or, if it answers, nothing came from the network."""
        try:
            await self._tab.stop_loading()  # until then nothing is answered
            await self._page.probe(timeout_s)
        except (CallTimeout, ContextDestroyed, TargetCrashed):
            return Broke(PAGE_HUNG, silence, Level.PAGE)
        return Lost("NETWORK", f"no answer came: {silence}")

    async def end_loop(self, timeout_s: float) -> Mended | Broke:
        """End the script that runs for too long; return what became of it."""
        try:
            with contextlib.suppress(ContextDestroyed):
                await self._tab.terminate_execution()
                await self._page.probe(timeout_s)
        except TargetCrashed:
            return self.crash("the page's renderer died in its loop")
        except CallTimeout:
            return Broke(PAGE_HUNG, "its loop could not be ended", Level.PAGE)
        return Mended()

    def crash(self, detail: str, status: str = "") -> Broke:
        """Say why the page crashed just now; `status` is what Chrome calls it."""
        out_of_memory = status == "oom" or self._ran_out_of_memory()
        return Broke("OUT_OF_MEMORY" if out_of_memory else "PAGE_CRASHED", detail)

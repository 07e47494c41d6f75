"""The life of one page of a session's browser: loaded, listened to, probed, with all that works beside it.

It tells what befalls the page, in the machine's words, and does what is asked of it; it decides nothing about
what follows. A page that broke is told of once, until something is done about it.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import structlog
import trio

from supervisors.catch_up import CatchUp
from supervisors.chrome import errors as chrome_errors
from supervisors.chrome.events import Event
from supervisors.chrome.tab import Crashed, Navigated, Tab
from supervisors.codes import Codes
from supervisors.inbox import Inbox
from supervisors.machine import PAGE_HUNG, PAGE_RELOADED, Broke, Level, Lost, Mended, UpdateWanted
from supervisors.outbox import Outbox
from supervisors.page_health import PageHealth
from supervisors.session import Session
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp import news
from supervisors.whatsapp.meanings import facts_of, standing
from supervisors.whatsapp.needs import features_without
from supervisors.whatsapp.page import WhatsAppPage
from supervisors.whatsapp.page_pin import DEPRECATED_VERSION, PAGE_NOT_STORED, PagePin
from supervisors.whatsapp.pages import PageNotStored, Pages

_log = structlog.get_logger(__name__)

# A browser that ends closes its page first, and needs no more than this between the two.
BROWSER_ENDS_S = 1.0
# A document may take this part of the connect timeout to come: then there is time to say why it did not.
LOAD_SHARE = 2 / 3
# Probes are put off by so small a part of their interval as to meet others': what wakes once, wakes for all.
PROBE_STEPS = 64

Task = Callable[..., Awaitable[None]]


class PageLife:
    """The life of the page of `tab`.

    `find_settings` gives those of now. `loaded` is set when the page has loaded or could not;
    `ran_out_of_memory` tells whether a crash just now was for want of memory.
    """

    def __init__(
        self,
        session: Session,
        find_settings: Callable[[], Awaitable[SupervisorSettings]],
        pages: Pages,
        tab: Tab,
        *,
        loaded: trio.Event,
        ran_out_of_memory: Callable[[], bool],
    ) -> None:
        self._session = session
        self._find_settings = find_settings
        self._tab = tab
        self._loaded = loaded
        self._pin = PagePin(tab, pages)
        self.page = WhatsAppPage(tab, self._pin)
        self.health = PageHealth(session, tab, self.page, ran_out_of_memory)
        self._outbox = Outbox(session.id, session.journal, self.page)
        self._inbox = Inbox(session, self.page)
        self._codes = Codes(session, self.page)
        self._catch_up = CatchUp(session, self.page)
        self._scope = trio.CancelScope()
        self._home = ""
        self._reload = trio.Event()
        self._begun = trio.Event()
        self._broken = False
        self._loop_to_end = False
        self._at_home = False
        self._leaving_document = False
        self._was_connected = False
        self._nursery: trio.Nursery | None = None

    # -- what may be asked of it

    def reconnect(self) -> None:
        """Load the page again."""
        self._forsake()
        self._broken = False
        self._session.hide_codes()
        self._reload.set()

    def end_loop(self) -> None:
        """End the script that was found to run for too long; `Mended` or `Broke` is told."""
        self._loop_to_end = True

    def take_over(self) -> None:
        """Take the connection from whoever else uses this login."""
        self._was_connected = False  # that it opens then is no new loss
        self._start(self.page.take_over)

    def send_outgoing(self) -> None:
        """Say that messages may be waiting."""
        self._outbox.wake()

    def leave(self) -> None:
        """Have `run` return; the page itself is left as it is."""
        self._scope.cancel()

    # -- its tasks

    async def run(self) -> None:
        """Live until `leave`.

        Raises:
            ConnectionClosed, in a group: the browser is gone.
        """
        with self._scope:
            await self._guard(self._live)
            await trio.sleep_forever()

    async def _live(self) -> None:
        await self._catch_up.load()
        documents = self._tab.documents.held()
        with self._tab.happenings() as happenings, self.page.news() as told, documents as held:
            async with trio.open_nursery() as self._nursery:
                for task in (self._inbox.run, self._outbox.run, self._navigate, self._probe):
                    self._nursery.start_soon(self._guard, task)
                self._nursery.start_soon(self._guard, self._listen, told)
                self._nursery.start_soon(self._guard, self._pin.answer, held, self._take_refusal)
                async for happening in happenings:
                    self._take_happening(happening)

    async def _guard(self, task: Task, *args: object) -> None:
        """Run a task of the page; errors of the page are told, those of the browser are raised."""
        try:
            await task(*args)
        except* chrome_errors.ConnectionClosed:
            raise
        except* chrome_errors.TargetDetached:
            await trio.sleep(BROWSER_ENDS_S)  # if that is why, it says more
            self._tell(Broke("PAGE_CLOSED", "the page was closed", Level.PAGE))
        except* (chrome_errors.TargetCrashed, chrome_errors.ContextDestroyed):
            _log.info("page_call_interrupted", session_id=self._session.id)  # the happening itself is told
        except* chrome_errors.CallTimeout as group:
            self._tell(Broke(PAGE_HUNG, str(group.exceptions[0]), Level.PAGE))
        except* chrome_errors.ChromeError as group:
            self._tell(Broke("PAGE_FAILED", str(group.exceptions[0]), Level.PAGE))

    def _tell(self, found: Broke | Lost | Mended | UpdateWanted) -> None:
        """Tell what befell the page; that it broke, once."""
        if isinstance(found, Broke):
            if self._broken:
                return
            self._broken = True
            if found.level > Level.LOOP:
                self._forsake()
        elif isinstance(found, Lost):
            self._outbox.disconnected()
        self._session.give(found)

    def _forsake(self) -> None:
        """Give the present document nothing more, and heed nothing of it."""
        self._outbox.disconnected()
        self._was_connected = False
        self._leaving_document = True
        self._catch_up.stop()

    def _take_happening(self, happening: Navigated | Crashed) -> None:
        match happening:
            case Crashed(status=status, code=code):
                detail = f"the page's renderer died: {status}, code {code}"
                self._tell(self.health.crash(detail, status))
            case Navigated(url=url) if _origin(url) == self._home:
                self._take_document()
            case Navigated(url=url) if urlsplit(url).scheme not in ("http", "https"):
                # Chrome's own page about an error, or the empty one. Where we had it load, that tells of it.
                if self._session.state.status in ("connected", "qr_generated"):
                    self._forsake()
                    self._tell(Lost("NETWORK", "the page wanted to load itself again, and could not"))
            case Navigated(url=url) if self._at_home:
                self._tell(Broke("NAVIGATED_AWAY", f"the page went to {_origin(url)}"))
            case Navigated(url=url):
                self._tell(Lost("NETWORK", f"the page's address led to {_origin(url)}"))

    def _take_document(self) -> None:
        self._at_home = True
        self._codes.over()
        self.health.forget()
        if self._was_connected:
            self._was_connected = False
            self._catch_up.stop()
            self._tell(Lost(PAGE_RELOADED, "the page loaded itself again"))
        else:
            self._session.login.loaded()
            self._leaving_document = False
            self._session.hide_codes()

    async def _navigate(self) -> None:
        """Load the page, and again whenever it is asked for."""
        connection, session_id = self._tab.connection, self._tab.session_id
        connection.subscribe(self._take_load, "Page.loadEventFired", session_id=session_id)
        while True:
            self._reload = trio.Event()
            settings = await self._find_settings()
            self._home = _origin(settings.whatsapp.url)
            self._at_home = False
            self.health.forget()
            failure = await self._load(settings)
            if failure is not None:
                if isinstance(failure, Lost):
                    self._leaving_document = False
                self._tell(failure)
                self._loaded.set()
            self._begun.set()
            await self._reload.wait()

    async def _load(self, settings: SupervisorSettings) -> Broke | Lost | None:
        """Load the page; return why it could not."""
        url, liveness = settings.whatsapp.url, settings.liveness
        try:
            await self._pin.prepare(url, liveness.probe_timeout)
            await self._tab.navigate(url, until="commit", timeout_s=liveness.connect_timeout * LOAD_SHARE)
        except chrome_errors.NavigationFailed as error:
            return Lost("NETWORK", error.error_text)
        except PageNotStored as error:
            return Lost(PAGE_NOT_STORED, str(error))
        except chrome_errors.TargetCrashed:
            self._loaded.set()  # again; the happening is told
        except chrome_errors.CallTimeout as error:
            return await self.health.why_unloaded(str(error), liveness.probe_timeout)
        return None

    async def _probe(self) -> None:
        """See to it that the page's event loop turns, and the browser's; and that the library is there."""
        await self._begun.wait()
        while True:
            liveness = (await self._find_settings()).liveness
            interval = min(liveness.probe_interval, liveness.connect_timeout / 3)
            step = interval / PROBE_STEPS
            await trio.sleep_until(math.ceil((trio.current_time() + interval) / step) * step)
            if self._broken or self._leaving_document:
                continue
            try:
                await self._pin.follow(liveness.probe_timeout)
                found = await self.health.check(liveness.probe_timeout)
            except (chrome_errors.ContextDestroyed, chrome_errors.TargetCrashed):
                continue  # it navigates: the next probe asks the new document
            except chrome_errors.CallTimeout as error:
                self._tell(await self.health.who_hangs(str(error), liveness.probe_timeout))
                await self._end_loop(liveness.probe_timeout)
            else:
                if found is not None and self._at_home:
                    self._tell(found)

    async def _end_loop(self, timeout_s: float) -> None:
        """End the page's loop where that is wanted; tell what came of it, though it is known to be broken."""
        if not self._loop_to_end:
            return
        self._loop_to_end = False
        became = await self.health.end_loop(timeout_s)
        self._broken = False
        self._tell(became)

    async def _listen(self, told: AsyncIterator[news.News]) -> None:
        async for item in told:
            match item:
                case news.PageState() | news.Qr() | news.Pairing() if self._leaving_document:
                    pass  # of a document that is about to go
                case news.PageState():
                    self._take_state(item)
                case news.Qr(code=code):
                    self._codes.take_qr(code)
                case news.Pairing():
                    self._codes.take_pairing(item)
                case news.Idle():
                    self._codes.over()
                    self._start(self._codes.refresh)
                case news.Logout():
                    self._was_connected = False
                    self._outbox.disconnected()  # what waits is for the account, not for an unlinked page
                    self._catch_up.forget()
                    self._session.unlink()
                case news.Banned(event=event):
                    self._tell(Lost("BANNED", event))
                case news.Message():
                    self._inbox.take(item)
                case news.Acked():
                    self._session.journal.acked(item)
                    if item.ack > 0:
                        self._outbox.acknowledged(item.id)
                case news.Edited() | news.Revoked() | news.Reacted() | news.Voted():
                    self._session.journal.changed(item)
                case news.Presence() | news.Call() | news.GroupChange():
                    self._session.journal.noticed(item)
                case news.Verified(missing=missing, early=early):
                    self._take_verdict(missing, early)
                case news.Resolved(id=message_id, key=key, chat_id=chat_id):
                    self._session.journal.resolved(message_id, key, chat_id)

    def _take_verdict(self, missing: tuple[str, ...], early: bool) -> None:
        session_id = self._session.id
        self._session.lacking = lacking = features_without(missing)
        if missing:
            _log.warning("store_objects_missing", session_id=session_id, names=missing, features=lacking)
        else:
            _log.info("store_objects_functional", session_id=session_id, early=early)

    def _take_state(self, state: news.PageState) -> None:
        self._pin.take_state(state)
        match standing(state):
            case "connected":
                self._was_connected = True
                self._codes.over()
                if not self._session.connect(facts_of(state)):
                    return
                self._outbox.connected()
                self._catch_up.stop()
                self._start(self._catch_up.run)
            case ("lost", reason):
                detail = f"socket {state.socket}"
                detail = self._pin.beside(detail) if reason == DEPRECATED_VERSION else detail
                self._tell(Lost(reason, detail))
            case "opening" if self._was_connected and state.authenticated:
                self._tell(Lost("NETWORK", f"socket {state.socket}"))
            case _:
                pass

    def _take_load(self, _event: Event) -> None:
        self._loaded.set()
        self._pin.take_load()

    def _take_refusal(self, reason: str, detail: str) -> None:
        """The page wanted to load itself again, and is shown an error in its place."""
        self._forsake()
        self._at_home = False
        self._tell(Lost(reason, self._pin.beside(detail)))

    def _start(self, task: Task) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._guard, task)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

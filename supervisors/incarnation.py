"""One life of a session: Chrome, its tab, the page, the bridge, the sender, in one nursery.

Whatever breaks first ends all of it; the cause that came first is the one reported, once, when nothing of the
life is left: no process, fd, lock or task. It decides nothing about what follows.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import attrs
import structlog
import trio

from protocol.times import rfc3339
from supervisors import machine
from supervisors.browsers import browser_of
from supervisors.chrome import errors as chrome_errors
from supervisors.chrome.cgroups import Delegation
from supervisors.chrome.launch import Chrome
from supervisors.chrome.locate import Browser
from supervisors.chrome.tab import Crashed, Navigated, Tab, attach_tab
from supervisors.inbox import Inbox
from supervisors.launches import Turn
from supervisors.machine import Died
from supervisors.outbox import Outbox
from supervisors.session import PairingCode, Session
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp import news
from supervisors.whatsapp import page as whatsapp
from supervisors.whatsapp.library import Library
from supervisors.whatsapp.needs import features_without

_log = structlog.get_logger(__name__)

# A launch gives its turn to the next session when its page has loaded, or after this long at most.
LAUNCH_TURN_S = 30.0
# A page that shows no codes when asked to is asked again after this long.
REFRESH_AGAIN_S = 5.0
# How many of the last lines that a browser wrote are logged when it died.
LAST_WORDS = 5
# Catching up begins this long before the newest message on record: chats do not arrive in one order.
CATCH_UP_MARGIN_S = 300


Task = Callable[..., Awaitable[None]]


@attrs.frozen(kw_only=True)
class Workplace:
    """What all lives share. No `browser` (nor `sandbox`): it runs elsewhere."""

    settings: SupervisorSettings
    browser: Browser | None
    sandbox: bool | None
    library: Library
    sessions_dir: Path
    cgroups: Delegation | None = None

    def directory(self, session_id: str) -> Path:
        """Return the directory of all that belongs to the session on disk."""
        return self.sessions_dir / session_id


WorkplaceFinder = Callable[[], Awaitable[Workplace]]


class Incarnation:
    """A life of `session`, launched in its `turn`; see `supervisors.session.Life`."""

    def __init__(self, session: Session, find_workplace: WorkplaceFinder, turn: Turn) -> None:
        self._session = session
        self._find_workplace = find_workplace
        self._turn = turn
        self._scope = trio.CancelScope()
        self._died: Died | None = None
        self._chrome: Chrome | None = None
        self._outbox: Outbox | None = None
        self.page: whatsapp.WhatsAppPage | None = None
        self._reload = trio.Event()
        self._loaded = trio.Event()
        self._first_code = True
        self._newest_s: int | None = None
        self._leaving_document = False
        self._was_connected = False

    @property
    def pid(self) -> int | None:
        process = None if self._chrome is None else self._chrome.process
        return None if process is None else process.pid

    def end(self, cause: str) -> None:
        self._die(cause)

    def reconnect(self) -> None:
        if self._outbox is not None:
            self._outbox.disconnected()
        self._was_connected = False
        self._leaving_document = True
        self._session.hide_codes()
        self._reload.set()

    def send_outgoing(self) -> None:
        if self._outbox is not None:
            self._outbox.wake()

    async def run(self) -> Died:
        with self._scope:
            try:
                with contextlib.closing(self._turn):
                    await self._live()
            except chrome_errors.BrowserUnavailable as error:
                self._die("BROWSER_UNAVAILABLE", error.reason, error.action)
            except chrome_errors.ProfileInUse as error:
                self._die("PROFILE_IN_USE", str(error))
            except chrome_errors.BrowserUnreachable as error:
                self._die("BROWSER_CRASHED", str(error))
            except chrome_errors.BrowserExited as error:
                self._die("BROWSER_CRASHED", f"{error}: {error.last_words[-500:]}")
        return Died("INTERNAL_ERROR") if self._died is None else self._died

    def _die(self, cause: str, detail: str | None = None, action: str | None = None) -> None:
        """Note the first cause, and end everything."""
        if self._died is None:
            self._died = Died(cause, detail, action)
        self._scope.cancel()

    async def _live(self) -> None:
        while not self._turn.has_come.is_set():
            if self._session.state.reason != self._turn.reason:
                self._session.give(machine.Queued(self._turn.reason))
                _log.info(
                    "launch_queued",
                    session_id=self._session.id,
                    ahead=self._turn.ahead,
                    reason=self._turn.reason,
                )
            await self._turn.news()
        workplace = await self._find_workplace()
        _log.info("launch_began", session_id=self._session.id)
        async with contextlib.AsyncExitStack() as stack:
            self._session.give(machine.Admitted())
            self._chrome = await stack.enter_async_context(
                browser_of(
                    self._session.id,
                    settings=workplace.settings,
                    browser=workplace.browser,
                    sandbox=workplace.sandbox,
                    sessions_dir=workplace.sessions_dir,
                    cgroups=workplace.cgroups,
                    login=self._session.login,
                )
            )
            stack.callback(setattr, self, "_chrome", None)
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(self._guard, self._watch_process, self._chrome)
            nursery.start_soon(self._guard, self._keep_page, self._chrome, workplace)
            with trio.move_on_after(LAUNCH_TURN_S):
                await self._loaded.wait()
            _log.info("launch_ended", session_id=self._session.id, loaded=self._loaded.is_set())
            self._turn.close()

    async def _guard(self, task: Task, *args: object) -> None:
        """Run a task of the life; Chrome's errors end the life, with the cause that they stand for."""
        try:
            await task(*args)
        except* chrome_errors.TargetCrashed:
            self._die("PAGE_CRASHED")
        except* chrome_errors.CallTimeout as group:
            self._die(machine.PAGE_HUNG, str(group.exceptions[0]))
        except* chrome_errors.ContextDestroyed:
            if task == self._keep_page:  # nobody listens any more
                self._die("PAGE_CRASHED", "the page went away")
            _log.info("page_call_interrupted", session_id=self._session.id)  # by a navigation
        except* chrome_errors.ConnectionClosed:
            await trio.sleep(1)  # the process's own end, seen at the same time, says more
            self._die("BROWSER_CRASHED", "the DevTools connection closed")
        except* chrome_errors.ChromeError as group:
            self._die("PAGE_CRASHED", str(group.exceptions[0]))

    async def _watch_process(self, chrome: Chrome) -> None:
        if chrome.process is None:
            await chrome.connection.ended()
            self._die("BROWSER_CRASHED", "the connection to the browser ended")
            return
        status = await chrome.process.wait()
        _log.warning(
            "browser_died",
            session_id=self._session.id,
            pid=chrome.process.pid,
            status=str(status),
            last_words="\n".join(chrome.process.last_words().splitlines()[-LAST_WORDS:]),
        )
        self._die("BROWSER_CRASHED", f"browser ended: {status}")

    async def _keep_page(self, chrome: Chrome, workplace: Workplace) -> None:
        tab = await attach_tab(chrome)
        page = whatsapp.WhatsAppPage(tab, workplace.library.injection(self._session.preferences.device_name))
        self._newest_s = await self._session.journal.newest_message_s()
        with tab.happenings() as happenings, page.news() as told:
            await page.prepare()
            self.page = page
            self._outbox = Outbox(self._session.id, self._session.journal, page)
            inbox = Inbox(self._session, page)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, told, page, inbox, nursery)
                nursery.start_soon(inbox.run)
                nursery.start_soon(self._outbox.run)
                nursery.start_soon(self._navigate, tab, workplace)
                nursery.start_soon(self._probe, tab, page)
                async for happening in happenings:
                    self._take_happening(happening)

    def _take_happening(self, happening: Navigated | Crashed) -> None:
        match happening:
            case Crashed():
                self._die("PAGE_CRASHED", "the page's renderer crashed")
            case Navigated() if self._was_connected:
                self._was_connected = False
                self._first_code = True
                self._lose("PAGE_RELOADED", "the page loaded itself again")
            case Navigated():
                self._session.login.loaded()
                self._leaving_document = False
                self._first_code = True
                self._session.hide_codes()

    async def _navigate(self, tab: Tab, workplace: Workplace) -> None:
        """Load the page, and again whenever it is asked for."""
        while True:
            self._reload = trio.Event()
            try:
                await tab.navigate(
                    workplace.settings.whatsapp.url,
                    until="commit",
                    timeout_s=workplace.settings.liveness.connect_timeout,
                )
            except chrome_errors.NavigationFailed as error:
                self._leaving_document = False
                self._session.give(machine.Lost("NETWORK", error.error_text))
            self._loaded.set()
            await self._reload.wait()

    async def _probe(self, tab: Tab, page: whatsapp.WhatsAppPage) -> None:
        """See to it that the page's event loop turns; an endless loop is ended once before the page is."""
        await self._loaded.wait()
        while True:
            await trio.sleep((await self._find_workplace()).settings.liveness.probe_interval)
            liveness = (await self._find_workplace()).settings.liveness
            try:
                await page.probe(liveness.probe_timeout)
            except chrome_errors.ContextDestroyed:
                continue  # it navigates: the next probe asks the new document
            except chrome_errors.CallTimeout:
                _log.warning("page_hung", session_id=self._session.id)
                with contextlib.suppress(chrome_errors.ContextDestroyed):
                    await tab.terminate_execution()
                    await page.probe(liveness.probe_timeout)

    async def _listen(
        self,
        told: AsyncIterator[news.News],
        page: whatsapp.WhatsAppPage,
        inbox: Inbox,
        nursery: trio.Nursery,
    ) -> None:
        async for item in told:
            match item:
                case news.PageState() | news.Qr() | news.Pairing() if self._leaving_document:
                    pass  # of a document that is about to go
                case news.PageState():
                    self._take_state(item, page, nursery)
                case news.Qr(code=code):
                    self._take_code(code)
                case news.Pairing():
                    self._take_pairing(item)
                case news.Idle():
                    self._first_code = True
                    nursery.start_soon(self._guard, self._refresh_qr, page)
                case news.Logout():
                    self._was_connected = False
                    if self._outbox is not None:  # what waits is for the account, not for an unlinked page
                        self._outbox.disconnected()
                    self._session.unlink()
                case news.Message():
                    inbox.take(item)
                case news.Acked():
                    self._session.journal.acked(item)
                    if self._outbox is not None and item.ack > 0:
                        self._outbox.acknowledged(item.id)
                case news.Edited() | news.Revoked() | news.Reacted() | news.Voted():
                    self._session.journal.changed(item)
                case news.Presence() | news.Call() | news.GroupChange():
                    self._session.journal.noticed(item)
                case news.Verified(missing=missing):
                    self._take_verdict(missing)
                case news.Resolved(id=message_id, key=key, chat_id=chat_id):
                    self._session.journal.resolved(message_id, key, chat_id)

    def _take_verdict(self, missing: tuple[str, ...]) -> None:
        self._session.lacking = features_without(missing)
        if missing:
            _log.warning(
                "store_objects_missing",
                session_id=self._session.id,
                names=missing,
                features=self._session.lacking,
            )
        else:
            _log.info("store_objects_functional", session_id=self._session.id)

    def _take_code(self, code: str | None) -> None:
        if code is None:
            self._session.hide_qr()
            return
        life_s = whatsapp.FIRST_CODE_S if self._first_code else whatsapp.NEXT_CODE_S
        self._first_code = False
        expires_at_ms = int((time.time() + life_s) * 1000)
        self._session.show_qr(code, expires_at_ms, rfc3339(expires_at_ms))

    def _take_pairing(self, pairing: news.Pairing) -> None:
        if pairing.code is None:
            _log.info("pairing_ended", session_id=self._session.id, error=pairing.error)
            self._session.hide_pairing()
            return
        self._session.show_pairing(pairing_code(pairing.phone_number, pairing.code))

    async def _refresh_qr(self, page: whatsapp.WhatsAppPage) -> None:
        """Have an idle page show codes again, and ask again until it does; nothing is lost by asking."""
        while True:
            with contextlib.suppress(chrome_errors.CallTimeout):
                if await page.refresh_qr() is None:
                    return
            _log.warning("qr_refresh_failed", session_id=self._session.id)
            await trio.sleep(REFRESH_AGAIN_S)
            if self._session.qr is not None or self._was_connected:
                return

    def _take_state(self, state: news.PageState, page: whatsapp.WhatsAppPage, nursery: trio.Nursery) -> None:
        match whatsapp.standing(state):
            case "connected":
                self._was_connected = True
                self._first_code = True
                if not self._session.connect(whatsapp.facts_of(state)):
                    return
                if self._outbox is not None:
                    self._outbox.connected()
                nursery.start_soon(self._guard, self._catch_up, page)
            case ("lost", reason):
                self._lose(reason, f"socket {state.socket}")
            case "opening" if self._was_connected and state.authenticated:
                self._lose("NETWORK", f"socket {state.socket}")
            case _:
                pass

    def _lose(self, reason: str, detail: str) -> None:
        if self._outbox is not None:
            self._outbox.disconnected()
        self._session.give(machine.Lost(reason, detail))

    async def _catch_up(self, page: whatsapp.WhatsAppPage) -> None:
        """Have the page tell what arrived while nobody listened.

        From when the last catch-up began; before the first, from the newest message that was on record before
        this life could add one. What is told live meanwhile moves neither.
        """
        began_s = int(time.time())
        linked_s = (self._session.facts.linked_at_ms or 0) // 1000
        known_s = self._session.caught_up_s or self._newest_s
        since_s = linked_s if known_s is None else max(linked_s, known_s - CATCH_UP_MARGIN_S)
        try:
            answer = await page.catch_up(since_s)
        except chrome_errors.CallTimeout:
            _log.warning("catch_up_failed", session_id=self._session.id, error="CallTimeout")
            return
        if isinstance(answer, whatsapp.Failure):
            _log.warning("catch_up_failed", session_id=self._session.id, error=answer.name)
        else:
            self._session.caught_up_s = began_s
            _log.info("caught_up", session_id=self._session.id, messages=answer)


def pairing_code(phone_number: str, code: str) -> PairingCode:
    """Return a code that the page has just given, with its expiry."""
    expires_at_ms = int((time.time() + machine.PAIRING_LIFE_S) * 1000)
    return PairingCode(
        phone_number=phone_number, code=code, expires_at_ms=expires_at_ms, expires_at=rfc3339(expires_at_ms)
    )

"""One life of a session: its Chrome, and one page after the other in it, in one nursery.

Whatever breaks the browser ends all of it; the cause that came first is the one reported, once, when nothing
of the life is left: no process, fd, lock or task. What befalls a page is told, and its successor made when
asked for: see `page_life`. It decides nothing about what follows.
"""

import contextlib
import math
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import structlog
import trio

from supervisors import machine
from supervisors.browsers import browser_of
from supervisors.chrome import errors as chrome_errors
from supervisors.chrome.cgroups import Delegation
from supervisors.chrome.launch import Chrome
from supervisors.chrome.locate import Browser
from supervisors.chrome.tab import PreloadScript, attach_tab, replace_tab
from supervisors.launches import Turn
from supervisors.machine import Died
from supervisors.page_life import PageLife
from supervisors.session import Session
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp.library import BINDING, Library
from supervisors.whatsapp.page import WhatsAppPage
from supervisors.whatsapp.pages import Pages

_log = structlog.get_logger(__name__)

# A launch gives its turn to the next session when its page has loaded, or after this long at most.
LAUNCH_TURN_S = 30.0
# How many of the last lines that a browser wrote are logged when it died.
LAST_WORDS = 5
BROWSER_HUNG = "BROWSER_HUNG"
# What Chromium 156 writes to its standard error (content/browser/gpu/gpu_process_host.cc, v8_oom.cc).
GPU_ENDED = re.compile(r"GPU process exited unexpectedly: (exit_code=-?\d+)")
OOM = "V8 javascript OOM"
# A renderer that dies so soon after those words died of them.
OOM_LIES_BACK_S = 10.0


Task = Callable[..., Awaitable[None]]


@attrs.frozen(kw_only=True)
class Workplace:
    """What all lives share. No `browser` (nor `sandbox`): it runs elsewhere."""

    settings: SupervisorSettings
    browser: Browser | None
    sandbox: bool | None
    library: Library
    pages: Pages
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
        self._page_life: PageLife | None = None
        self._loaded = trio.Event()
        self._last_oom = -math.inf

    @property
    def pid(self) -> int | None:
        process = None if self._chrome is None else self._chrome.process
        return None if process is None else process.pid

    @property
    def page(self) -> WhatsAppPage | None:
        return None if self._page_life is None else self._page_life.page

    def end(self, cause: str, detail: str | None = None) -> None:
        self._die(cause, detail)

    def reconnect(self) -> None:
        if self._page_life is not None:
            self._page_life.reconnect()

    def end_loop(self) -> None:
        if self._page_life is not None:
            self._page_life.end_loop()

    def take_over(self) -> None:
        if self._page_life is not None:
            self._page_life.take_over()

    def replace_page(self) -> None:
        if self._page_life is None or self._chrome is None:
            return
        if self._chrome.process is None:  # elsewhere it is the connection that opens and closes our page
            self._die("PAGE_CLOSED", "another page is opened")
            return
        self._session.hide_codes()
        self._page_life.leave()

    def send_outgoing(self) -> None:
        if self._page_life is not None:
            self._page_life.send_outgoing()

    def symptom(self) -> machine.Broke | machine.Lost:
        if self._page_life is None:
            return machine.Broke(BROWSER_HUNG, "the browser has no page yet", machine.Level.BROWSER)
        return self._page_life.health.symptom()

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
                self._die(exit_cause(error.status), f"{error}: {error.last_words[-500:]}")
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
                    proxy=self._session.preferences.proxy,
                )
            )
            stack.callback(setattr, self, "_chrome", None)
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(self._guard, self._watch_process, self._chrome)
            nursery.start_soon(self._guard, self._keep_pages, self._chrome, workplace)
            with trio.move_on_after(LAUNCH_TURN_S):
                await self._loaded.wait()
            _log.info("launch_ended", session_id=self._session.id, loaded=self._loaded.is_set())
            self._turn.close()

    async def _guard(self, task: Task, *args: object) -> None:
        """Run a task of the life; Chrome's errors end the life, with the cause that they stand for."""
        try:
            await task(*args)
        except* chrome_errors.CallTimeout as group:
            self._die(BROWSER_HUNG, str(group.exceptions[0]))
        except* chrome_errors.ConnectionClosed:
            await trio.sleep(1)  # the process's own end, seen at the same time, says more
            self._die("BROWSER_CRASHED", "the DevTools connection closed")
        except* chrome_errors.ChromeError as group:
            self._die("BROWSER_CRASHED", str(group.exceptions[0]))

    async def _watch_process(self, chrome: Chrome) -> None:
        if chrome.process is None:
            await chrome.connection.ended()
            self._die("BROWSER_CRASHED", "the connection to the browser ended")
            return
        chrome.process.on_line = self._take_line
        status = await chrome.process.wait()
        _log.warning(
            "browser_died",
            session_id=self._session.id,
            pid=chrome.process.pid,
            status=str(status),
            last_words="\n".join(chrome.process.last_words().splitlines()[-LAST_WORDS:]),
        )
        self._die(exit_cause(status), f"browser ended: {status}")

    def _take_line(self, line: str) -> None:
        """Take what the browser says of its own processes, and DevTools does not."""
        if (ended := GPU_ENDED.search(line)) is not None:
            detail = f"the GPU process ended: {ended[1]}; the browser starts it again"
            self._session.give(machine.Noticed("GPU_CRASHED", detail))
        elif OOM in line:
            self._last_oom = trio.current_time()

    def _ran_out_of_memory(self) -> bool:
        return trio.current_time() - self._last_oom < OOM_LIES_BACK_S

    async def _find_settings(self) -> SupervisorSettings:
        return (await self._find_workplace()).settings

    async def _keep_pages(self, chrome: Chrome, workplace: Workplace) -> None:
        injection = workplace.library.injection(self._session.preferences.device_name)
        tab = await attach_tab(chrome, PreloadScript(injection, BINDING))
        while True:
            self._page_life = PageLife(
                self._session,
                self._find_settings,
                workplace.pages,
                tab,
                loaded=self._loaded,
                ran_out_of_memory=self._ran_out_of_memory,
            )
            await self._page_life.run()
            tab = await replace_tab(chrome, tab)


def exit_cause(status: chrome_errors.ExitStatus | None) -> str:
    """Return the reason that the browser's end stands for; None: it never got ready, and was killed."""
    if status is None:
        return BROWSER_HUNG
    return "BROWSER_EXITED" if status.signal is None else "BROWSER_CRASHED"

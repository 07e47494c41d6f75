"""One page of a browser: navigated, evaluated in, listened to.

Must not know which page it is.
"""

from __future__ import annotations

import base64
import contextlib
import math
import re
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
import trio
from attrs import frozen

from supervisors.chrome.documents import Documents
from supervisors.chrome.errors import CallTimeout, DevToolsError, NavigationFailed, PageError, TargetCrashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from protocol.proxy import Proxy
    from supervisors.chrome.devtools import Connection
    from supervisors.chrome.events import Event, EventStream
    from supervisors.chrome.launch import Chrome

log = structlog.get_logger(__name__)

ATTACH_TIMEOUT_S: Final = 30.0
EVALUATE_TIMEOUT_S: Final = 30.0
NAVIGATE_TIMEOUT_S: Final = 60.0
CONSOLE_ENTRIES_KEPT: Final = 100

Call = tuple[str, dict[str, Any] | None]
"""A method and its parameters."""

Stage = Literal["commit", "DOMContentLoaded", "load"]
"""How far a navigation is waited for: the new document is there, is parsed, is there with all it needs."""


@frozen
class Navigated:
    """The page's main frame has a new document; what ran in the old one is gone."""

    url: str


@frozen
class Crashed:
    """The page's renderer died; only a navigation brings the page back.

    Args:
        status: Chrome's word for how, such as "crashed", "killed" or "oom".
        code: its exit code or signal.
    """

    status: str
    code: int


@frozen
class PreloadScript:
    """What runs in every document, in frames too, before the page's own scripts.

    Args:
        source: the JavaScript.
        binding: the name of a function that every document has, which takes one string: see `binding_calls`.
    """

    source: str
    binding: str


class Tab:
    """An attached page. Every method may raise what `devtools.Connection.call` does."""

    def __init__(
        self,
        connection: Connection,
        target_id: str,
        session_id: str,
        *,
        proxy: Proxy | None = None,
        preload: PreloadScript | None = None,
    ) -> None:
        self.connection = connection
        self.preload = preload
        self._proxy = proxy  # one that wants credentials
        self.target_id = target_id
        self.session_id = session_id
        self.documents = Documents(connection, target_id, session_id)
        self._console_entries = 0

    async def call(
        self, method: str, params: dict[str, Any] | None = None, *, timeout_s: float = EVALUATE_TIMEOUT_S
    ) -> dict[str, Any]:
        """Call any DevTools method in the page's session."""
        return await self.connection.call(method, params, session_id=self.session_id, timeout_s=timeout_s)

    async def prepare(self, override: Mapping[str, Any] | None) -> None:
        """Have the page tell what befalls it, call itself what `override` says, and run what is preloaded.

        All is asked at once, and has its answers before any navigation: one that overtakes them loses them.
        No deadline.
        """
        calls: list[Call] = [
            ("Inspector.enable", None),
            ("Page.enable", None),
            ("Page.setLifecycleEventsEnabled", {"enabled": True}),
        ]
        if override is not None:
            calls.append(("Emulation.setUserAgentOverride", dict(override)))
        if self.preload is not None:
            # Without Runtime a binding is lost when a navigation changes renderers. With it Chrome keeps
            # alive all that the page logs to its console, which would grow for as long as the session lives.
            self.connection.subscribe(
                self._count_console, "Runtime.consoleAPICalled", session_id=self.session_id
            )
            calls += [
                ("Runtime.enable", None),
                ("Runtime.addBinding", {"name": self.preload.binding}),
                ("Page.addScriptToEvaluateOnNewDocument", {"source": self.preload.source}),
            ]
        await self.connection.call_all(*calls, session_id=self.session_id, timeout_s=math.inf)

    def _count_console(self, _event: Event) -> None:
        self._console_entries += 1
        if self._console_entries % CONSOLE_ENTRIES_KEPT == 0:
            self.connection.post("Runtime.discardConsoleEntries", session_id=self.session_id)

    def binding_calls(
        self, name: str, *, events_max: int = 4096, most_characters: int | None = None
    ) -> AbstractContextManager[EventStream[str]]:
        """Collect, while the block lasts, the strings that the page gives to a binding.

        Args:
            name: of a binding.
            events_max: how many may wait; one more ends the stream with EventsOverflowed.
            most_characters: how much they may hold together, likewise; None: any size.
        """

        def pick(event: Event) -> str | None:
            payload: str = event.params["payload"]
            return payload if event.params["name"] == name else None

        return self.connection.events(
            pick,
            "Runtime.bindingCalled",
            session_id=self.session_id,
            events_max=events_max,
            weigh=len,
            weight_max=most_characters,
        )

    @contextlib.contextmanager
    def happenings(self) -> Iterator[EventStream[Navigated | Crashed]]:
        """Collect, while the block lasts, what befalls the page as a whole.

        The stream ends with TargetDetached when the page is closed, ConnectionClosed when the browser goes.
        """

        def pick(event: Event) -> Navigated | Crashed | None:
            match event.params:
                case {"targetId": self.target_id, "status": str(status), "errorCode": int(code)}:
                    return Crashed(status, code)
                case {"frame": {"url": str(url), **frame}} if "parentId" not in frame:
                    return Navigated(url)
                case _:
                    return None

        events: AbstractContextManager[EventStream[Navigated | Crashed]] = self.connection.events(
            pick, "Page.frameNavigated", session_id=self.session_id
        )
        with events as stream:
            # The browser's own news of it: only that says how the renderer died.
            unsubscribe = self.connection.subscribe(stream.put, "Target.targetCrashed")
            try:
                yield stream
            finally:
                unsubscribe()

    async def navigate(
        self, url: str, *, until: Stage = "load", timeout_s: float = NAVIGATE_TIMEOUT_S
    ) -> None:
        """Load a page; also brings back one that crashed.

        Args:
            url: what to load.
            until: how far to wait.
            timeout_s: seconds for all of it.

        Raises:
            NavigationFailed: with Chrome's reason. A status such as 404 is no failure, if a document came.
            CallTimeout: it took too long; it goes on all the same.
            TargetCrashed: the renderer died on the way.
        """
        passing_by = self._proxy is not None and not self.documents.holding
        if passing_by:
            # A document that a service worker fetches would not be asked for credentials through this page.
            with contextlib.suppress(TargetCrashed):  # then Chrome knows the credentials by now
                await self.call("Network.enable")
                await self.call("Network.setBypassServiceWorker", {"bypass": True})
        try:
            await self._load(url, until, timeout_s)
        finally:
            if passing_by and not self.documents.holding:
                self.connection.post("Network.disable", session_id=self.session_id)

    async def _load(self, url: str, until: Stage, timeout_s: float) -> None:
        watched = ("Page.frameNavigated", "Page.lifecycleEvent", "Inspector.targetCrashed")
        with (
            self.connection.events(lambda event: event, *watched, session_id=self.session_id) as events,
            trio.move_on_after(timeout_s),
        ):
            reply = await self.call("Page.navigate", {"url": url}, timeout_s=math.inf)
            if "errorText" in reply:
                raise NavigationFailed(url, reply["errorText"])
            if reply.get("isDownload"):
                raise NavigationFailed(url, "it is a download")
            if "loaderId" in reply:  # else it is the same document, at another fragment
                await _arrival(events, reply["loaderId"], until)
            return
        raise CallTimeout("Page.navigate", timeout_s)

    async def evaluate(self, expression: str, *, timeout_s: float = EVALUATE_TIMEOUT_S) -> Any:
        """Evaluate JavaScript in the page's main frame and return its value, which must be JSON-like.

        A promise is waited for.

        Args:
            expression: the JavaScript.
            timeout_s: seconds to wait. What runs too long goes on running: see `terminate_execution`.

        Raises:
            PageError: it threw, or the promise was rejected.
            ContextDestroyed: the page navigated away meanwhile.
            CallTimeout, TargetCrashed: as they say.
        """
        params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        reply = await self.call("Runtime.evaluate", params, timeout_s=timeout_s)
        if "exceptionDetails" in reply:
            raise _page_error(reply["exceptionDetails"])
        result = reply["result"]
        if "unserializableValue" in result:
            text = result["unserializableValue"]
            try:
                return int(text[:-1]) if text.endswith("n") else float(text.replace("Infinity", "inf"))
            except ValueError:  # a number of thousands of digits
                raise PageError("RangeError", "the page gave a number that is too long") from None
        return result.get("value")

    async def terminate_execution(self, *, timeout_s: float = 5.0) -> None:
        """Stop the JavaScript that runs now, such as an endless loop; the page stays."""
        await self.call("Runtime.terminateExecution", timeout_s=timeout_s)

    async def stop_loading(self, *, timeout_s: float = 5.0) -> None:
        """Give up the navigation that is under way; the present document stays."""
        await self.call("Page.stopLoading", timeout_s=timeout_s)

    async def screenshot(self, *, timeout_s: float = EVALUATE_TIMEOUT_S) -> bytes:
        """Return what the page looks like, as PNG."""
        reply = await self.call("Page.captureScreenshot", {"format": "png"}, timeout_s=timeout_s)
        return base64.b64decode(reply["data"])

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Close the page without asking it."""
        await self.connection.call("Target.closeTarget", {"targetId": self.target_id}, timeout_s=timeout_s)


async def attach_tab(
    chrome: Chrome, preload: PreloadScript | None = None, *, timeout_s: float = ATTACH_TIMEOUT_S
) -> Tab:
    """Prepare the browser, and attach to its page, or its first one, the empty one that it starts with.

    The page and all its workers say what `Chrome.user_agent_override` has them say. Dialogs are answered (a
    wish to stay on the page is not granted), for they would block the page; downloads are refused.

    Args:
        chrome: the browser.
        preload: what its documents run first, from the next one on.
        timeout_s: seconds for all of it.

    Raises:
        CallTimeout: it took too long.
    """
    connection = chrome.connection
    with trio.move_on_after(timeout_s):
        override = chrome.user_agent_override
        calls: list[Call] = [] if override is None else [_prepare_workers(connection, override)]
        *_, found = await connection.call_all(
            *calls,
            ("Browser.setDownloadBehavior", {"behavior": "deny"}),
            ("Target.setDiscoverTargets", {"discover": True, "filter": [{"type": "page"}]}),
            ("Target.getTargets", None),
            timeout_s=math.inf,
        )
        return await _attach(chrome, chrome.target_id or await _first_page(connection, found), preload)
    raise CallTimeout("Target.attachToTarget", timeout_s)


async def replace_tab(chrome: Chrome, old: Tab, *, timeout_s: float = ATTACH_TIMEOUT_S) -> Tab:
    """Open another page, attach to it as `attach_tab` does, and close the old one, in whatever state it is.

    Raises:
        CallTimeout: it took too long.
    """
    with trio.move_on_after(timeout_s):
        reply = await chrome.connection.call(
            "Target.createTarget", {"url": "about:blank"}, timeout_s=math.inf
        )
        tab = await _attach(chrome, reply["targetId"], old.preload)
        with contextlib.suppress(DevToolsError):  # it is closed already
            await old.close(timeout_s=math.inf)
        return tab
    raise CallTimeout("Target.createTarget", timeout_s)


async def _attach(chrome: Chrome, target_id: str, preload: PreloadScript | None) -> Tab:
    connection = chrome.connection
    reply = await connection.call(
        "Target.attachToTarget", {"targetId": target_id, "flatten": True}, timeout_s=math.inf
    )
    proxy = chrome.proxy if chrome.proxy is not None and chrome.proxy.user is not None else None
    tab = Tab(connection, target_id, reply["sessionId"], proxy=proxy, preload=preload)
    connection.subscribe(
        lambda event: _answer_dialog(connection, event),
        "Page.javascriptDialogOpening",
        session_id=tab.session_id,
    )
    await tab.prepare(chrome.user_agent_override)
    if proxy is not None:
        await tab.documents.authenticate(proxy)
    return tab


def _prepare_workers(connection: Connection, override: Mapping[str, Any]) -> Call:
    """Have service and shared workers wait at their start until they know what to call themselves.

    Returns what is to be called for that.
    """

    def prepare(event: Event) -> None:
        session_id = event.params["sessionId"]
        if event.params["waitingForDebugger"]:
            connection.post("Emulation.setUserAgentOverride", dict(override), session_id=session_id)
            connection.post("Runtime.runIfWaitingForDebugger", session_id=session_id)

    connection.subscribe(prepare, "Target.attachedToTarget")
    workers = [{"type": "service_worker"}, {"type": "shared_worker"}]
    params = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True, "filter": workers}
    return "Target.setAutoAttach", params


async def _first_page(connection: Connection, found: Mapping[str, Any]) -> str:
    """Return the first page of the targets found; without any, a new one."""
    pages = [target["targetId"] for target in found["targetInfos"] if target["type"] == "page"]
    if not pages:
        reply = await connection.call("Target.createTarget", {"url": "about:blank"}, timeout_s=math.inf)
        pages = [reply["targetId"]]
    target_id: str = pages[0]
    return target_id


async def _arrival(events: EventStream[Event], loader_id: str, until: Stage) -> None:
    """Wait until the document of `loader_id` is there, as far as `until` says."""
    async for event in events:
        if event.method == "Inspector.targetCrashed":
            raise TargetCrashed
        if event.method == "Page.frameNavigated":
            frame = event.params["frame"]
            if until == "commit" and "parentId" not in frame and frame["loaderId"] == loader_id:
                return
        elif event.params["loaderId"] == loader_id and event.params["name"] == until:
            return


def _answer_dialog(connection: Connection, event: Event) -> None:
    kind = event.params["type"]
    log.debug("page_dialog_answered", kind=kind)
    answer = {"accept": kind == "beforeunload"}
    connection.post("Page.handleJavaScriptDialog", answer, session_id=event.session_id)


def _page_error(details: dict[str, Any]) -> PageError:
    thrown = details.get("exception", {})
    if thrown.get("subtype") != "error":
        value = thrown.get("value", thrown.get("description", details.get("text", "")))
        return PageError("Error", str(value))
    headline = thrown.get("description", "").partition("\n    at ")[0]
    # "Name: message" or "Name"; the class may be called otherwise than the error calls itself.
    named = re.fullmatch(r"([\w$.]+)(?:: (.*))?", headline, re.DOTALL)
    if named is None:
        return PageError(thrown.get("className", "Error"), headline)
    return PageError(named[1], named[2] or "")

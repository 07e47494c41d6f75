"""What a tab gets as WhatsApp's page: the site's own document, or in its place the version that is kept.

The site is asked all the same, and only its answer is replaced: what the network does, and a proxy that wants
credentials, is met as it is without. A document that a service worker has stored is not asked for.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import structlog
import trio

from supervisors.chrome.documents import Held
from supervisors.chrome.errors import CallTimeout, DevToolsError, TargetCrashed
from supervisors.chrome.tab import Tab
from supervisors.whatsapp.news import PageState
from supervisors.whatsapp.pages import Document, PageNotStored, Pages, kept_headers

_log = structlog.get_logger(__name__)

PAGE_NOT_STORED: Final = "PAGE_NOT_STORED"
DEPRECATED_VERSION: Final = "DEPRECATED_VERSION"
# A page that is too old for WhatsApp loads itself again for an update, and gets the same: so often within
# this time, and it is taken for refused. One that is logged out, and linked again, does so once or twice.
# https://github.com/wwebjs/whatsapp-web.js/issues/2733 tells of one that never ended.
MOST_RELOADS: Final = 3
RELOADS_WITHIN_S: Final = 120.0
_OK: Final = 200

Refuse = Callable[[str, str], None]
"""Told the reason and a sentence when a document is refused to the page."""


class Capture:
    """The site's own document, taken on its way to the page; complete when both events are set."""

    def __init__(self) -> None:
        self.loaded = trio.Event()  # to its end
        self.named = trio.Event()  # the page library has found its way in it
        self._version = ""
        self._held: Held | None = None
        self._body = b""

    @property
    def taken(self) -> bool:
        """Whether the document has come."""
        return self._held is not None

    def take(self, held: Held, body: bytes) -> None:
        """Note the document."""
        self._held, self._body = held, body

    def name(self, version: str) -> None:
        """Note what the page that came of it says its version is."""
        if self.taken and not self.named.is_set():
            self._version = version
            self.named.set()

    def document(self) -> Document:
        """Return what is to be kept of it, once it is complete."""
        return Document(
            version=self._version,
            saved_at_ms=int(time.time() * 1000),
            headers=() if self._held is None else kept_headers(self._held.headers),
            body=self._body,
        )


class PagePin:
    """The documents of one tab; `served` is the version of the present one where it is one that is kept.

    `capturing` says whether somebody waits for the site's own.
    """

    def __init__(self, tab: Tab, pages: Pages) -> None:
        self.served: str | None = None
        self.capturing = False
        self._tab = tab
        self._pages = pages
        self._capture: Capture | None = None
        self._url = ""
        self._expected = False
        self._reloads: list[float] = []

    @property
    def would_stay(self) -> bool:
        """Whether to load the page again would bring the version that is there."""
        return self.served is not None and self.served == self._pages.pinned

    def beside(self, detail: str) -> str:
        """Say beside what is wrong that the page is of a stored version, where it is."""
        return detail if self.served is None else f"{detail}; the page is kept at version {self.served}"

    @contextmanager
    def capture(self) -> Iterator[Capture]:
        """Let the site's own document through at the next load, and take it, while the block lasts.

        One at a time: see `capturing`.
        """
        capture = self._capture = Capture()
        self.capturing = True
        try:
            yield capture
        finally:
            self._capture = None
            self.capturing = False

    async def prepare(self, url: str, timeout_s: float) -> None:
        """Make ready for a load of `url` that the daemon asks for.

        Raises:
            PageNotStored: there is nothing to put in its place. What `Documents.hold` does.
        """
        self._url = url
        self._expected = True
        if self._capture is None:
            await self._pages.in_use()
        await self.follow(timeout_s)

    async def follow(self, timeout_s: float) -> None:
        """Hold the tab's documents from now on if there is something to put in their place, else no more."""
        if self._pages.pinned is not None or self._capture is not None:
            await self._tab.documents.hold(timeout_s)
        else:
            self._tab.documents.release()

    def take_state(self, state: PageState) -> None:
        """Take what the page says of itself."""
        if self._capture is not None and state.ready and state.version is not None:
            self._capture.name(state.version)

    def take_load(self) -> None:
        """Take it that the document has come to its end."""
        if self._capture is not None and self._capture.taken:
            self._capture.loaded.set()

    async def answer(self, held: AsyncIterator[Held], refuse: Refuse) -> None:
        """Answer what the tab's documents are held for; raises what ends that."""
        async for one in held:
            try:
                await self._answer(one, refuse)
            except (DevToolsError, CallTimeout, TargetCrashed) as error:  # it goes elsewhere by now
                _log.debug("document_not_answered", error=str(error))
                self._tab.documents.let_through(one)

    async def _answer(self, held: Held, refuse: Refuse) -> None:
        documents, capture = self._tab.documents, self._capture
        if held.status != _OK or not self._is_page(held.url):
            documents.let_through(held)
            return
        expected, self._expected = self._expected, False
        self._capture = None if capture is None or capture.taken else capture  # it is another document by now
        if self._capture is not None:
            self.served = None
            self._capture.take(held, await documents.body(held))
            documents.let_through(held)
            return
        try:
            document = await self._pages.in_use()
        except PageNotStored as error:
            documents.refuse(held)
            refuse(PAGE_NOT_STORED, str(error))
            return
        if document is None:
            self.served = None
            documents.let_through(held)
        elif not expected and self._turns():
            documents.refuse(held)
            refuse(DEPRECATED_VERSION, "it loads itself again and again")
        else:
            self.served = document.version
            await documents.replace(held, document.headers, document.body)

    def _is_page(self, url: str) -> bool:
        """Whether it is the page's own address, whatever is asked of it: it loads itself with a query."""
        found, ours = urlsplit(url), urlsplit(self._url)
        return (found.scheme, found.netloc, found.path or "/") == (ours.scheme, ours.netloc, ours.path or "/")

    def _turns(self) -> bool:
        """Whether the page loads itself again too often; this time counts."""
        now = trio.current_time()
        self._reloads = [at for at in self._reloads if at > now - RELOADS_WITHIN_S] + [now]
        return len(self._reloads) > MOST_RELOADS

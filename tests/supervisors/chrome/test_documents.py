"""A tab's documents, held: only those of its main frame, and only when their answers have come."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio

from supervisors.chrome.errors import NavigationFailed
from supervisors.chrome.tab import attach_tab

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.chrome.documents import Held
    from supervisors.chrome.locate import Browser
    from supervisors.chrome.tab import Tab

    from .conftest import Opener, Site

pytestmark = pytest.mark.chrome

POLICY = "default-src 'none'; script-src 'nonce-right'; frame-src 'self'"
LARGE = "x" * 3_000_000
KEPT = (
    "<!doctype html><title>kept</title><script nonce=wrong>document.title = 'scripted'</script>"
    "<script nonce=right>window.ran = true</script>"
    f"<iframe src=/frame></iframe><!-- {LARGE} -->"
).encode()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_what_is_held_is_replaced_refused_or_let_through(
    browser: Browser, opener: Opener, site: Site
) -> None:
    site.pages["/frame"] = ("text/html", "<!doctype html><title>frame</title>")
    seen: list[Held] = []
    answers: list[Callable[[Held], object]] = []

    async def answer(tab: Tab) -> None:
        with tab.documents.held() as held:
            async for one in held:
                seen.append(one)
                if not answers:
                    await tab.documents.replace(one, [("content-security-policy", POLICY)], KEPT)
                else:
                    answers[0](one)

    with trio.fail_after(60):
        async with opener(browser) as chrome, trio.open_nursery() as nursery:
            tab = await attach_tab(chrome)
            nursery.start_soon(answer, tab)
            await tab.navigate(site.url())
            assert seen == []
            await tab.documents.hold(10)
            await tab.navigate(site.url("/?again"))
            state = (
                "[document.title, window.ran, performance.getEntriesByType('navigation')[0].responseStatus]"
            )
            assert await tab.evaluate(state) == ["kept", True, 200]
            assert await tab.evaluate("frames[0].document.title") == "frame"
            assert await tab.evaluate("document.documentElement.outerHTML.length") > len(LARGE)
            assert [(one.url, one.status) for one in seen] == [(site.url("/?again"), 200)]
            assert ("content-type", "text/html") in [(n.lower(), v) for n, v in seen[0].headers]
            assert [path for path, _ in site.requests if path.startswith("/?")] == ["/?again"]

            answers.append(tab.documents.refuse)
            with pytest.raises(NavigationFailed, match="ERR_BLOCKED_BY_CLIENT"):
                await tab.navigate(site.url("/?refused"))
            answers[0] = tab.documents.let_through
            with pytest.raises(NavigationFailed, match="ERR_CONNECTION_REFUSED"):
                await tab.navigate(f"http://localhost:{closed_port()}/")
            assert seen[-1].status is None
            await tab.navigate(site.url("/?through"))
            assert await tab.evaluate("document.title") == "test"

            held_before = len(seen)
            tab.documents.release()
            await tab.navigate(site.url("/?free"))
            assert await tab.evaluate("document.title") == "test"
            assert len(seen) == held_before
            nursery.cancel_scope.cancel()

"""A browser that somebody else runs: used, left as it was found, and mistaken for nothing else."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import trio

from supervisors.chrome.errors import BrowserUnreachable, ConnectionClosed
from supervisors.chrome.remote import connect_browser
from supervisors.chrome.tab import attach_tab

from .conftest import open_fds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from supervisors.chrome.launch import Chrome, StartedChrome
    from supervisors.chrome.locate import Browser

    from .conftest import Opener, Site

pytestmark = pytest.mark.chrome


@pytest.fixture
async def other(browser: Browser, opener: Opener) -> AsyncIterator[StartedChrome]:
    """The browser, as its own owner sees it."""
    async with opener(browser, listening=True) as chrome:
        await until_pages(chrome, "about:blank")
        yield chrome


@pytest.fixture
def endpoint(other: StartedChrome, tmp_path: Path) -> str:
    port, _ = (tmp_path / "profile" / "DevToolsActivePort").read_text().split()
    return f"http://127.0.0.1:{port}"


def connect(endpoint: str, site: Site, *, clear: bool = False) -> AbstractAsyncContextManager[Chrome]:
    return connect_browser(endpoint, site=site.url(""), clear=clear, session_id="test")


async def pages(chrome: Chrome) -> list[str]:
    reply = await chrome.connection.call("Target.getTargets")
    return sorted(target["url"] for target in reply["targetInfos"] if target["type"] == "page")


async def until_pages(chrome: Chrome, *urls: str) -> None:
    """Wait for exactly these pages; Chrome opens and closes them after it has said that it does."""
    with trio.fail_after(10):
        while await pages(chrome) != sorted(urls):  # noqa: ASYNC110  # it is in another process
            await trio.sleep(0.02)


async def test_it_is_left_as_it_was_found(other: StartedChrome, endpoint: str, site: Site) -> None:
    before = await pages(other)
    with trio.fail_after(30):
        async with connect(endpoint, site) as chrome:
            assert chrome.process is None
            tab = await attach_tab(chrome)
            await tab.navigate(site.url())
            assert await tab.evaluate("document.title") == "test"
            assert "Headless" not in site.requests[0][1]["User-Agent"]
            await until_pages(other, *before, site.url())
        await until_pages(other, *before)


async def test_a_cancellation_at_any_time_leaves_it_so(
    other: StartedChrome, endpoint: str, site: Site
) -> None:
    before = await pages(other), open_fds()
    for after_s in (0, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1):
        with trio.fail_after(30), trio.move_on_after(after_s):
            async with connect(endpoint, site) as chrome:
                tab = await attach_tab(chrome)
                await tab.evaluate("new Promise(() => {})")
    await until_pages(other, *before[0])
    with trio.fail_after(5):
        while open_fds() != before[1]:  # noqa: ASYNC110  # the thread that asked for the socket
            await trio.sleep(0.05)


async def test_the_last_page_leaves_a_successor(other: StartedChrome, endpoint: str, site: Site) -> None:
    with trio.fail_after(30):
        async with connect(endpoint, site) as chrome:
            reply = await other.connection.call("Target.getTargets")
            for target in reply["targetInfos"]:
                if target["type"] == "page" and target["targetId"] != chrome.target_id:
                    await other.connection.call("Target.closeTarget", {"targetId": target["targetId"]})
            await until_pages(other, "about:blank")
        await until_pages(other, "about:blank")


async def test_what_an_earlier_daemon_left_is_closed(other: StartedChrome, endpoint: str, site: Site) -> None:
    before = await pages(other)
    left, others = site.url("/?left"), site.url().replace("localhost", "127.0.0.1")
    for url in (left, others):
        await other.connection.call("Target.createTarget", {"url": url})
    await until_pages(other, *before, left, others)
    with trio.fail_after(30):
        async with connect(endpoint, site):
            await until_pages(other, *before, others, "about:blank")


async def test_storage_is_kept_or_cleared(other: StartedChrome, endpoint: str, site: Site) -> None:
    found = []
    with trio.fail_after(60):
        for clear in (True, False, True):
            async with connect(endpoint, site, clear=clear) as chrome:
                tab = await attach_tab(chrome)
                await tab.navigate(site.url())
                found.append(await tab.evaluate("[localStorage.login, document.cookie]"))
                await tab.evaluate("localStorage.login = 'x', document.cookie = 'c=1'")
    assert found == [[None, ""], ["x", "c=1"], [None, ""]]


async def test_its_death_is_seen(other: StartedChrome, endpoint: str, site: Site) -> None:
    with trio.fail_after(30):
        async with connect(endpoint, site) as chrome:
            tab = await attach_tab(chrome)
            os.kill(other.process.pid, signal.SIGKILL)
            with trio.fail_after(2):
                await chrome.connection.ended()
            with pytest.raises(ConnectionClosed):
                await tab.evaluate("1")
        with pytest.raises(BrowserUnreachable):
            async with connect(endpoint, site):
                pytest.fail("it is dead")


async def test_one_that_does_not_answer_is_given_up(other: StartedChrome, endpoint: str, site: Site) -> None:
    os.kill(other.process.pid, signal.SIGSTOP)
    with pytest.raises(BrowserUnreachable, match="within"), trio.fail_after(10):
        async with connect_browser(
            endpoint, site=site.url(""), clear=False, session_id="test", connect_timeout_s=0.3
        ):
            pytest.fail("it is stopped")
    os.kill(other.process.pid, signal.SIGCONT)

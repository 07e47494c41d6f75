"""A page that navigates, throws, loops, crashes and talks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from supervisors.chrome.errors import (
    CallTimeout,
    ContextDestroyed,
    EventsOverflowed,
    MessageTooLarge,
    NavigationFailed,
    PageError,
    TargetCrashed,
    TargetDetached,
)
from supervisors.chrome.tab import Crashed, Navigated, PreloadScript, Tab, attach_tab
from tests.processes import children

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from supervisors.chrome.launch import StartedChrome
    from supervisors.chrome.locate import Browser

    from .conftest import Opener, Site

pytestmark = pytest.mark.chrome


@pytest.fixture
async def chrome(browser: Browser, opener: Opener) -> AsyncIterator[StartedChrome]:
    async with opener(browser) as chrome:
        yield chrome


PRELOAD = PreloadScript("if (window === top) window.early = 1", "tell")


@pytest.fixture
async def tab(chrome: StartedChrome, site: Site) -> AsyncIterator[Tab]:
    with trio.fail_after(60):
        tab = await attach_tab(chrome, PRELOAD)
        await tab.navigate(site.url())
        yield tab


async def test_the_first_page_is_used(chrome: StartedChrome, tab: Tab) -> None:
    reply = await chrome.connection.call("Target.getTargets")
    assert [info["type"] for info in reply["targetInfos"]].count("page") == 1
    assert await tab.evaluate("document.title") == "test"
    assert await tab.evaluate("document.visibilityState") == "visible"
    assert (await tab.screenshot()).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("undefined", None),
        ("({a: [1, 'x']})", {"a": [1, "x"]}),
        ("Promise.resolve(7)", 7),
        ("-1/0", float("-inf")),
        ("12n", 12),
        ("'a\\ud83d'", "a\ufffd"),
        ("'\\\\ud83d \\ud83d\\ude00'", "\\ud83d \U0001f600"),
    ],
)
async def test_values(tab: Tab, expression: str, value: object) -> None:
    assert await tab.evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "name", "message"),
    [
        ("null.x", "TypeError", "Cannot read properties of null (reading 'x')"),
        ("Promise.reject(new RangeError('far'))", "RangeError", "far"),
        ("throw Object.assign(new Error('two\\nlines'), {name: 'Own'})", "Own", "two\nlines"),
        ("throw 'words'", "Error", "words"),
        ("(", "SyntaxError", "Unexpected end of input"),
    ],
)
async def test_exceptions_of_the_page(tab: Tab, expression: str, name: str, message: str) -> None:
    with pytest.raises(PageError) as caught:
        await tab.evaluate(expression)
    assert (caught.value.name, caught.value.message) == (name, message)


async def test_navigation_fails_with_chromes_reason(tab: Tab, site: Site) -> None:
    with pytest.raises(NavigationFailed) as caught:
        await tab.navigate("http://nowhere.invalid/")
    assert caught.value.error_text == "net::ERR_NAME_NOT_RESOLVED"
    with pytest.raises(NavigationFailed, match="ERR_NAME_NOT_RESOLVED"):
        await tab.navigate("https://accounts.google.com/")
    await tab.navigate(site.url())
    await tab.navigate(site.url("/#fragment"))
    await tab.navigate(site.url("/?until"), until="commit")
    await tab.navigate(site.url("/?dom"), until="DOMContentLoaded")
    assert await tab.evaluate("location.search") == "?dom"


async def test_what_waits_on_a_page_that_navigates_fails_at_once(tab: Tab, site: Site) -> None:
    with pytest.RaisesGroup(ContextDestroyed):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tab.evaluate, "new Promise(() => {})")
            await trio.testing.wait_all_tasks_blocked(0.05)
            await tab.navigate(site.url("/?next"))


async def test_a_crash_fails_what_waits_and_a_navigation_revives(
    chrome: StartedChrome, tab: Tab, site: Site
) -> None:
    with tab.happenings() as happenings:
        with pytest.RaisesGroup(TargetCrashed), trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tab.evaluate, "new Promise(() => {})")
                await trio.testing.wait_all_tasks_blocked(0.05)
                for renderer in children(chrome.process.pid, "renderer"):
                    renderer.kill()
        with pytest.raises(TargetCrashed):
            await tab.evaluate("1")
        await tab.navigate(site.url("/?again"))
        assert await tab.evaluate("typeof tell") == "function"
        assert await anext(happenings) == Crashed("killed", 9)
        arrived = await anext(happenings)
        assert isinstance(arrived, Navigated)
        assert arrived.url == site.url("/?again")


async def test_an_endless_loop_times_out_and_can_be_ended(tab: Tab) -> None:
    with pytest.raises(CallTimeout):
        await tab.evaluate("for (;;) {}", timeout_s=0.3)
    await tab.terminate_execution()
    assert await tab.evaluate("6 * 7", timeout_s=5) == 42


async def test_dialogs_do_not_block(tab: Tab) -> None:
    with trio.fail_after(5):
        assert await tab.evaluate("alert('x'), confirm('y')") is False


async def test_a_binding_tells_and_survives_navigation(tab: Tab, site: Site) -> None:
    await tab.call("Runtime.addBinding", {"name": "other"})
    with tab.binding_calls("tell") as calls:
        await tab.evaluate("other('no'), tell('one \\ud800')")
        await tab.navigate(site.url("/?2"))
        await tab.evaluate("for (let i = 0; i < 250; i++) console.log({i}); tell('two ' + early)")
        assert [await anext(calls), await anext(calls)] == ["one \ufffd", "two 1"]


async def test_a_reader_that_is_too_slow_is_told(tab: Tab) -> None:
    with tab.binding_calls("tell", events_max=2) as calls:
        await tab.evaluate("tell('1'), tell('2'), tell('3')")
        assert [await anext(calls), await anext(calls)] == ["1", "2"]
        with pytest.raises(EventsOverflowed):
            await anext(calls)


async def test_large_messages_pass_and_too_large_ones_are_refused(tab: Tab) -> None:
    size = 8 << 20
    assert await tab.evaluate(f"'{'x' * size}'.length") == size
    assert len(await tab.evaluate(f"'y'.repeat({size})")) == size
    with pytest.raises(MessageTooLarge):
        await tab.evaluate("x" * (97 << 20))
    assert await tab.evaluate("1") == 1


async def test_a_closed_page_is_gone_for_all_who_wait(chrome: StartedChrome, tab: Tab) -> None:
    await chrome.connection.call("Target.createTarget", {"url": "about:blank"})  # lest the browser end
    with tab.happenings() as happenings, pytest.RaisesGroup(TargetDetached):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tab.evaluate, "new Promise(() => {})")
            await trio.testing.wait_all_tasks_blocked(0.05)
            await tab.close()
            with pytest.raises(TargetDetached):
                await anext(happenings)
    with pytest.raises(TargetDetached):
        await tab.evaluate("1")


async def test_a_profile_keeps_what_pages_store(browser: Browser, opener: Opener, site: Site) -> None:
    store = "localStorage.x = 'kept'; document.cookie = 'c=1; max-age=9999'"
    for expression, value in ((store, None), ("localStorage.x + document.cookie", "keptc=1")):
        with trio.fail_after(30):
            async with opener(browser) as chrome:
                tab = await attach_tab(chrome)
                await tab.navigate(site.url())
                told = await tab.evaluate(expression)
                assert value is None or told == value

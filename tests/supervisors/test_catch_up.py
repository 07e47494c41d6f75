"""Since when the page is asked for messages, with a page that says what the test has it say."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from supervisors.catch_up import EVERY_S, MARGIN_S, CatchUp
from supervisors.chrome.errors import CallTimeout
from supervisors.chrome.events import Event, EventStream
from supervisors.journal import ConnectionFacts
from supervisors.whatsapp.page import CaughtUp, Failure, WhatsAppPage


@pytest.mark.parametrize(
    ("linked_s", "known_s", "now_s", "page_s", "since_s", "mark_s"),
    [
        (1000, None, 2000, 2000, 1000, 2000),
        (1000, 1900, 2000, 2000, 1600, 2000),
        (1000, 1100, 2000, 2000, 1000, 2000),  # nothing from before the link
        (1000, 1900, 2000, None, 1600, 2000),  # the page does not tell its time
        (1000, 1900, 9000, 2000, 1600, 2000),  # the clock is ahead
        (9000, None, 2000, 2000, 2000, 2000),  # it was ahead when the phone was linked
        (9000, 1900, 2000, 2000, 1600, 2000),
        (1000, 9000, 2000, 2000, 1700, 2000),  # it was ahead at the last time
        (1000, 1900, 1500, 2000, 1200, 1500),  # it is behind
    ],
)
async def test_since_when_messages_may_be_missing(
    linked_s: int,
    known_s: int | None,
    now_s: int,
    page_s: int | None,
    since_s: int,
    mark_s: int,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked: list[int] = []
    marks: list[int] = []

    async def caught_up_s() -> int | None:
        return known_s

    async def ask(since_s: int) -> CaughtUp:
        asked.append(since_s)
        if len(asked) == 2:
            catch_up.stop()
        return CaughtUp(told=0, began_s=page_s)

    session: Any = SimpleNamespace(
        id="shop",
        journal=SimpleNamespace(caught_up=marks.append, caught_up_s=caught_up_s),
        facts=ConnectionFacts(linked_at_ms=linked_s * 1000),
    )
    page: Any = SimpleNamespace(catch_up=ask)
    monkeypatch.setattr("supervisors.catch_up.time.time", lambda: now_s)
    catch_up = CatchUp(session, page)
    await catch_up.load()
    await catch_up.run()
    # The second time it goes by what the first has come to.
    assert asked == [since_s, max(mark_s - MARGIN_S, 0 if linked_s > now_s else linked_s)]
    assert marks == [mark_s, mark_s]


async def test_what_failed_is_asked_for_again_and_what_is_forgotten_from_the_link_on(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    asked: list[int] = []
    marks: list[int] = []

    async def caught_up_s() -> int:
        return 1900

    async def ask(since_s: int) -> CaughtUp | Failure:
        asked.append(since_s)
        match len(asked):
            case 1:
                return Failure(name="Error", message="", code=None)
            case 2:
                raise CallTimeout("Runtime.evaluate", 120)
            case 3:
                catch_up.forget()
            case 4:
                catch_up.stop()
        await trio.lowlevel.checkpoint()
        raise AssertionError

    session: Any = SimpleNamespace(
        id="shop",
        journal=SimpleNamespace(caught_up=marks.append, caught_up_s=caught_up_s),
        facts=ConnectionFacts(linked_at_ms=1_000_000),
    )
    page: Any = SimpleNamespace(catch_up=ask)
    monkeypatch.setattr("supervisors.catch_up.time.time", lambda: 2000)
    catch_up = CatchUp(session, page)
    await catch_up.load()
    await catch_up.run()
    assert trio.current_time() >= 2 * EVERY_S
    await catch_up.run()
    assert (asked, marks) == ([1600, 1600, 1600, 1000], [])


async def test_a_page_is_caught_up_with_when_what_it_told_has_been_taken_in(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """A daemon that ends before that would not ask for the rest again."""
    happened: list[str] = []

    class Tab:
        @contextmanager
        def binding_calls(self, _name: str, **_bounds: int) -> Iterator[EventStream[str]]:
            self.told = EventStream[str](lambda event: event.method, 100)
            yield self.told

        async def evaluate(self, _expression: str, *, timeout_s: float) -> object:
            for _ in range(3):
                self.told.put(Event('{"type":"idle"}', {}, None))
            self.told.put(Event("rubbish", {}, None))
            return {"value": {"told": 3, "began": 2000}}

    async def listen() -> None:
        async for _ in news:
            await trio.sleep(1)
            happened.append("taken in")

    tab: Any = Tab()
    pin: Any = None
    page = WhatsAppPage(tab, pin)
    with page.news() as news:
        nursery.start_soon(listen)
        assert await page.catch_up(1000) == CaughtUp(told=3, began_s=2000)
        happened.append("caught up")
        assert happened == ["taken in"] * 3 + ["caught up"]
        nursery.cancel_scope.cancel()

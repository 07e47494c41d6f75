"""The life of a page, with a tab that does as it is told."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from supervisors.chrome.errors import CallTimeout, TargetCrashed
from supervisors.machine import Broke, Event, Level, Mended
from supervisors.page_life import PageLife
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp.pages import Pages


class LoopingTab:
    """Its page loads and answers nothing; ending what it does brings about what the test says."""

    session_id = "1"

    def __init__(self, outcome: Exception | None) -> None:
        self.connection = self
        self.documents = self
        self._outcome = outcome
        self._loops = True

    def subscribe(self, *_args: object, session_id: str) -> None:
        """It tells of nothing."""

    def release(self) -> None:
        """It holds no documents."""

    @contextlib.contextmanager
    def happenings(self, *_args: object, **_bounds: int) -> Iterator[AsyncIterator[Any]]:
        sender, nothing = trio.open_memory_channel[Any](0)
        with sender, nothing:
            yield nothing

    held = binding_calls = happenings

    async def navigate(self, _url: str, *, until: str, timeout_s: float) -> None:
        """It is there at once."""

    async def call(self, _method: str, *, timeout_s: float) -> None:
        """The browser itself answers."""

    async def terminate_execution(self) -> None:
        self._loops = False
        if self._outcome is not None:
            raise self._outcome

    async def evaluate(self, _expression: str, *, timeout_s: float) -> list[bool]:
        if self._loops:
            raise CallTimeout("Runtime.evaluate", timeout_s)
        return [True, True, True, False]


@pytest.mark.parametrize(
    ("outcome", "out_of_memory", "told"),
    [
        (None, False, Mended()),
        (TargetCrashed(), False, ("PAGE_CRASHED", Level.RELOAD)),
        (TargetCrashed(), True, ("OUT_OF_MEMORY", Level.RELOAD)),
        (CallTimeout("Runtime.terminateExecution", 5), False, ("PAGE_HUNG", Level.PAGE)),
    ],
)
async def test_a_loop_that_cannot_be_ended_is_told_of_whatever_becomes_of_it(
    outcome: Exception | None,
    out_of_memory: bool,
    told: object,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A renderer that dies in its loop, of the memory that it takes: else nobody would ever look again."""
    given: list[Event] = []

    async def find_settings() -> SupervisorSettings:
        return SupervisorSettings()

    async def caught_up_s() -> None:
        """Nothing is known."""

    def give(event: Event) -> None:
        given.append(event)
        if isinstance(event, Broke) and event.level is Level.LOOP:
            page.end_loop()
        else:
            page.leave()

    session: Any = SimpleNamespace(id="shop", journal=SimpleNamespace(caught_up_s=caught_up_s), give=give)
    tab: Any = LoopingTab(outcome)
    page = PageLife(
        session,
        find_settings,
        Pages(tmp_path),
        tab,
        loaded=trio.Event(),
        ran_out_of_memory=lambda: out_of_memory,
    )
    with trio.fail_after(3600):
        await page.run()
    first, last = given
    assert isinstance(first, Broke)
    assert first.cause == "PAGE_HUNG"
    assert ((last.cause, last.level) if isinstance(last, Broke) else last) == told

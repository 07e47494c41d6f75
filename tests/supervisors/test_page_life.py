"""The life of a page, with a tab that does as it is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from supervisors.chrome.errors import CallTimeout, TargetCrashed
from supervisors.journal import ConnectionFacts
from supervisors.machine import Broke, Event, Level, Mended
from supervisors.page_life import PageLife
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp.page import CaughtUp
from supervisors.whatsapp.pages import Pages


class LoopingTab:
    """Its page answers nothing; ending what it does brings about what the test says."""

    def __init__(self, outcome: Exception | None) -> None:
        self.connection = self
        self._outcome = outcome

    async def call(self, _method: str, *, timeout_s: float) -> None:
        """The browser itself answers."""

    async def terminate_execution(self) -> None:
        if self._outcome is not None:
            raise self._outcome

    async def evaluate(self, _expression: str, *, timeout_s: float) -> list[bool]:
        return [True, True, True, False]


def page_life(session: Any, tab: Any, directory: Path, out_of_memory: bool = False) -> PageLife:
    """The life of a tab's page, which finds no settings."""

    async def find_settings() -> SupervisorSettings:
        raise AssertionError

    return PageLife(
        session,
        find_settings,
        Pages(directory),
        tab,
        loaded=trio.Event(),
        ran_out_of_memory=lambda: out_of_memory,
    )


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
    outcome: Exception | None, out_of_memory: bool, told: object, tmp_path: Path
) -> None:
    """A renderer that dies in its loop, of the memory that it takes: else nobody would ever look again."""
    given: list[Event] = []

    def give(event: Event) -> None:
        given.append(event)
        if event == Broke("PAGE_HUNG", "no answer", Level.LOOP):
            page.end_loop()

    session: Any = SimpleNamespace(
        id="shop", journal=None, preferences=SimpleNamespace(device_name="wasup"), give=give
    )
    page = page_life(session, LoopingTab(outcome), tmp_path, out_of_memory)
    await page._find_hung("no answer", 1)
    last = given[-1]
    assert len(given) == 2
    assert ((last.cause, last.level) if isinstance(last, Broke) else last) == told


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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    marks: list[int] = []

    async def catch_up(since_s: int) -> CaughtUp:
        asked.append(since_s)
        return CaughtUp(told=0, began_s=page_s)

    session: Any = SimpleNamespace(
        id="shop",
        journal=SimpleNamespace(caught_up=marks.append),
        preferences=SimpleNamespace(device_name="wasup"),
        facts=ConnectionFacts(linked_at_ms=linked_s * 1000),
    )
    page = page_life(session, SimpleNamespace(), tmp_path)
    page._caught_up_s = known_s
    monkeypatch.setattr(page.page, "catch_up", catch_up)
    monkeypatch.setattr("supervisors.page_life.time.time", lambda: now_s)
    await page._catch_up()
    assert (asked, marks, page._caught_up_s) == ([since_s], [mark_s], mark_s)

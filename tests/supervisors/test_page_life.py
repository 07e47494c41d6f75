"""The life of a page, with a tab that does as it is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from supervisors.chrome.errors import CallTimeout, TargetCrashed
from supervisors.machine import Broke, Event, Level, Mended
from supervisors.page_life import PageLife
from supervisors.settings import SupervisorSettings
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

"""What is found of a page, with one that answers what the test has it answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from supervisors.chrome.errors import CallTimeout, TargetCrashed
from supervisors.machine import Broke, Level, Lost, UpdateWanted
from supervisors.page_health import HALF_LOADED, LIBRARY_MISSING, PageHealth
from supervisors.whatsapp.page import Vitals
from supervisors.whatsapp.page_pin import PagePin

WHOLE = Vitals(loaded=True, library=True, ready=True, needs_update=False)
LOADING = Vitals(loaded=False, library=True, ready=False, needs_update=False, progress=1)
FURTHER = Vitals(loaded=False, library=True, ready=False, needs_update=False, progress=2)
BARE = Vitals(loaded=True, library=False, ready=False, needs_update=False)
LOST_IN_IT = Vitals(loaded=True, library=True, ready=False, needs_update=False)
FAULTY = Vitals(loaded=True, library=False, ready=False, needs_update=False, fault="another page")
OUTDATED = Vitals(loaded=True, library=True, ready=True, needs_update=True)


def health_of(*answers: object, status: str = "connecting", browser_hangs: bool = False) -> PageHealth:
    """The health of a page that answers probes so, one after the other."""
    probes = iter(answers)

    async def probe(_timeout_s: float) -> object:
        match next(probes):
            case Exception() as error:
                raise error
            case answer:
                return answer

    async def call(_method: str, *, timeout_s: float) -> None:
        if browser_hangs:
            raise CallTimeout("Browser.getVersion", timeout_s)

    async def stop_loading() -> None:
        """It had no effect."""

    session: Any = SimpleNamespace(id="shop", state=SimpleNamespace(status=status))
    tab: Any = SimpleNamespace(connection=SimpleNamespace(call=call), stop_loading=stop_loading)
    pages: Any = SimpleNamespace(pinned="2.3000.1")
    page: Any = SimpleNamespace(probe=probe, pin=PagePin(tab, pages))
    return PageHealth(session, tab, page, lambda: False)


@pytest.mark.parametrize(
    ("vitals", "status", "found", "symptom"),
    [
        (WHOLE, "connecting", None, Broke("PAGE_HUNG", "no code and no connection came")),
        (LOADING, "connecting", None, Lost("NETWORK", HALF_LOADED)),
        (BARE, "connecting", LIBRARY_MISSING, LIBRARY_MISSING),
        (
            LOST_IN_IT,
            "connecting",
            None,
            Broke("LIBRARY_NOT_READY", "the page library does not find its way in the page"),
        ),
        (FAULTY, "disconnected", Lost("NETWORK", "another page"), Lost("NETWORK", "another page")),
        (FAULTY, "qr_generated", LIBRARY_MISSING, Lost("NETWORK", "another page")),
        (OUTDATED, "connected", UpdateWanted(), Broke("PAGE_HUNG", "no code and no connection came")),
        (OUTDATED, "disconnected", None, Broke("PAGE_HUNG", "no code and no connection came")),
    ],
)
async def test_what_a_page_lacks(vitals: Vitals, status: str, found: object, symptom: object) -> None:
    health = health_of(vitals, status=status)
    assert health.symptom() == Broke("PAGE_HUNG", "the page did not load")
    assert await health.check(1) == found
    assert health.symptom() == symptom
    health.forget()
    assert health.symptom() == Broke("PAGE_HUNG", "the page did not load")


async def test_a_page_that_loads_no_further_is_half_loaded() -> None:
    health = health_of(LOADING, FURTHER, FURTHER, FURTHER)
    assert await health.check(1) is None
    assert await health.check(1) is None
    assert await health.check(1) == Lost("NETWORK", HALF_LOADED)
    health.forget()
    assert await health.check(1) is None


async def test_a_kept_page_is_not_loaded_again_for_an_update(capsys: pytest.CaptureFixture[str]) -> None:
    health = health_of(OUTDATED, OUTDATED, FAULTY, status="connected")
    health._page.pin.served = "2.3000.1"
    assert await health.check(1) is None
    assert await health.check(1) is None
    assert capsys.readouterr().out.count("page_update_not_taken") == 1
    health._session.state = SimpleNamespace(status="connecting")  # type: ignore[assignment]  # what is read of it
    assert await health.check(1) == Lost("NETWORK", "another page; the page is kept at version 2.3000.1")


async def test_who_it_is_that_hangs() -> None:
    assert await health_of().who_hangs("no answer", 1) == Broke("PAGE_HUNG", "no answer", Level.LOOP)
    hung = await health_of(browser_hangs=True).who_hangs("no answer", 1)
    assert (hung.cause, hung.level) == ("BROWSER_HUNG", Level.BROWSER)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (WHOLE, Lost("NETWORK", "no answer came: silence")),
        (CallTimeout("Runtime.evaluate", 1), Broke("PAGE_HUNG", "silence", Level.PAGE)),
        (TargetCrashed(), Broke("PAGE_HUNG", "silence", Level.PAGE)),
    ],
)
async def test_why_no_document_came(answer: object, found: object) -> None:
    assert await health_of(answer).why_unloaded("silence", 1) == found

"""Fixtures: a simulator, and the folder in which its browsers keep their profiles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator import Config, Phone, Simulator, serve
from tests.simulator_tests.browser import Page, browser

ALICE = "+491701234567"
ADA, GRACE = "+4915110000001", "+4915110000002"


@pytest.fixture
def config() -> Config:
    """The timings; a test module may have its own."""
    return Config()


@pytest.fixture
async def sim(config: Config) -> AsyncIterator[Simulator]:
    """A running simulator."""
    async with serve(config) as simulator:
        yield simulator
        assert not simulator.complaints


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A browser's profile that outlives the browser."""
    return tmp_path / "profile"


@asynccontextmanager
async def linked(sim: Simulator, profile: Path, **options: Any) -> AsyncIterator[tuple[Page, Phone]]:
    """A browser that has been linked to Alice's phone."""
    phone = sim.phone(ALICE, "Alice")
    with trio.fail_after(45):
        async with browser(sim, profile, **options) as page:
            await phone.scan(await page.code())
            await page.main()
            yield page, phone

"""Fixtures: a simulator, and the folder in which its browsers keep their profiles."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.simulator import Config, Simulator, serve

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

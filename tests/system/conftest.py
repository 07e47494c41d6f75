"""Fixtures: a simulator, and a daemon whose Chrome sees it as WhatsApp Web."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
import trio

from tests.simulator import Config, Simulator, serve
from tests.system.wasupd import PROGRAM, Caller, Wasupd

SHOP, DESK = "+491701234567", "+491707654321"
ADA, GRACE = "+4915110000001", "+4915110000002"


@pytest.fixture
def simulator_config() -> Config:
    """WhatsApp's own timings; a test may shorten them."""
    return Config()


@pytest.fixture
async def sim(simulator_config: Config) -> AsyncIterator[Simulator]:
    """A running simulator. Nobody but WhatsApp may have been called at the end of any test."""
    async with serve(simulator_config) as simulator:
        yield simulator
        assert simulator.complaints == []
        assert simulator.strays == []


@pytest.fixture
def settings(request: pytest.FixtureRequest, sim: Simulator) -> dict[str, object]:
    """Configuration beyond the usual, by `@pytest.mark.parametrize("settings", […], indirect=True)`.

    Switches for Chrome come after those that lead it to the simulator.
    """
    given: dict[str, object] = dict(getattr(request, "param", {}))
    more = given.get("browser.extra_args")
    if isinstance(more, list):
        given["browser.extra_args"] = [*sim.chrome_args, *more]
    return given


@pytest.fixture
def program() -> Path:
    """The daemon's program; a test may have another than the checkout's."""
    return PROGRAM


@pytest.fixture
def leftovers() -> Iterator[None]:
    """Nothing may be left of a Chrome in the common temporary directory."""

    def found() -> set[Path]:
        return set(Path(gettempdir()).glob("*org.chromium.*"))

    before = found()
    yield
    assert found() <= before


@pytest.fixture
async def wasupd(
    sim: Simulator, tmp_path: Path, settings: dict[str, object], program: Path, leftovers: None
) -> AsyncIterator[Wasupd]:
    """A running daemon; at the end it must stop in order and leave nothing."""
    async with trio.open_nursery() as nursery:
        daemon = Wasupd(tmp_path, sim.chrome_args, settings, program)
        try:
            await daemon.start()
            nursery.start_soon(daemon.drain)
            yield daemon
            if daemon.process is not None:
                assert await daemon.end() == 0
            assert not daemon.socket.exists()
            assert daemon.browsers() == []
            assert [line for line in daemon.logged() if line["level"] in ("error", "critical")] == []
        finally:
            with trio.CancelScope(shield=True):
                if daemon.process is not None:
                    daemon.process.kill()
                    await daemon.process.wait()
            nursery.cancel_scope.cancel()


@pytest.fixture
async def call(wasupd: Wasupd) -> AsyncIterator[Caller]:
    """A client of the daemon."""
    async with wasupd.client() as caller:
        yield caller

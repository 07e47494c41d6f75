"""What counts as an answer of the daemon's, and what does not."""

import errno
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from daemon import heartbeat
from daemon.store import open_store
from daemon.store.errors import StoreError, StoreFull


class Store:
    """A store that does as it is told."""

    def __init__(
        self,
        *,
        checking: bool = False,
        refusal: Exception | None = None,
        kept: bool = True,
        slow: bool = False,
        at_work: bool = False,
    ) -> None:
        self.checking = checking
        self.at_work = at_work
        self._slow = slow
        self._refusal = refusal
        self._kept = kept

    async def write(self, _job: object) -> None:
        assert not self.checking, "it would wait for hours"
        if self._slow:
            await trio.sleep_forever()
        if self._refusal is not None:
            raise self._refusal

    async def read(self, _query: object) -> bool:
        return self._kept


async def asked(store: Store, *, probe: bool | OSError = True, stopping: bool = False) -> bool:
    async def answer() -> bool:
        if isinstance(probe, OSError):
            raise probe
        return probe

    async with trio.open_nursery() as nursery:
        service: Any = SimpleNamespace(nursery=nursery, store=store, stopping=trio.Event())
        if stopping:
            service.stopping.set()
        server: Any = SimpleNamespace(probe=answer)
        listener: Any = SimpleNamespace(accepted=0, waited_for=False)
        return await heartbeat.answers(service, server, listener)


@pytest.mark.parametrize(
    "store",
    [Store(), Store(checking=True), Store(refusal=StoreFull()), Store(refusal=StoreError("read-only"))],
    ids=["well", "checking", "full", "read-only"],
)
async def test_a_daemon_that_refuses_answers(store: Store) -> None:
    assert await asked(store)


async def test_what_was_written_and_is_not_there_is_no_answer() -> None:
    assert not await asked(Store(kept=False))


async def test_neither_is_a_server_without_an_answer_or_without_descriptors() -> None:
    assert not await asked(Store(), probe=False)
    assert not await asked(Store(), probe=OSError(errno.EMFILE, "too many open files"))


async def test_a_daemon_that_stops_is_not_ended_for_it() -> None:
    assert await asked(Store(), probe=False, stopping=True)


@pytest.mark.parametrize("at_work", [True, False])
async def test_a_store_that_takes_long_answers_while_it_is_at_work(
    at_work: bool, autojump_clock: MockClock
) -> None:
    assert await asked(Store(slow=True, at_work=at_work)) is at_work


async def test_a_daemon_is_not_ended_for_a_large_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_STORE_S", 0.05)
    begun, finish = threading.Event(), threading.Event()

    def large(_db: object) -> None:
        begun.set()
        assert finish.wait(30)

    async with open_store(tmp_path / "wasup.db") as store:
        service: Any = SimpleNamespace(store=store)
        assert await heartbeat._takes_and_gives(service)
        large_one = store.record(large)
        await trio.to_thread.run_sync(begun.wait)
        try:
            assert await heartbeat._takes_and_gives(service)
        finally:
            finish.set()
        await large_one.wait()

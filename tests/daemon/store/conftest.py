"""A store in a file of its own, and shorthands for what most tests begin with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.store import open_store, sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from daemon.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with open_store(path, retry_s=0.01) as opened:
        yield opened


@pytest.fixture
async def session(store: Store) -> str:
    await store.write(lambda db: sessions.insert(db, id="one", name="One", at_ms=1))
    return "one"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No file of a store is open when its test is over."""
    yield
    assert _descriptors() == set()


def _descriptors() -> set[str]:
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory that was listed
            found.add(str(fd.readlink()))
    return {each for each in found if "store.db" in each}

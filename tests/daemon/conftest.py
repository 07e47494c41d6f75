"""What tests of one connection, and of the server of all, begin with."""

import os
from collections.abc import Iterator

import pytest

from daemon.outgoing import Limits

from .serving import Served


@pytest.fixture
def daemon() -> Served:
    return Served(Limits())


@pytest.fixture
def nothing_left() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted, not opened
    yield
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208  # counted, not opened

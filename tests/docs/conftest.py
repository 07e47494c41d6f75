"""One daemon and one Chrome for all documents and examples."""

from collections.abc import Iterator

import pytest

from tests.docs.shop import Shop, shop


@pytest.fixture(scope="package")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """What a reader has before him; `open` gives him a connected session named shop."""
    with shop(tmp_path_factory.mktemp("reader")) as place:
        yield place

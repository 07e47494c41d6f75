"""Files that are there whole or not at all."""

import stat
from pathlib import Path

import pytest

from supervisors.durable import replacing


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("name", ["page.json", "x" * 255, "日" * 85, "🔑" * 63], ids=["short", "1", "3", "4"])
def test_a_file_takes_the_place_of_another(tmp_path: Path, name: str) -> None:
    """Whatever the other's mode, and with a name as long as it may be, of so many bytes a character."""
    path = tmp_path / name
    path.write_bytes(b"before")
    path.chmod(0o644)
    with replacing(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert contents(tmp_path) == {name: b"after"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_of_one_that_is_not_finished_nothing_is_left(
    tmp_path: Path, there: bool, error: type[BaseException]
) -> None:
    path = tmp_path / "page.json"
    if there:
        path.write_bytes(b"before")

    def write() -> None:
        with replacing(path) as file:
            file.write(b"half")
            file.flush()
            raise error

    with pytest.raises(error):
        write()
    assert contents(tmp_path) == ({"page.json": b"before"} if there else {})


def test_what_cannot_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    with pytest.raises(IsADirectoryError), replacing(path) as file:
        file.write(b"whole")
    assert list(tmp_path.iterdir()) == [path]

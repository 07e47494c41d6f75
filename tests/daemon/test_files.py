"""Files of messages on disk: sealed or not, as their session wants, and brought over."""

import os
from pathlib import Path

import pytest

from daemon.files import MediaFiles
from daemon.seals import CHUNK_BYTES, Key, Seals, UnreadableFile
from protocol.errors import RpcError

DATA = b"a s3cret picture" * 100_000
assert len(DATA) > 2 * CHUNK_BYTES


@pytest.fixture
def seals() -> Seals:
    return Seals([Key(os.urandom(32))])


@pytest.fixture
def files(tmp_path: Path, seals: Seals) -> MediaFiles:
    return MediaFiles(tmp_path, seals)


async def sent(files: MediaFiles) -> bytes:
    """What the page is given of the file that waits."""
    data = b""
    async with files.outgoing("one", "3EB0").open() as read:
        while piece := await read():
            assert len(piece) <= CHUNK_BYTES
            data += piece
    return data


async def fill(files: MediaFiles) -> None:
    await files.keep("one", "3EB0", DATA)
    await files.keep_downloaded("one", "key", DATA)


def stored(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}


async def bring_over(files: MediaFiles) -> int:
    found = files.unlike("one")
    for entry in found:
        await files.reseal("one", entry)
    assert files.unlike("one") == []
    return len(found)


async def test_files_are_sealed_and_read(tmp_path: Path, files: MediaFiles) -> None:
    files.seal("one", True)
    await fill(files)
    assert not any(b"s3cret" in data for data in stored(tmp_path).values())
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "one").rglob("*.sealed"))
    assert await sent(files) == await files.downloaded("one", "key") == DATA
    assert files.unlike("one") == files.unlike("two") == []
    files.drop("one", "3EB0")
    assert len(stored(tmp_path)) == 1
    with pytest.raises(FileNotFoundError):
        await sent(files)
    assert await files.downloaded("one", "another") is None


async def test_they_are_brought_over(tmp_path: Path, files: MediaFiles, seals: Seals) -> None:
    await fill(files)
    for wanted, keys in ((True, 1), (True, 2), (False, 0)):
        files.seal("one", wanted)
        if keys == 2:
            seals.keys = (Key(os.urandom(32)), *seals.keys)
        assert await bring_over(files) == 2
        if keys == 2:
            seals.keys = seals.keys[:1]
        assert len(stored(tmp_path)) == 2
        assert any(b"s3cret" in data for data in stored(tmp_path).values()) is not wanted
        assert await sent(files) == await files.downloaded("one", "key") == DATA


async def test_what_a_kill_leaves_is_put_right(tmp_path: Path, files: MediaFiles) -> None:
    """The file twice, before the clear one was removed; and half of one."""
    await fill(files)
    clear = stored(tmp_path)
    files.seal("one", True)
    await bring_over(files)
    media = tmp_path / "one" / "media"
    (media / "3EB0").write_bytes(clear["3EB0"])
    (media / "3EB1.part").write_bytes(DATA[:1000])
    assert await sent(files) == DATA
    assert await bring_over(files) == 1
    assert [path.name for path in media.iterdir()] == ["3EB0.sealed"]
    assert await sent(files) == DATA
    (media / "3EB0").write_bytes(clear["3EB0"])
    files.seal("one", False)
    assert await bring_over(files) == 2
    assert [path.name for path in media.iterdir()] == ["3EB0"]
    assert await sent(files) == DATA


async def test_one_that_was_sent_meanwhile_does_not_come_back(tmp_path: Path, files: MediaFiles) -> None:
    await fill(files)
    files.seal("one", True)
    found = files.unlike("one")
    files.drop("one", "3EB0")
    for entry in found:
        await files.reseal("one", entry)
    assert [path.parent.name for path in (tmp_path / "one").rglob("*.*")] == ["downloads"]


async def test_one_of_another_message_is_not_taken_for_it(tmp_path: Path, files: MediaFiles) -> None:
    files.seal("one", True)
    await fill(files)
    await files.keep("one", "3EB1", b"another")
    media = tmp_path / "one" / "media"
    (media / "3EB1.sealed").rename(media / "3EB0.sealed")
    with pytest.raises(UnreadableFile):
        await sent(files)
    (came,) = (tmp_path / "one" / "downloads").iterdir()
    came.write_bytes(came.read_bytes()[:-1])
    assert await files.downloaded("one", "key") is None


async def test_no_room(tmp_path: Path, files: MediaFiles) -> None:
    files.seal("one", True)
    (tmp_path / "one").write_bytes(b"")  # where a directory should be
    with pytest.raises(RpcError) as refused:
        await files.keep("one", "3EB0", DATA)
    assert refused.value.code == "STORE_FULL"

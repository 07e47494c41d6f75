"""The versions of the page on the disk: whole or not there, and nothing outside their directory."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from supervisors.whatsapp.pages import (
    MOST_BYTES,
    VERSION,
    Document,
    Kept,
    PageNotStored,
    PageRefused,
    Pages,
    kept_headers,
)

ONE, TWO = "2.3000.1040000000", "2.3000.1040000001-beta"


def document(version: str = ONE, body: bytes = b"<html>", at_ms: int = 1) -> Document:
    return Document(version=version, saved_at_ms=at_ms, headers=(("content-type", "text/html"),), body=body)


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    return Pages(tmp_path / "pages")


async def test_what_is_kept_is_there_for_the_next_daemon(pages: Pages, tmp_path: Path) -> None:
    assert await pages.in_use() is None
    await pages.keep(document())
    await pages.keep(document(TWO, b"\x00\xff", at_ms=2))
    await pages.use(TWO)
    anew = Pages(tmp_path / "pages")
    assert anew.pinned == TWO
    assert await anew.in_use() == document(TWO, b"\x00\xff", at_ms=2)
    assert [each.version for each in await anew.stored()] == [TWO, ONE]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "pages").iterdir()}
    assert modes == {f"{ONE}.json": 0o600, f"{TWO}.json": 0o600, "pinned": 0o600}
    assert (tmp_path / "pages").stat().st_mode & 0o777 == 0o700
    await anew.use(None)
    assert Pages(tmp_path / "pages").pinned is None
    await anew.remove(TWO)
    assert [each.version for each in await anew.stored()] == [ONE]


async def test_a_version_that_is_there_is_not_replaced(pages: Pages) -> None:
    """The page says what its version is: it must not put itself in the place of a good one."""
    await pages.keep(document(body=b"good"))
    assert (await pages.keep(document(body=b"other", at_ms=2))).body == b"good"
    assert await pages.stored() == [Kept(version=ONE, saved_at_ms=1, bytes=4)]
    await pages.use(ONE)
    assert (await pages.in_use() or document()).body == b"good"


async def test_a_damaged_one_is(pages: Pages, tmp_path: Path) -> None:
    await pages.keep(document())
    (tmp_path / "pages" / f"{ONE}.json").write_bytes(b'{"version":')
    assert await pages.stored() == []
    with pytest.raises(PageNotStored, match="cannot be read"):
        await pages.use(ONE)
    await pages.keep(document(body=b"anew"))
    await pages.use(ONE)
    assert (await pages.in_use() or document()).body == b"anew"


async def test_one_that_is_being_chosen_is_not_removed(
    pages: Pages, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pages.keep(document())
    write, go_on = pages._write_pin, threading.Event()

    def write_slowly(version: str | None) -> None:
        go_on.wait()
        write(version)

    async def release() -> None:
        await wait_all_tasks_blocked()
        go_on.set()

    monkeypatch.setattr(pages, "_write_pin", write_slowly)
    nursery.start_soon(pages.use, ONE)
    await wait_all_tasks_blocked()
    nursery.start_soon(release)
    with pytest.raises(PageRefused):
        await pages.remove(ONE)
    assert await pages.in_use() == document()


@pytest.mark.parametrize(
    "version", ["", "2", "../2.3", "2.3/../../4.5", "2.3\n", "2.3.", ".2.3", "2.3\0", "٢.٣", "2." + "1" * 11]
)
async def test_what_is_no_version_is_refused(pages: Pages, tmp_path: Path, version: str) -> None:
    with pytest.raises(PageRefused):
        await pages.keep(document(version))
    with pytest.raises(PageNotStored):
        await pages.use(version)
    with pytest.raises(PageNotStored):
        await pages.remove(version)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, MOST_BYTES + 1])
async def test_a_document_of_no_sensible_size_is_refused(pages: Pages, size: int) -> None:
    with pytest.raises(PageRefused):
        await pages.keep(document(body=b"x" * size))


@given(st.from_regex(VERSION, fullmatch=True))
def test_a_version_is_the_name_of_one_file(version: str) -> None:
    assert Path(version).name == version
    assert re.fullmatch(r"[0-9a-z.-]+", version)


async def test_the_one_in_use_stays(pages: Pages, tmp_path: Path) -> None:
    await pages.keep(document())
    await pages.use(ONE)
    with pytest.raises(PageRefused):
        await pages.remove(ONE)
    await pages.check()
    (tmp_path / "pages" / f"{ONE}.json").unlink()
    with pytest.raises(PageNotStored):
        await pages.check()
    with pytest.raises(PageNotStored):
        await Pages(tmp_path / "pages").in_use()


@pytest.mark.parametrize("pin", ["", "../../secret", "\xff", "2.3000.9"])
async def test_a_damaged_choice_is_no_choice_of_the_newest(pages: Pages, tmp_path: Path, pin: str) -> None:
    await pages.keep(document())
    (tmp_path / "pages" / "pinned").write_bytes(pin.encode("latin-1"))
    with pytest.raises(PageNotStored):
        await Pages(tmp_path / "pages").in_use()


async def test_a_full_disk_leaves_nothing_half(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: Any) -> None:
        raise OSError(28, "No space left on device")

    await pages.keep(document())
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            await pages.keep(document(TWO))
        with pytest.raises(OSError, match="No space"):
            await pages.use(ONE)
    assert pages.pinned is None
    assert [path.name for path in (tmp_path / "pages").iterdir()] == [f"{ONE}.json"]


def test_headers_that_belong_to_a_document() -> None:
    given = (
        ("Content-Type", "text/html"),
        ("Set-Cookie", "a=b"),
        ("content-length", "6"),
        ("Content-Encoding", "br"),
        ("Content-Security-Policy", "script-src 'nonce-1'"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("Report-To", "{}"),
    )
    assert kept_headers(given) == (
        ("content-type", "text/html"),
        ("content-security-policy", "script-src 'nonce-1'"),
        ("content-security-policy", "frame-ancestors 'none'"),
    )

"""Copies of a login, and what tells that one is needed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisors.chrome import snapshots, usage
from supervisors.chrome.snapshots import Snapshots, damage

IDB = "Default/IndexedDB/https_site_0.indexeddb.leveldb"
BLOBS = "Default/IndexedDB/https_site_0.indexeddb.blob/1/00"
LOCAL = "Default/Local Storage/leveldb"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile as Chrome leaves it, in miniature."""
    profile = tmp_path / "profile"
    for database in (IDB, LOCAL):
        (profile / database).mkdir(parents=True)
        for name, text in (("CURRENT", "MANIFEST-000001\n"), ("MANIFEST-000001", "m"), ("000003.log", "l")):
            (profile / database / name).write_text(text)
        for name in ("LOCK", "LOG", "000005.ldb"):
            (profile / database / name).write_text(name)
    (profile / BLOBS).mkdir(parents=True)
    (profile / BLOBS / "1").write_text("blob")
    (profile / "Default/Cache/Cache_Data").mkdir(parents=True)
    (profile / "Default/Cache/Cache_Data/f_1").write_bytes(b"x" * 5000)
    (profile / "Default/Preferences").write_text("{}")
    return profile


def files(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): p.read_text() for p in directory.rglob("*") if p.is_file()}


def login_in(profile: Path) -> dict[str, str]:
    return {
        name: text
        for name, text in files(profile).items()
        if name.startswith(snapshots.PARTS) and not name.endswith(("LOCK", "LOG"))
    }


def test_a_copy_is_the_login_and_nothing_else(profile: Path, tmp_path: Path) -> None:
    path = Snapshots(tmp_path / "snapshots", 3).take(profile, 7)
    assert path is not None
    assert files(path) == login_in(profile)
    for each in (path, *path.rglob("*")):
        assert each.stat().st_mode & 0o077 == 0


def test_the_newest_stay_and_those_of_other_links_go(profile: Path, tmp_path: Path) -> None:
    kept = Snapshots(tmp_path / "snapshots", 3)
    for _ in range(5):
        kept.take(profile, 7)
    assert [path.name for path in kept.of(7)] == ["7-000003", "7-000004", "7-000005"]
    kept.take(profile, 8)
    assert kept.of(7) == []
    assert [path.name for path in kept.of(8)] == ["8-000006"]


def test_going_back_one_by_one(profile: Path, tmp_path: Path) -> None:
    """Each copy is used once; the profile that was there is kept, the newest only."""
    kept = Snapshots(tmp_path / "snapshots", 3)
    manifest = profile / IDB / "MANIFEST-000001"
    for text in ("first", "second"):
        manifest.write_text(text)
        kept.take(profile, 7)
    for text in ("second", "first"):
        (profile / "mark").write_text(f"before {text}")
        assert kept.restore(profile, 7)
        assert manifest.read_text() == text
        assert (tmp_path / "profile.broken" / "mark").read_text() == f"before {text}"
    assert not kept.restore(profile, 7)
    assert manifest.exists()


def test_a_copy_that_is_not_finished_leaves_nothing(
    profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Snapshots(tmp_path / "snapshots", 3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        kept.take(profile, 7)
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_without_room_there_is_no_copy(
    profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "ROOM_BYTES", 2**62)
    assert Snapshots(tmp_path / "snapshots", 3).take(profile, 7) is None
    assert not (tmp_path / "snapshots").exists()


@pytest.mark.parametrize("times", [1, snapshots.TRIES])
def test_a_chrome_that_writes_meanwhile(
    profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A table that vanishes while it is copied has the copy begun anew, a few times."""
    copy, left = shutil.copyfileobj, [times]

    def compact(source: Any, out: Any, length: int) -> None:
        if left[0] or times == snapshots.TRIES:
            left[0] -= 1
            tables = sorted((profile / IDB).glob("*.ldb"))
            tables[-1].rename(tables[-1].with_name(f"{int(tables[-1].stem) + 1:06}.ldb"))
        copy(source, out, length)

    monkeypatch.setattr(shutil, "copyfileobj", compact)
    kept = Snapshots(tmp_path / "snapshots", 3)
    if times < snapshots.TRIES:
        path = kept.take(profile, 7)
        assert path is not None
        assert files(path) == login_in(profile)
    else:
        with pytest.raises(FileNotFoundError):
            kept.take(profile, 7)
        assert kept.of(7) == []


def be_a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


def of_idb(act: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda profile: act(profile / IDB)


@pytest.mark.parametrize(
    ("act", "visible"),
    [
        (lambda _: None, False),
        (lambda profile: shutil.rmtree(profile), False),
        (lambda profile: shutil.rmtree(profile / IDB), False),
        (of_idb(lambda idb: (idb / "CURRENT").unlink()), True),
        (of_idb(lambda idb: (idb / "CURRENT").write_bytes(b"")), True),
        (of_idb(lambda idb: (idb / "CURRENT").write_bytes(b"\xff\x00")), True),
        (of_idb(lambda idb: (idb / "MANIFEST-000001").unlink()), True),
        (of_idb(lambda idb: (idb / "MANIFEST-000001").write_bytes(b"")), True),
        (of_idb(lambda idb: [path.write_bytes(b"") for path in idb.glob("00*")]), True),
        (lambda profile: (profile / LOCAL / "CURRENT").write_bytes(b""), True),
        (lambda profile: be_a_file(profile / "Default"), True),
        (lambda profile: be_a_file(profile / IDB), True),
    ],
)
def test_what_is_visibly_damaged(profile: Path, act: Callable[[Path], object], visible: bool) -> None:
    act(profile)
    assert (damage(profile) is not None) is visible


def test_what_is_a_cache(profile: Path, tmp_path: Path) -> None:
    login = login_in(profile)
    use = usage.disk_use(tmp_path)
    assert use.cache == 5000
    assert use.profile == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) - 5000
    assert usage.prune(profile, 5000) == 0
    assert usage.prune(profile, 4999) == 5000
    assert not (profile / "Default/Cache").exists()
    assert login_in(profile) == login
    assert (profile / "Default/Preferences").exists()

"""Copies of a login: the parts of a profile that hold it, to go back to when the profile is damaged.

A copy of a profile that Chrome is writing is consistent, too: LevelDB only ever appends to its logs and its
MANIFEST, and never changes a table. With the MANIFEST copied first, everything that it speaks of is copied
after it, unless it was deleted meanwhile, which is seen; then it is begun anew. What is torn at the end of a
log is what a killed Chrome leaves, too.
Source: https://github.com/google/leveldb/blob/main/doc/impl.md

Snapshots belong to one link of a phone (`link`: when the code was scanned, epoch ms): the login of an earlier
account is never put back. Blocks: for threads.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING, Final

import structlog
import trio

from supervisors.chrome.profile import make_private
from supervisors.durable import synchronise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

PARTS: Final = ("Default/IndexedDB", "Default/Local Storage")
"""WhatsApp Web keeps its keys and its login in IndexedDB, and what unlocks them in the local storage.

Tried with Chromium 156 and the simulator, whose login is in IndexedDB alone: a profile of nothing but these
is connected without a code, and without IndexedDB it is not. Cookies, Preferences and Local State hold none.
"""
ROOM_BYTES: Final = 64 << 20
"""So much must be left on the disk after a copy."""
TRIES: Final = 5

_NOT_DATA: Final = frozenset({"LOCK", "LOG", "LOG.old"})
_NAME: Final = re.compile(r"(\d+)-(\d{6,})", re.ASCII)
_CURRENT: Final = re.compile(rb"(MANIFEST-\d+)\n")


class Snapshots:
    """The snapshots in `directory`, the newest `keep` of which stay."""

    def __init__(self, directory: Path, keep: int) -> None:
        self._directory = directory
        self._keep = keep

    def of(self, link: int) -> list[Path]:
        """Return those of a link, oldest first."""
        return [path for found, _, path in self._all() if found == link]

    def take(self, profile: Path, link: int) -> Path | None:
        """Copy the login of a profile; None where there is nothing to copy, or the disk has no room for it.

        Raises:
            OSError: it cannot be written, or Chrome would not keep still; nothing is left of it.

        Called through trio it ends between two files when it is cancelled, and leaves nothing.
        """
        size = sum(path.stat().st_size for part in PARTS for path in _files(profile / part))
        if not size or shutil.disk_usage(profile).free < size + ROOM_BYTES:
            return None
        make_private(self._directory)
        part = self._directory / "part"
        try:
            for attempt in range(TRIES):
                shutil.rmtree(part, ignore_errors=True)
                try:
                    _copy(profile, part)
                    break
                except FileNotFoundError:
                    if attempt + 1 == TRIES:
                        raise
            existing = self._all()
            path = self._directory / f"{link}-{existing[-1][1] + 1 if existing else 1:06}"
            part.rename(path)
            synchronise(self._directory)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        self.drop_others(link)
        for old in self.of(link)[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def drop_others(self, link: int | None) -> None:
        """Remove the snapshots of all links but this one."""
        for found, _, path in self._all():
            if found != link:
                shutil.rmtree(path, ignore_errors=True)

    def restore(self, profile: Path, link: int) -> bool:
        """Put the newest snapshot in the place of a profile that no Chrome runs on; False: there is none.

        What was there is kept as `profile.broken`, in the place of what was put there before.
        """
        found = self.of(link)
        if not found:
            return False
        set_aside(profile)
        found[-1].rename(profile)
        return True

    def _all(self) -> list[tuple[int, int, Path]]:
        """Return link, number and path of each, oldest first."""
        try:
            entries = list(self._directory.iterdir())
        except FileNotFoundError:
            return []
        named = ((_NAME.fullmatch(entry.name), entry) for entry in entries)
        return sorted(
            ((int(match[1]), int(match[2]), entry) for match, entry in named if match is not None),
            key=lambda found: found[1],
        )


def set_aside(profile: Path) -> None:
    """Move a damaged profile out of the way, in the place of the one before it."""
    aside = profile.with_name("profile.broken")
    if not profile.exists():
        return
    if aside.exists():
        shutil.rmtree(aside)
    profile.rename(aside)


def databases(profile: Path) -> dict[Path, int]:
    """Return the IndexedDB databases of a profile with what tells them from later ones of the same name."""
    found = {}
    for path in (profile / PARTS[0]).glob("*.leveldb"):
        with contextlib.suppress(FileNotFoundError):  # Chrome deletes one that it cannot read
            found[path] = path.stat().st_ino
    return found


def damage(profile: Path) -> str | None:
    """Return what is visibly wrong with the databases of a profile that no Chrome runs on; None: nothing.

    It sees what Chrome does not mend (a lost MANIFEST: the page then waits for its database for ever), and
    some of what it mends by beginning anew. All else Chrome sees: it deletes the database, and a code comes.
    """
    default = profile / "Default"
    if not profile.exists():
        return None  # nothing was ever there, or it is gone: a code will tell
    if default.exists() and not default.is_dir():
        return "Default is no directory"
    for database in (*default.glob("IndexedDB/*.leveldb"), *default.glob("Local Storage/leveldb")):
        if not database.is_dir():
            return f"{database.name} is no directory"
        names = {entry.name for entry in database.iterdir()} - _NOT_DATA
        if not names:
            continue
        if not sum((database / name).stat().st_size for name in names if name.endswith((".log", ".ldb"))):
            return f"{database.name} is empty"
        try:
            named = _CURRENT.fullmatch((database / "CURRENT").read_bytes())
            if named is None or not (database / named[1].decode()).stat().st_size:
                return f"{database.name} has no valid CURRENT or MANIFEST"
        except OSError as error:
            return f"{database.name} has no CURRENT or MANIFEST: {error.strerror}"
    return None


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files below a directory; of LevelDB's what all else hangs on first, what is no data not."""
    for root, directories, names in os.walk(directory):
        directories.sort(key=lambda name: name.endswith(".blob"))  # whatever a database speaks of is older
        base = directory.__class__(root)
        for name in sorted(names, key=lambda name: not name.startswith(("CURRENT", "MANIFEST"))):
            if name not in _NOT_DATA:
                yield base / name


def _copy(profile: Path, target: Path) -> None:
    """Copy; raises FileNotFoundError where something vanished that had been there at the beginning."""
    before = {path for part in PARTS for path in _files(profile / part)}
    copied: set[Path] = set()
    directories = {target}
    target.mkdir(mode=0o700)
    for part in PARTS:
        for path in _files(profile / part):
            _check_cancelled()
            copy = target / path.relative_to(profile)
            if copy.parent not in directories:
                for parent in (*reversed(copy.relative_to(target).parents[:-1]),):
                    (target / parent).mkdir(mode=0o700, exist_ok=True)
                    directories.add(target / parent)
            with (
                path.open("rb") as source,
                os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
            ):
                shutil.copyfileobj(source, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
            copied.add(path)
    if not before <= copied or not all(path.exists() for path in before):
        raise FileNotFoundError(f"Chrome changed {profile} while it was copied")
    for directory in directories:
        synchronise(directory)


def _check_cancelled() -> None:
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:  # not in a thread of trio's
        return

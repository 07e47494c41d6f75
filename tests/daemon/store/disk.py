"""A disk that loses power: what SQLite writes and syncs is recorded, and given back as it may be after a cut.

`recording` puts an apsw VFS below every connection that is opened meanwhile. What was synced is on the disk;
of what was not, each sector of each write may be there or not, whatever came before or after it. That a file
was deleted is certain once any file has been synced after it, as on a journaling file system.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import apsw
import attrs

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    Buffer: TypeAlias = bytes | bytearray | memoryview

SECTOR_BYTES = 512
Image: TypeAlias = dict[str, bytearray]


@attrs.frozen
class Write:
    """`data` at `offset` of a file."""

    file: str
    offset: int
    data: bytes

    def torn(self, dice: random.Random, kept: float) -> Iterator[Write]:
        """The sectors of it that made it to the disk."""
        start = 0
        while start < len(self.data):
            end = min(len(self.data), start + SECTOR_BYTES - (self.offset + start) % SECTOR_BYTES)
            if dice.random() < kept:
                yield Write(self.file, self.offset + start, self.data[start:end])
            start = end


@attrs.frozen
class Truncate:
    """A file has `size` bytes now; also when it is opened for the first time, with none."""

    file: str
    size: int


@attrs.frozen
class Delete:
    file: str


@attrs.frozen
class Rename:
    """Durable at once: whoever renames is expected to sync the directory."""

    file: str
    to: str


@attrs.frozen
class Sync:
    file: str


@attrs.frozen
class Told:
    """Not the disk's: somebody was told that this is durable."""

    what: tuple[str, ...]


Step: TypeAlias = Write | Truncate | Delete | Rename | Sync | Told


@contextmanager
def recording(path: Path) -> Iterator[list[Step]]:
    """Record what is done to the database at `path` and the files beside it, while the block lasts."""
    steps: list[Step] = []
    before = apsw.vfs_names()[0]
    vfs = _Recorder(path, before, steps)
    apsw.set_default_vfs(vfs.name)
    try:
        yield steps
    finally:
        apsw.set_default_vfs(before)
        vfs.unregister()


class _Recorder(apsw.VFS):
    def __init__(self, path: Path, below: str, steps: list[Step]) -> None:
        self.name = "recorder"
        self._below = below
        self._steps = steps
        self._new = f"{path}.new"
        self._path = str(path)
        self._begun = False
        self._names = {
            f"{name}{suffix}" for name in (self._path, self._new) for suffix in ("", "-wal", "-journal")
        }
        super().__init__(self.name, below)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        full = name.filename() if isinstance(name, apsw.URIFilename) else name
        if full not in self._names:
            return super().xOpen(name, flags)
        if full == self._path and not self._begun:
            # It was made under another name, and renamed without SQLite.
            self._steps.append(Rename(Path(self._new).name, Path(full).name))
            self._begun = True
        elif not Path(full).exists():
            self._steps.append(Truncate(Path(full).name, 0))
        return _RecordedFile(self._below, name, flags, Path(full).name, self._steps)

    def xDelete(self, name: str, syncdir: bool) -> None:
        super().xDelete(name, syncdir)
        if name in self._names:
            self._steps.append(Delete(Path(name).name))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, below: str, name: Any, flags: list[int], file: str, steps: list[Step]) -> None:
        super().__init__(below, name, flags)
        self._file = file
        self._steps = steps

    def xWrite(self, data: Buffer, offset: int) -> None:
        self._steps.append(Write(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._steps.append(Truncate(self._file, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._steps.append(Sync(self._file))


class Disk:
    """What is on the disk after the steps it was given: for sure, and as the machine sees it."""

    def __init__(self) -> None:
        self.seen: Image = {}
        self._sure: Image = {}
        self._open: list[Write | Truncate | Delete] = []

    def apply(self, step: Step) -> None:
        match step:
            case Told():
                pass
            case Rename():
                _put(self.seen, step)
                _put(self._sure, step)
            case Sync(file=file):
                synced = [each for each in self._open if each.file == file or isinstance(each, Delete)]
                self._open = [each for each in self._open if each not in synced]
                for each in synced:
                    _put(self._sure, each)
            case _:
                self._open.append(step)
                _put(self.seen, step)

    def after_cut(self, dice: random.Random) -> Image:
        """Return what may be found after a power cut now: of what was not synced, anything."""
        image = {file: bytearray(data) for file, data in self._sure.items()}
        kept = dice.choice((0.1, 0.5, 0.9))
        pieces: list[Write | Truncate | Delete] = []
        for step in self._open:
            if isinstance(step, Write):
                pieces += step.torn(dice, kept)
            elif dice.random() < kept:
                pieces.append(step)
        dice.shuffle(pieces)
        for each in pieces:
            _put(image, each)
        return image


def _put(image: Image, step: Write | Truncate | Delete | Rename) -> None:
    match step:
        case Write(file=file, offset=offset, data=data):
            content = image.setdefault(file, bytearray())
            if len(content) < offset + len(data):
                content.extend(bytes(offset + len(data) - len(content)))
            content[offset : offset + len(data)] = data
        case Truncate(file=file, size=size):
            content = image.setdefault(file, bytearray())
            del content[size:]
            content.extend(bytes(size - len(content)))
        case Delete(file=file):
            image.pop(file, None)
        case Rename(file=file, to=to):
            image[to] = image.pop(file)

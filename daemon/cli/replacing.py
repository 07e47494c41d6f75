"""Files that are complete or not there at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file (0600) that takes the place of `path` when the block ends well; else nothing is left."""
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def unnamed(directory: Path) -> Iterator[BinaryIO]:
    """Give a file without a name, on the disk of `directory`."""
    part = directory / f".{secrets.token_hex(8)}.part"
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    part.unlink()
    with os.fdopen(fd, "w+b") as file:
        yield file

"""Files that are there whole or not at all, also after a power cut. Must not know what is in them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file (0600) that takes the place of `path` when the block ends well; else nothing is left.

    What it holds is on the disk then; its name is once its directory is synchronised, too. Raises OSError.
    """
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")  # names have 255 bytes at most
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


def synchronise(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

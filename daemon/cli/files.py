"""Files: those that are nobody else's business, and those that messages carry."""

import base64
from pathlib import Path
from typing import Any, Final

from supervisors.durable import replacing

from .failures import Failure, UsageError

MOST_INLINE_BYTES: Final = 23 * 2**20
"""What fits, as base64, into a request of the daemon's usual limit; larger files the daemon reads itself."""


def write_private(path: Path, content: bytes) -> None:
    """Replace the file at once, readable by its owner alone: whoever scans a code has the account.

    Raises Failure where something else has the name, a directory or a device: that stays as it is.
    """
    if path.exists() and not path.is_file():
        raise Failure(f"{path} is no file, and stays as it is: give a file's name.")
    with replacing(path) as file:
        file.write(content)


def media(path: Path) -> dict[str, Any]:
    """Return a file as `message.send` takes it; a large one by its path, which the daemon must be allowed.

    Raises Failure where it cannot be read.
    """
    try:
        if path.stat().st_size > MOST_INLINE_BYTES:
            return {"path": str(path.resolve())}
        data = path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.") from None
    return media_of(data, path.name)


def media_of(data: bytes, filename: str | None) -> dict[str, Any]:
    """Return bytes as `message.send` takes them, which guesses their type by the name.

    Raises UsageError where there are none, or too many.
    """
    if not data:
        raise UsageError("The file is empty.")
    if len(data) > MOST_INLINE_BYTES:
        raise UsageError("That is more than a request takes: write it to a file, and give its name.")
    content: dict[str, Any] = {"data": base64.b64encode(data).decode()}
    if filename:
        content["filename"] = filename
    return content

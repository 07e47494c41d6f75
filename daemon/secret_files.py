"""Secrets that lie in files of their own: where, and who may read them."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 4096

__all__ = ["read_secret"]


def read_secret(place: str, env: Mapping[str, str]) -> str:
    """Return what a secret's file says, without the space around it.

    Args:
        place: the file's absolute path, or the name of a systemd credential.
        env: has `$CREDENTIALS_DIRECTORY` where systemd gives credentials.

    Raises:
        ValueError: it cannot be read, others may read it, or it holds no text; said without its content.
    """
    path = Path(place)
    others = 0o077
    if not path.is_absolute():
        directory = env.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ValueError(f"there is no credential {place}: systemd gave none (LoadCredential=)")
        path = Path(directory, place)
        others = 0o037  # the service's user reads by an ACL, whose mask shows as the group's bits
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ValueError(f"{path} is not a regular file")
            if found.st_uid not in (0, os.geteuid()):
                raise ValueError(f"{path} belongs to somebody else: make it the daemon's user's, or root's")
            if found.st_mode & others:
                raise ValueError(f"{path} is open to other users: `chmod 600` it")
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if not secret or len(content) > _MOST_BYTES:
        raise ValueError(f"{path} is empty, or longer than {_MOST_BYTES} bytes")
    return secret

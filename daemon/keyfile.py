"""The file with the keys of encryption at rest: read and made.

A line has a key: 32 bytes, as base64. The first encrypts, all decrypt. Lines that begin with # are comments.
"""

import base64
import binascii
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemon.config import ConfigError
from daemon.seals import SECRET_BYTES, Key
from daemon.secret_files import read_secret

CREDENTIAL: Final = "wasup-key"
"""The name of the systemd credential."""


def load(configured: Path | None, env: Mapping[str, str]) -> tuple[Key, ...]:
    """Read the keys of the configured file, else of the systemd credential; none where there is neither.

    Raises:
        ConfigError: the file cannot be read, others than its owner may read it, or it holds something else.
    """
    place = CREDENTIAL if configured is None else str(configured)
    if configured is None and not Path(env.get("CREDENTIALS_DIRECTORY", "/nowhere"), CREDENTIAL).exists():
        return ()
    try:
        lines = read_secret(place, env).splitlines()
    except ValueError as error:
        raise ConfigError(f"encryption.key_file: {error}") from None
    keys: dict[bytes, Key] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            key = _key(place, number, text)
            keys[key.id] = key
    if not keys:
        raise ConfigError(f"encryption.key_file: {place} has no key: `wasupd --new-key FILE` makes one")
    return tuple(keys.values())


def _key(place: str, number: int, text: str) -> Key:
    try:
        return Key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):  # and nothing of the line is told
        problem = f"line {number} is not a key: expected {SECRET_BYTES} bytes as base64"
        raise ConfigError(f"encryption.key_file: {place}: {problem}") from None


def create(path: Path) -> Key:
    """Write a new key to a new file (0600), durably; return it.

    Raises:
        OSError: the file is there already, or cannot be written.
    """
    secret = os.urandom(SECRET_BYTES)
    key = Key(secret)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        made = time.strftime("%Y-%m-%d", time.gmtime())
        out.write(f"# wasup key {key.id.hex()}, made {made}\n".encode() + base64.b64encode(secret) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    return key

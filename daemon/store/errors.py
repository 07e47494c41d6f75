"""What the store raises, beside `RpcError`.

A question whose answer is no (no such session, a key used before) is an `RpcError` with the protocol's code:
whoever asked on behalf of a client passes it on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import apsw

from protocol.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["DAMAGED", "TROUBLE", "KeyMissing", "StoreClosed", "StoreError", "StoreFull"]

DAMAGED: Final = (apsw.CorruptError, apsw.NotADBError)
# The disk's or the machine's fault, not the job's: the transaction is over, a later attempt may succeed.
TROUBLE: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.NoMemError,
    apsw.ProtocolError,
)


class StoreError(Exception):
    """The store cannot be opened, read or written; the text says which file, why, and what to do."""


class KeyMissing(StoreError):
    """The store holds what was encrypted with a key that is not there: it is left as it is."""

    def __init__(self, path: Path, missing: Sequence[str], given: Sequence[str]) -> None:
        have = f"the key file has {', '.join(given)}" if given else "no key file is configured"
        super().__init__(
            f"{path}: encrypted with the key {', '.join(missing)}, and {have}. Nothing was changed. "
            "Put that key into a line of [encryption] key_file (the first line encrypts, all decrypt)."
        )


class StoreFull(RpcError):
    """No room on the disk: nothing of what was asked has been accepted (STORE_FULL)."""

    def __init__(self) -> None:
        super().__init__("STORE_FULL")


class StoreClosed(RpcError):
    """The store has been closed, or is being closed (SHUTTING_DOWN)."""

    def __init__(self) -> None:
        super().__init__("SHUTTING_DOWN")

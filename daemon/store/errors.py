"""What the store raises, beside `RpcError`.

A question whose answer is no (no such session, a key used before) is an `RpcError` with the protocol's code:
whoever asked on behalf of a client passes it on as it is.
"""

from __future__ import annotations

from protocol.errors import RpcError

__all__ = ["StoreClosed", "StoreError", "StoreFull"]


class StoreError(Exception):
    """The store cannot be opened, read or written; the text says which file, why, and what to do."""


class StoreFull(RpcError):
    """No room on the disk: nothing of what was asked has been accepted (STORE_FULL)."""

    def __init__(self) -> None:
        super().__init__("STORE_FULL")


class StoreClosed(RpcError):
    """The store has been closed, or is being closed (SHUTTING_DOWN)."""

    def __init__(self) -> None:
        super().__init__("SHUTTING_DOWN")

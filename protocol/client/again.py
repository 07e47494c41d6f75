"""When a lost daemon is tried again, and what is no reason to. No IO."""

from collections.abc import Iterator

from protocol.errors import RpcError

from .errors import ConnectionLost, DaemonUnreachable

FIRST_S, LONGEST_S = 0.1, 5.0

LOST = (ConnectionLost, DaemonUnreachable, RpcError)
"""What may end a subscription; `passes` tells which of it."""


def delays() -> Iterator[float]:
    """Yield how many seconds to wait before each attempt: 0.1, twice as long each time, at most 5."""
    delay = FIRST_S
    while True:
        yield delay
        delay = min(delay * 2, LONGEST_S)


def passes(error: Exception) -> bool:
    """Tell whether the daemon can be expected back: it is gone, or about to go."""
    return not isinstance(error, RpcError) or error.code == "SHUTTING_DOWN"

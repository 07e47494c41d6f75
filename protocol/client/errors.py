"""What can go wrong between a client and the daemon; what the daemon refuses is an RpcError."""

from collections.abc import Sequence

from protocol.errors import RpcError


class ClientError(Exception):
    """Base of the client's own errors."""


class DaemonUnreachable(ClientError):
    """No daemon answers; `tried` has each path, and why it was no good."""

    def __init__(self, tried: Sequence[tuple[str, str]]) -> None:
        self.tried = tuple(tried)
        places = "; ".join(f"{path} ({why})" for path, why in tried)
        super().__init__(f"No daemon answers at {places}. Is wasupd running? Else name its socket.")


class ConnectionLost(ClientError):
    """The connection is gone: a request under way may or may not have been carried out.

    `refusal` is what the daemon said before it closed the connection, if it said why.
    """

    def __init__(self, reason: str, refusal: RpcError | None = None) -> None:
        self.refusal = refusal
        super().__init__(f"The connection to the daemon is lost: {reason if refusal is None else refusal}")


class CallTimeout(ClientError):
    """The daemon did not answer in the time that the caller gave; it may still carry the request out."""

    def __init__(self, method: str, within_s: float) -> None:
        super().__init__(f"No answer to {method} within {within_s:g} s")

"""What a request becomes: the rules before a handler is called, and the boundary around it.

Owns what handlers see of the channel (`Call`, `Reply`, `Handler`). Knows nothing of streams.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs
import msgspec
import structlog

from daemon.access import Peer, allows
from protocol.errors import RpcError
from protocol.jsonrpc import Id, Notification, Request, encode_batch
from protocol.methods import METHODS, decode_params, find_method

if TYPE_CHECKING:
    import trio

_OPEN_TO_ALL: Final = frozenset({"daemon.whoami"})
"""What a caller without any role may ask."""

_NOTED: Final = frozenset(
    name
    for name, method in METHODS.items()
    if method.role != "reader"
    and name.startswith(("session.", "daemon.", "webhook."))
    and name not in ("session.qr", "session.screenshot")
)
"""What changes sessions or the daemon: the log says who asked for it."""

_log = structlog.get_logger()


class Client(Protocol):
    """What a handler may do with the connection that a request came on; `peer` is who it is by now."""

    peer: Peer

    async def notify(self, *lines: bytes) -> None:
        """Send notifications, as encoded lines, in order; waits while much is queued."""

    def open_subscription(self) -> "tuple[int, trio.CancelScope]":
        """Number a subscription; whatever sends its notifications runs in the scope."""

    def close_subscription(self, number: int) -> bool:
        """End a subscription; False when there is none of this number."""


class Call(msgspec.Struct, frozen=True):
    """Who asks: what a handler is given beside the parameters; `request_id` is None for a notification."""

    connection: Client
    peer: Peer
    request_id: Id


@attrs.frozen
class Reply:
    """A result, and what is to be run as a task of the connection once its answer has been queued.

    `then` is cancelled when the connection ends, and is never called if that comes first.
    """

    result: object
    then: "Then"


Handler: TypeAlias = Callable[[Call, Any], object | Coroutine[Any, Any, object]]
"""Carries out one method: a plain function answers inline and must not block; a coroutine may wait.

Returns the result or a `Reply`; raises RpcError to refuse.
"""

Handlers: TypeAlias = Mapping[str, Handler]


Then: TypeAlias = Callable[[], Awaitable[None]]

Answer: TypeAlias = Callable[[bytes | None, tuple[Then, ...]], None]
"""Takes the answer of one request, None where none is wanted, and what is to be run after it."""


class Gathering:
    """The answers of one batch, which leave together, and what is to be run after that."""

    def __init__(
        self, missing: int, send: Answer, *, limit_bytes: int, overflowed: Callable[[], None]
    ) -> None:
        """Wait for `missing` answers; beyond `limit_bytes` they are dropped, and it is told."""
        self._room_bytes = limit_bytes
        self._overflowed = overflowed
        self._missing = missing
        self._send = send
        self._lines: list[bytes] = []
        self._then: tuple[Then, ...] = ()

    def add(self, line: bytes | None, then: tuple[Then, ...]) -> None:
        """Take the answer of one item, None for a notification; with the last of them all leave."""
        self._missing -= 1
        if line is not None:
            self._lines.append(line)
            self._room_bytes -= len(line)
            if self._room_bytes < 0:
                self._lines.clear()
                self._overflowed()
        self._then += then
        if not self._missing:
            self._send(encode_batch(self._lines), self._then)


class Boundary:
    """The place where an unexpected exception ends: it is logged with its traceback, and `error` is set.

    An RpcError is what the caller is to be told, and is not logged. Cancellation passes through. `began` is
    when it was made, of `time.perf_counter`.
    """

    __slots__ = ("_event", "_request", "_uid", "began", "error")

    def __init__(self, event: str, uid: int, request: Request | Notification | None = None) -> None:
        self._event = event
        self._uid = uid
        self._request = request
        self.error: RpcError | None = None
        self.began = time.perf_counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # a handler's own nursery wraps what is raised in it
        if isinstance(error, RpcError):
            self.error = error
            return True
        if isinstance(error, Exception):
            context: dict[str, object] = {"uid": self._uid}
            if self._request is not None:
                context |= {"method": self._request.method, "request_id": getattr(self._request, "id", None)}
            _log.error(self._event, exc_info=error, **context)
            self.error = RpcError("INTERNAL_ERROR")
            return True
        return False


def dispatch(handlers: Handlers, request: Request | Notification, call: Call, *, refusing: bool) -> object:
    """Call the handler of a request; returns what it returns, which may be a coroutine.

    Raises:
        RpcError: there is no such method, the daemon is stopping, the caller may not, or wrong parameters.
    """
    method = find_method(request.method)
    handler = handlers.get(method.name)
    if handler is None:
        raise RpcError("METHOD_NOT_FOUND", f"This version does not have {method.name} yet")
    if refusing:
        raise RpcError("SHUTTING_DOWN")
    if not allows(call.peer.role, method.role) and method.name not in _OPEN_TO_ALL:
        raise RpcError(
            "FORBIDDEN",
            f"{method.name} needs the role {method.role}",
            role=call.peer.role or "none",
            required=method.role,
            action=f"Ask the administrator to add your user or group to `[access] {method.role}`.",
        )
    params = decode_params(method, request.params)
    if method.name in _NOTED:
        who = {"pid": call.peer.pid, "uid": call.peer.uid}
        _log.info("request_taken", session_id=getattr(params, "session_id", None), method=method.name, **who)
    return handler(call, params)

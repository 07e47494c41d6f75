"""What a request becomes: the rules before a handler is called, and the boundary around it.

Owns what handlers see of the channel (`Call`, `Reply`, `Handler`). Knows nothing of streams.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs
import msgspec
import structlog

from daemon.access import ROLES, Peer, allows
from protocol.errors import RpcError
from protocol.jsonrpc import Id, Notification, Request, encode_batch
from protocol.methods import METHODS, Method, find_method
from protocol.models import Role
from protocol.params import decode

if TYPE_CHECKING:
    import trio

_OPEN_TO_ALL: Final = frozenset({"daemon.whoami"})
"""What a caller without any role may ask."""

_NOTED: Final = frozenset(
    name
    for name, method in METHODS.items()
    if method.role != "reader"
    and name.startswith(("session.", "daemon.", "webhook.", "page."))
    and name not in ("session.qr", "session.screenshot", "session.log")
)
"""What changes sessions or the daemon: the log says who asked for it."""

_log = structlog.get_logger()


class Client(Protocol):
    """What a handler may do with the connection that a request came on; `peer` is who it is by now."""

    peer: Peer

    async def notify(self, *lines: bytes) -> None:
        """Send notifications, as encoded lines, in order; waits while much is queued."""

    def tell(self, subscription: int, lines: bytes) -> bool:
        """Send notifications of a subscription, as encoded lines, at once.

        False, and nothing is sent, where it has ended, or much is queued before them.
        """

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


def refusal(
    error: Exception, event: str, uid: int, request: Request | Notification | None = None
) -> RpcError:
    """Return what the caller is told of an exception; one that was not meant for it is logged, as `event`.

    Here unexpected exceptions of handlers end, with their traceback in the log.
    """
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a handler's own nursery wraps what is raised in it
    if isinstance(error, RpcError):
        return error
    context: dict[str, object] = {"uid": uid}
    if request is not None:
        context |= {"method": request.method, "request_id": getattr(request, "id", None)}
    _log.error(event, exc_info=error, **context)
    return RpcError("INTERNAL_ERROR")


class Route(msgspec.Struct, frozen=True):
    """How requests of one method are carried out: looked up once, and not with each."""

    method: Method
    handler: Handler
    roles: frozenset[Role | None]
    """Whoever has one of them may."""
    noted: bool
    decode: Callable[[msgspec.Raw], Any]


Routes: TypeAlias = Mapping[str, Route]


def routes(handlers: Handlers) -> Routes:
    """Return the routes to these handlers.

    Raises:
        ValueError: there is a handler of a method that the protocol does not have.
    """
    if strangers := sorted(handlers.keys() - METHODS.keys()):
        raise ValueError(f"handlers of unknown methods: {', '.join(strangers)}")
    return {
        name: Route(
            method=METHODS[name],
            handler=handler,
            roles=frozenset((*ROLES, None))
            if name in _OPEN_TO_ALL
            else frozenset(role for role in ROLES if allows(role, METHODS[name].role)),
            noted=name in _NOTED,
            decode=partial(decode, METHODS[name].params),
        )
        for name, handler in handlers.items()
    }


def dispatch(known: Routes, request: Request | Notification, call: Call, *, refusing: bool) -> object:
    """Call the handler of a request; returns what it returns, which may be a coroutine.

    Raises:
        RpcError: there is no such method, the daemon is stopping, the caller may not, or wrong parameters.
    """
    route = known.get(request.method)
    if route is None:
        method = find_method(request.method)
        raise RpcError("METHOD_NOT_FOUND", f"This version does not have {method.name} yet")
    if refusing:
        raise RpcError("SHUTTING_DOWN")
    if call.peer.role not in route.roles:
        required = route.method.role
        raise RpcError(
            "FORBIDDEN",
            f"{request.method} needs the role {required}",
            role=call.peer.role or "none",
            required=required,
            action=f"Ask the administrator to add your user or group to `[access] {required}`.",
        )
    params = route.decode(request.params)
    if route.noted:
        who = {"pid": call.peer.pid, "uid": call.peer.uid}
        _log.info(
            "request_taken", session_id=getattr(params, "session_id", None), method=request.method, **who
        )
    return route.handler(call, params)

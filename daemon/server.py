"""All connections: who is let in, and how they end.

Owns the number of clients and the order of stopping. What one client says stands in `daemon.rpc`.
"""

from typing import Final

import structlog
import trio
from trio.abc import Stream

from daemon.access import Access, Credentials, Peer, peer_credentials
from daemon.dispatch import Handlers, routes
from daemon.listener import Listener
from daemon.outgoing import Limits, linger
from daemon.rpc import Connection
from daemon.tallies import Tallies
from protocol.errors import RpcError
from protocol.jsonrpc import encode_error

_TURN_AWAY_S: Final = 1.0
_MOST_TURNED_AWAY: Final = 64
"""How many refused clients are told so at the same time; beyond that they are only closed."""

_CLOSE_S: Final = 2.0
"""How long a stopping server goes on sending to a client."""

_log = structlog.get_logger()


class Server:
    """Serves the channel, on a listener (`serve`) or on single streams (`serve_stream`)."""

    def __init__(
        self, handlers: Handlers, *, access: Access, limits: Limits, tallies: Tallies | None = None
    ) -> None:
        """Make a server that serves nobody yet.

        Raises:
            ValueError: there is a handler of a method that the protocol does not have.
        """
        self._routes = routes(handlers)
        self._access = access
        self._limits = limits
        self._tallies = Tallies() if tallies is None else tallies
        self._connections: dict[Connection, trio.CancelScope] = {}
        self._turned_away = 0
        self._refusing = False
        self._accepting = trio.CancelScope()
        self._gone = trio.lowlevel.ParkingLot()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def peer(self, credentials: Credentials) -> Peer:
        """Say who a caller is, with the role that it has now."""
        return self._access.peer(credentials)

    def set_access(self, access: Access) -> None:
        """Give every client, those that are connected too, the role that these lists say."""
        self._access = access
        for connection in self._connections:
            connection.peer = access.peer(connection.peer)

    async def serve(
        self, listener: Listener, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and serve clients until `refuse` or `stop`; returns when the last of them is gone.

        The listener is closed as soon as nobody is accepted any more. On cancellation every connection is
        closed at once.
        """
        async with trio.open_nursery() as nursery:
            try:
                with self._accepting:
                    task_status.started()
                    while True:
                        stream = await listener.accept()
                        try:
                            credentials = peer_credentials(stream.socket)
                        except OSError as error:
                            _log.warning("connection_refused", error=error.strerror)
                            await trio.aclose_forcefully(stream)
                            continue
                        nursery.start_soon(self.serve_stream, stream, credentials)
            finally:
                listener.close()

    async def serve_stream(self, stream: Stream, credentials: Credentials) -> None:
        """Serve one client until it is gone; the stream is closed in any case, and nothing is raised."""
        if self._refusing:
            await trio.aclose_forcefully(stream)
            return
        if len(self._connections) >= self._limits.max_connections:
            await self._turn_away(stream, credentials)
            return
        await self._serve(stream, credentials)

    async def probe(self) -> bool:
        """Ask for daemon.whoami through a connection of the daemon's own, and return whether it was answered.

        It does not count as a client. Waits for the answer as long as it takes.

        Raises:
            OSError: the process has no descriptors left.
        """
        ours, theirs = trio.socket.socketpair()
        stream = trio.SocketStream(ours)
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._serve, trio.SocketStream(theirs), peer_credentials(theirs))
            await stream.send_all(b'{"jsonrpc":"2.0","id":0,"method":"daemon.whoami"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                data = await stream.receive_some()
                if not data:
                    return False
                answer += data
            nursery.cancel_scope.cancel()
        return b'"result"' in answer

    async def _serve(self, stream: Stream, credentials: Credentials) -> None:
        connection = Connection(
            stream,
            self._access.peer(credentials),
            self._routes,
            self._limits,
            self._tallies,
            refusing=lambda: self._refusing,
        )
        try:
            with trio.CancelScope() as scope:
                self._connections[connection] = scope
                await connection.serve()
        except* Exception:  # noqa: BLE001  # a defect in one connection is no reason to end the others
            _log.exception("connection_failed", pid=credentials.pid, uid=credentials.uid)
        finally:
            del self._connections[connection]
            self._gone.unpark_all()

    async def _turn_away(self, stream: Stream, credentials: Credentials) -> None:
        _log.warning(
            "connection_refused", reason="TOO_MANY_CONNECTIONS", pid=credentials.pid, uid=credentials.uid
        )
        self._turned_away += 1
        try:
            if self._turned_away <= _MOST_TURNED_AWAY:
                with trio.move_on_after(_TURN_AWAY_S):
                    await stream.send_all(encode_error(None, RpcError("TOO_MANY_CONNECTIONS")))
                    await linger(stream, _TURN_AWAY_S)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._turned_away -= 1
            await trio.aclose_forcefully(stream)

    def refuse(self) -> None:
        """Accept no more clients, and answer new requests SHUTTING_DOWN; subscriptions go on."""
        self._refusing = True
        self._accepting.cancel()

    async def stop(self, deadline_s: float) -> None:
        """End in order: refuse, let what is under way be done until the deadline, answer, send, close.

        Args:
            deadline_s: how long requests under way may still take; those that take longer are cancelled and
                answered SHUTTING_DOWN. Clients that do not read are left two seconds after it.

        On cancellation the connections that are left are not closed; cancel `serve`.
        """
        self.refuse()
        with trio.move_on_after(deadline_s):
            for connection in list(self._connections):
                await connection.idle()
        for connection in list(self._connections):
            connection.close()
        with trio.move_on_after(_CLOSE_S):
            await self._all_gone()
        for scope in self._connections.values():
            scope.cancel()
        await self._all_gone()

    async def _all_gone(self) -> None:
        while self._connections:
            await self._gone.park()

"""What a client needs of a daemon: answers, an event log, subscriptions; and the ways it can fail."""

from pathlib import Path
from typing import Any

import msgspec
import trio

from protocol.errors import RpcError
from protocol.jsonrpc import (
    Decoder,
    Request,
    encode_error,
    encode_notification,
    encode_result,
)


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class DaemonDouble:
    """Serves any number of connections; `asked` has the requests in the order in which they came.

    `refuses` is the error of subscriptions from now on; methods in `silent` get no answer.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.served = 0
        self.ended = trio.Event()
        self.refuses: str | None = None
        self.silent: set[str] = set()
        self._listening = trio.lowlevel.ParkingLot()
        self._followers: list[_Connection] = []

    def happen(self, count: int = 1, type_: str = "session.connecting", **data: Any) -> None:
        """Append events to the log, and tell those that subscribed."""
        for _ in range(count):
            event = {"seq": len(self.log) + 1, "type": type_, "sessionId": "a", "timestamp": ""}
            event["data"] = data
            self.log.append(event)
            for follower in self._followers:
                follower.tell(event)

    async def heard(self, method: str, count: int = 1) -> Any:
        """Wait until a method was asked for so often; its params at that time."""
        while len(found := [params for name, params in self.asked if name == method]) < count:
            await self._listening.park()
        return found[count - 1]

    def hear(self, method: str, params: Any) -> None:
        self.asked.append((method, params))
        self._listening.unpark_all()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until its client goes, or asks for `drop`."""
        self.served += 1
        connection = _Connection(self, stream)
        self._followers.append(connection)
        try:
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(connection.write)
                await connection.read()
                nursery.cancel_scope.cancel()
        finally:
            self._followers.remove(connection)
            self.ended.set()


class Restarted(DaemonDouble):
    """A double at a socket that can go, with all its connections, and come back."""

    def __init__(self, path: Path, nursery: trio.Nursery) -> None:
        super().__init__()
        self.path = path
        self._nursery = nursery
        self._up: trio.CancelScope | None = None

    async def up(self) -> None:
        self._up = await self._nursery.start(self._listen)

    async def down(self) -> None:
        assert self._up is not None
        self._up.cancel()
        self.path.unlink()
        while self._followers:
            await trio.lowlevel.checkpoint()

    async def _listen(self, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.socket.socket(trio.socket.AF_UNIX) as listener, trio.CancelScope() as scope:
            await listener.bind(str(self.path))
            listener.listen()
            task_status.started(scope)
            await trio.serve_listeners(self.serve, [trio.SocketListener(listener)])


class _Connection:
    def __init__(self, daemon: DaemonDouble, stream: trio.abc.Stream) -> None:
        self._daemon = daemon
        self._stream = stream
        self._outbox, self._leaving = trio.open_memory_channel[bytes](100_000)
        self._wanted: dict[int, dict[str, Any]] = {}
        self._held: list[bytes] = []

    async def read(self) -> None:
        decoder = Decoder(1 << 20)
        try:
            while data := await self._stream.receive_some():
                for request in decoder.feed(bytes(data)):
                    assert isinstance(request, Request)
                    params = msgspec.json.decode(request.params)
                    self._daemon.hear(request.method, params)
                    if request.method == "drop":
                        return
                    self._answer(request, params)
        except trio.BrokenResourceError:
            pass

    async def write(self) -> None:
        """Send what has gathered at once, so that answers and notifications share a chunk."""
        async for line in self._leaving:
            chunk = line
            while self._leaving.statistics().current_buffer_used:
                chunk += self._leaving.receive_nowait()
            try:
                await self._stream.send_all(chunk)
            except trio.BrokenResourceError:
                return

    def tell(self, event: dict[str, Any]) -> None:
        for number, wanted in self._wanted.items():
            if event["type"] in wanted.get("types", [event["type"]]):
                self._send(encode_notification("event", {"subscription": number, "event": event}))

    def _answer(self, request: Request, params: Any) -> None:
        if request.method in self._daemon.silent:
            return
        match request.method:
            case "hold":  # not answered now
                self._held.append(encode_result(request.id, params))
            case "release":
                for line in [*self._held, encode_result(request.id, None)]:
                    self._send(line)
                self._held.clear()
            case "events.subscribe" if self._daemon.refuses is not None:
                self._send(encode_error(request.id, RpcError(self._daemon.refuses)))
            case "events.subscribe":
                number = len(self._daemon.asked)
                log = self._daemon.log
                self._send(encode_result(request.id, {"subscription": number, "cursor": len(log)}))
                self._wanted[number] = params
                for event in log[params.get("after", len(log)) :]:
                    self._send(encode_notification("event", {"subscription": number, "event": event}))
            case "events.unsubscribe":
                found = self._wanted.pop(params["subscription"], None)
                self._send(encode_result(request.id, {"unsubscribed": found is not None}))
            case "events.list":
                self._send(encode_result(request.id, self._list(params)))
            case "happen":
                self._daemon.happen()
                self._send(encode_result(request.id, None))
            case "echo":
                self._send(encode_result(request.id, params))
            case _:
                self._send(encode_error(request.id, RpcError("METHOD_NOT_FOUND")))

    def _list(self, params: Any) -> object:
        events = self._daemon.log[params["after"] :][: params["limit"]]
        return {"events": events, "oldest": 1, "latest": len(self._daemon.log)}

    def _send(self, line: bytes) -> None:
        self._outbox.send_nowait(line)

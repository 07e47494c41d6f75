"""A daemon of the test's own: speaks the protocol on a real socket, answers what the test says."""

import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from protocol.errors import RpcError
from protocol.jsonrpc import (
    Decoder,
    Invalid,
    Request,
    encode_error,
    encode_notification,
    encode_result,
)

Params = dict[str, Any]
Answer = Any
"""A result, an RpcError, or what makes one of the params."""


class Connection:
    """One client; `told` sends it an event."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._sending = threading.Lock()

    def send(self, line: bytes) -> None:
        with self._sending, suppress(OSError):
            self.sock.sendall(line)

    def tell(self, event: Params) -> None:
        self.send(encode_notification("event", {"subscription": 1, "event": event}))

    def close(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class FakeDaemon:
    """Listens at `path` until it is stopped; may be started again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}
        self.stopping = False
        self.requests: list[tuple[str, Any]] = []
        self.connections: list[Connection] = []
        self.changed = threading.Condition()
        self._answered: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self.stopping = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._run(self._accept, self._listener)

    def stop(self) -> None:
        """End it as a crash would: the socket's file stays behind."""
        assert self._listener is not None
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self.changed:
            self.stopping = True
            for connection in self.connections:
                connection.close()
            self.connections.clear()
            self.changed.notify_all()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._threads.clear()
        self._listener.close()
        self._listener = None

    @property
    def running(self) -> bool:
        return self._listener is not None

    def asked(self, method: str) -> list[Any]:
        """The params of the requests for this method."""
        with self.changed:
            return [params for name, params in self.requests if name == method]

    def wait_answered(self, method: str, times: int = 1) -> list[Any]:
        """Wait until the method has been asked for, and answered, so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self._answered[method] >= times, 20), self.requests
        return self.asked(method)

    def tell(self, event: Params) -> None:
        """Send an event to everybody who is connected."""
        with self.changed:
            for connection in self.connections:
                connection.tell(event)

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(sock)
            with self.changed:
                self.connections.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        decoder = Decoder(1 << 20)
        with connection.sock:
            while data := self._receive(connection):
                for incoming in decoder.feed(data):
                    match incoming:
                        case Request(id=id_, method=method, params=params):
                            connection.send(self._answer(id_, method, msgspec.json.decode(params)))
                            with self.changed:
                                self._answered[method] += 1
                                self.changed.notify_all()
                        case Invalid(id=id_, error=error):
                            connection.send(encode_error(id_, error))

    def _receive(self, connection: Connection) -> bytes:
        try:
            return connection.sock.recv(65536)
        except OSError:
            return b""

    def _answer(self, id_: Any, method: str, params: Any) -> bytes:
        with self.changed:
            self.requests.append((method, params))
        answer = self.answers.get(method, RpcError("METHOD_NOT_FOUND", f"No such method: {method}"))
        if callable(answer):
            try:
                answer = answer(params)
            except RpcError as error:
                answer = error
        return encode_error(id_, answer) if isinstance(answer, RpcError) else encode_result(id_, answer)


def session(name: str, id_: str, **fields: Any) -> Params:
    """A session as the daemon answers it."""
    return {
        "id": id_,
        "name": name,
        "description": None,
        "status": "inactive",
        "reason": None,
        "desired": "stopped",
        "phoneNumber": None,
        "createdAt": "2026-11-20T10:00:00.000Z",
        "updatedAt": "2026-11-20T10:00:00.000Z",
        "lastActivity": None,
        "connectionInfo": None,
        "messageStats": {"sent": 3, "received": 4, "failed": 1},
        "messageQueue": 2,
        "restarts": {"count": 1, "limit": 3, "window": 120, "cooldown": 30, "nextAllowedAt": None},
        "process": None,
        "settings": {"autoReconnect": True, "tags": ["shop"], "proxy": None},
        **fields,
    }


def message(**fields: Any) -> Params:
    """A message as the daemon answers it."""
    return {
        "id": "3EB0AA",
        "key": None,
        "origin": "api",
        "sessionId": "s1",
        "chatId": "491701234567@c.us",
        "direction": "out",
        "from": None,
        "to": "491701234567@c.us",
        "type": "text",
        "text": "hello",
        "media": None,
        "status": "queued",
        "error": None,
        "attempts": 0,
        "timestamp": None,
        "createdAt": "2026-11-21T10:00:00.000Z",
        "updatedAt": "2026-11-21T10:00:00.000Z",
        **fields,
    }


class Sessions:
    """The answers about sessions, over a list that the test owns."""

    def __init__(self, daemon: FakeDaemon, *sessions: Params) -> None:
        self.all = list(sessions)
        self._daemon = daemon
        self._changed = daemon.changed
        daemon.answers |= {
            "session.get": self._get,
            "session.list": self._list,
            "session.status": self._status,
            "session.wait": self._wait,
        }

    def change(self, id_: str, **fields: Any) -> None:
        with self._changed:
            self._find(id_).update(fields)
            self._changed.notify_all()

    def _find(self, id_: str) -> Params:
        for found in self.all:
            if found["id"] == id_:
                return found
        raise RpcError("SESSION_NOT_FOUND")

    def _get(self, params: Params) -> Params:
        return self._find(params["sessionId"])

    def _list(self, params: Params) -> Params:
        status = params.get("status")
        wanted = [found for found in self.all if status in (None, found["status"])]
        offset, limit = params.get("offset", 0), params.get("limit", 50)
        return {"sessions": wanted[offset : offset + limit], "total": len(wanted)}

    def _status(self, params: Params) -> Params:
        found = self._find(params["sessionId"])
        keys = ("status", "reason", "phoneNumber", "lastActivity")
        return {**{key: found[key] for key in keys}, "qrAvailable": found["status"] == "qr_generated"}

    def _wait(self, params: Params) -> Params:
        found = self._find(params["sessionId"])
        with self._changed:
            self._changed.wait_for(
                lambda: found["status"] in params["status"] or self._daemon.stopping, params["timeout"]
            )
            if found["status"] not in params["status"]:
                raise RpcError("PAGE_TIMEOUT")
            return {"status": found["status"]}

"""A server of the channel with handlers that do as a test says, and what such tests begin with."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from daemon.access import Access, Credentials, Principals
from daemon.dispatch import Call, Reply
from daemon.listener import bind
from daemon.outgoing import Limits
from daemon.server import Server
from protocol.errors import RpcError
from tests.daemon.client import Client

ACCESS = Access(
    operator=Principals(uids=frozenset({200})), reader=Principals(uids=frozenset({300})), own_uid=os.geteuid()
)
OWN = Credentials(pid=1, uid=os.geteuid(), gid=0)


class Served:
    """Handlers that do as a test says, and the server that calls them."""

    def __init__(self, limits: Limits) -> None:
        self.release = trio.Event()
        self.code_bytes: Iterator[int] = itertools.repeat(100_000)
        self.started = 0
        self.finished = 0
        self.calls: list[Call] = []
        self.events: list[bytes] = []
        self.server = Server(
            {
                "daemon.whoami": self.whoami,
                "session.list": lambda _call, params: {"limit": params.limit},
                "session.wait": self.wait,
                "session.get": self.crash,
                "session.status": self.crash_later,
                "session.qr": lambda _call, _params: {"qrText": "x" * next(self.code_bytes)},
                "message.list": self.large,
                "session.incidents": self.half_large,
                "rpc.discover": lambda _call, _params: object(),
                "events.subscribe": self.subscribe,
                "events.unsubscribe": lambda call, params: call.connection.close_subscription(
                    params.subscription
                ),
                "daemon.shutdown": lambda _call, _params: {"stopping": True},
                "session.delete": lambda _call, _params: {"deleted": True},
                "session.stop": lambda _call, _params: {"status": "inactive"},
            },
            access=ACCESS,
            limits=limits,
        )

    def whoami(self, call: Call, _params: Any) -> object:
        self.calls.append(call)
        return {"uid": call.peer.uid, "role": call.peer.role or "none"}

    async def wait(self, _call: Call, params: Any) -> object:
        self.started += 1
        if params.session_id == "refused":
            async with trio.open_nursery():
                raise RpcError("SESSION_NOT_FOUND")
        if params.session_id == "untellable":
            raise RpcError("PAGE_ERROR", "half a character: \ud83d")
        await self.release.wait()
        self.finished += 1
        return {"status": params.session_id}

    def crash(self, _call: Call, _params: Any) -> object:
        raise ZeroDivisionError

    async def crash_later(self, _call: Call, params: Any) -> object:
        await trio.lowlevel.checkpoint()
        return self.crash(_call, params)

    async def half_large(self, _call: Call, _params: Any) -> object:
        await self.release.wait()
        return {"incidents": "x" * 500_000}

    async def large(self, _call: Call, _params: Any) -> object:
        await trio.lowlevel.checkpoint()
        return {"messages": "x" * 2_000_000}

    def subscribe(self, call: Call, params: Any) -> Reply:
        number, scope = call.connection.open_subscription()

        async def pump() -> None:
            if params.after == 13:
                raise ZeroDivisionError
            if params.after == 14:
                raise RpcError("CURSOR_EXPIRED")
            with scope:
                for line in self.events:
                    await call.connection.notify(line)
                await trio.sleep_forever()

        return Reply({"subscription": number}, pump)

    def connect(self, credentials: Credentials = OWN) -> AbstractAsyncContextManager[Client]:
        """Serve a client over memory streams."""
        return self._connected(credentials, trio.testing.memory_stream_pair)

    def connect_unbuffered(self) -> AbstractAsyncContextManager[Client]:
        """The same, over streams that take a byte when it is received and not before."""
        return self._connected(OWN, trio.testing.lockstep_stream_pair)

    @asynccontextmanager
    async def _connected(self, credentials: Credentials, pair: Callable[[], Any]) -> AsyncIterator[Client]:
        ours, theirs = pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.serve_stream, theirs, credentials)
            await trio.testing.wait_all_tasks_blocked()
            yield Client(ours)
            await ours.aclose()
            self.release.set()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[Callable[[], Any]]:
        """Serve on a real socket; gives what connects to it."""
        listener = bind(path)

        async def connect() -> Client:
            return Client(await trio.open_unix_socket(path))

        async with trio.open_nursery() as nursery:
            await nursery.start(self.server.serve, listener)
            with trio.fail_after(30):
                yield connect
            nursery.cancel_scope.cancel()
        assert not path.exists()


def code_of(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["data"]["code"]

"""Messages over real WebSockets on loopback."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
import trio_websocket

from supervisors.chrome import websocket
from supervisors.chrome.errors import BrowserUnavailable, BrowserUnreachable
from supervisors.chrome.launch import bare_error
from supervisors.chrome.transports import TransportClosed
from supervisors.chrome.websocket import dial, find_socket, origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from supervisors.chrome.websocket import WebSocketTransport


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[trio_websocket.WebSocketRequest], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that treats every request as the handler does; its address."""
    serve = partial(trio_websocket.serve_websocket, max_message_size=32 << 20)
    with bare_error():
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, handler, "127.0.0.1", 0, None)
            yield f"ws://127.0.0.1:{server.port}/devtools/browser/x?y=z"
            nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def carrying(url: str) -> AsyncIterator[WebSocketTransport]:
    with bare_error():
        async with trio.open_nursery() as nursery:
            transport = await dial(url)
            nursery.start_soon(transport.run)
            await transport.opened()
            yield transport
            await transport.aclose()


async def echo(request: trio_websocket.WebSocketRequest) -> None:
    assert request.path == "/devtools/browser/x?y=z"
    assert b"origin" not in dict(request.headers)
    socket = await request.accept()
    with contextlib.suppress(trio_websocket.ConnectionClosed):
        while True:
            message = await socket.get_message()
            assert isinstance(message, str)  # Chrome takes no other
            await socket.ping(b"are you there?")
            await socket.send_message(message)


async def test_messages_travel_whole_whatever_their_size() -> None:
    with trio.fail_after(30):
        async with serving(echo) as url, carrying(url) as transport:
            for message in ("one", "é\U0001f600", "x" * (20 << 20)):
                await transport.send(message.encode())
                assert await transport.receive() == message.encode()
            with trio.move_on_after(0.01):  # a cancellation loses nothing
                await transport.receive()
            await transport.send(b"two")
            assert await transport.receive() == b"two"


async def test_closing_ends_those_who_wait_and_the_task() -> None:
    with trio.fail_after(10):
        async with serving(echo) as url, carrying(url) as transport:
            async with trio.open_nursery() as nursery:

                async def receive() -> None:
                    with pytest.raises(TransportClosed):
                        await transport.receive()

                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                await transport.aclose()
            await transport.aclose()
            with pytest.raises(TransportClosed):
                await transport.send(b"x")


@pytest.mark.parametrize("politely", [True, False])
async def test_what_was_sent_before_the_end_is_given_out(politely: bool) -> None:
    async def say_and_go(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        await socket.send_message("last words")
        if politely:
            await socket.aclose()
        else:
            await trio.aclose_forcefully(socket._stream)  # as when it is killed

    with trio.fail_after(10):
        async with serving(say_and_go) as url, carrying(url) as transport:
            assert await transport.receive() == b"last words"
            with pytest.raises(TransportClosed):
                await transport.receive()


async def test_a_message_beyond_all_bounds_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MESSAGE_MAX_CHARACTERS", 1000)
    with trio.fail_after(10):
        async with serving(echo) as url, carrying(url) as transport:
            await transport.send(b"x" * 1001)
            with pytest.raises(TransportClosed):
                await transport.receive()


async def test_a_refusal_is_told() -> None:
    async def refuse(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(403, body=b"Host header is not an IP address")

    with trio.fail_after(10), pytest.raises(BrowserUnavailable, match="403: Host header") as caught:
        async with serving(refuse) as url, carrying(url):
            pytest.fail("refused")
    assert "x" not in caught.value.reason.partition("127.0.0.1")[2].partition("refuses")[0]


async def test_who_hangs_up_or_is_not_there_is_unreachable() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hang_up, 0)
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(10), pytest.raises(BrowserUnreachable):
            await find_socket(f"http://127.0.0.1:{port}")
        with trio.fail_after(10), pytest.raises(BrowserUnreachable):
            async with carrying(f"ws://127.0.0.1:{port}/"):
                pytest.fail("nobody is there")
        nursery.cancel_scope.cancel()
    with pytest.raises(BrowserUnreachable, match="Connection refused"):
        await dial(f"ws://127.0.0.1:{port}/secret")
    with pytest.raises(BrowserUnreachable, match="Connection refused") as caught:
        await find_socket(f"http://127.0.0.1:{port}")
    assert caught.value.place == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"Browser": "x"}'])
async def test_a_port_of_something_else_is_told(body: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(BrowserUnavailable, match="404"):
            await find_socket(f"http://127.0.0.1:{port}/")
        nursery.cancel_scope.cancel()


async def test_the_socket_of_a_port_is_found_behind_a_proxy_too() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        asked = await stream.receive_some()
        assert asked.startswith(b"GET /one/json/version HTTP/1.1\r\n")
        body = b'{"webSocketDebuggerUrl": "ws://10.0.0.9:1/devtools/browser/abc"}'
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer, 0)
        port = listeners[0].socket.getsockname()[1]
        found = await find_socket(f"http://127.0.0.1:{port}/one/")
        assert found == f"ws://127.0.0.1:{port}/devtools/browser/abc"
        nursery.cancel_scope.cancel()
    assert await find_socket("wss://h/x?y") == "wss://h/x?y"


def test_what_is_logged_of_an_address() -> None:
    assert origin("wss://me:secret@host:1/secret?token=secret") == "wss://host:1"

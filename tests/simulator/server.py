"""HTTPS and WebSocket on loopback: serves the page's files and hands each open page to a Connection."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h11
import segno
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage

from tests.simulator.certificate import HOST, server_context
from tests.simulator.connection import Connection
from tests.simulator.errors import SimulatorError
from tests.simulator.media import MAX_UPLOAD_BYTES

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
# connect-src is as strict as WhatsApp's own; images may come from anywhere, as there.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' wss://web.whatsapp.com https://web.whatsapp.com; "
    "img-src 'self' data: blob: https:; media-src 'self' data: blob:; font-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAX_FRAME_BYTES = 64 * 2**20
# A name that `simulator.chrome_args` keep from being resolved.
NOWHERE = "nowhere.whatsapp.net"
PORTAL = b"<!doctype html><title>Guests</title><h1>Welcome to our network</h1><p>Please sign in.</p>"
BUSY = b"<!doctype html><title>503</title><h1>Service Unavailable</h1>"

TROUBLES = (
    "closed",
    "refused",
    "silent",
    "tls",
    "dns",
    "captive",
    "redirect",
    "unavailable",
    "half",
    "half_script",
)


@dataclass(frozen=True)
class Seen:
    """One request that reached the server."""

    server_name: str
    host: str
    method: str
    path: str


class Server:
    """Serves until it is cancelled."""

    def __init__(self, simulator: "Simulator", port: int = 0) -> None:
        self.simulator = simulator
        self.port = port
        self.trouble: str | None = None
        self._listening = trio.CancelScope()
        self._changed = trio.Event()
        self.seen: list[Seen] = []
        self.connections: list[Connection] = []
        self._names: dict[ssl.SSLObject | ssl.SSLSocket, str] = {}

    async def serve(self, *, task_status: trio.TaskStatus[None] | None = None) -> None:
        """Listen on loopback, on an ephemeral port unless one was asked for."""
        context = server_context()
        context.sni_callback = self._note_name
        async with trio.open_nursery() as nursery:
            while True:
                listeners = await trio.open_ssl_over_tcp_listeners(
                    self.port, context, host="127.0.0.1", https_compatible=True
                )
                tcp = listeners[0].transport_listener
                assert isinstance(tcp, trio.SocketListener)
                self.port = tcp.socket.getsockname()[1]
                if task_status is not None:
                    task_status.started()
                    task_status = None
                with trio.CancelScope() as self._listening:
                    await trio.serve_listeners(self._visitor, listeners, handler_nursery=nursery)
                while self.trouble == "refused":
                    await self._changed.wait()

    def suffer(self, trouble: str | None) -> None:
        """Have that trouble from now on, or none."""
        before, self.trouble = self.trouble, trouble
        self._changed.set()
        self._changed = trio.Event()
        if trouble == "refused" and before != "refused":
            self._listening.cancel()

    def _note_name(
        self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
    ) -> None:
        self._names[tls] = name or ""

    async def _visitor(self, stream: "trio.SSLStream[trio.SocketStream]") -> None:
        async with stream:
            try:
                if self.trouble == "tls":
                    await stream.transport_stream.send_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                elif self.trouble in ("closed", "refused", "silent"):
                    await self._hold()
                else:
                    await stream.do_handshake()
                    await self._converse(stream, self._names.get(stream._ssl_object, ""))
            except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
                pass
            finally:
                self._names.pop(stream._ssl_object, None)

    async def _converse(self, stream: "trio.SSLStream[trio.SocketStream]", server_name: str) -> None:
        http = h11.Connection(h11.SERVER)
        while True:
            request, body = None, bytearray()
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(bytes(await stream.receive_some(65536)))
                elif isinstance(event, h11.Request):
                    request = event
                    if _header(request, b"upgrade").lower() == "websocket":
                        break
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    return
            if request is None:
                return
            path, _, query = request.target.decode().partition("?")
            self.seen.append(Seen(server_name, _header(request, b"host"), request.method.decode(), path))
            self.simulator.changes.announce()
            if self.trouble is not None:
                await self._fail(stream, path)
                return
            if _header(request, b"upgrade").lower() == "websocket":
                await self._talk(stream, request, http.trailing_data[0])
                return
            if path == "/never":
                await trio.sleep_forever()
            await stream.send_all(_respond(http, *self._answer(path, query, bytes(body))))
            if http.our_state is h11.MUST_CLOSE:
                return
            http.start_next_cycle()

    async def _hold(self) -> None:
        """Wait for the end of a trouble in which the server says nothing."""
        while self.trouble == "silent":
            await self._changed.wait()

    async def _fail(self, stream: "trio.SSLStream[trio.SocketStream]", path: str) -> None:
        """Answer as the trouble is; the connection is closed after it, in the midst of a body too."""
        if self.trouble in ("closed", "refused", "silent", "tls"):
            await self._hold()
        else:
            await stream.send_all(self._troubled(path))

    def _troubled(self, path: str) -> bytes:
        document = path == "/"
        match self.trouble:
            case "dns":
                head, body = f"302 Found\r\nlocation: https://{NOWHERE}/", b""
            case "redirect":
                head, body = f"302 Found\r\nlocation: https://127.0.0.1:{self.port}/portal", b""
                if path == "/portal":
                    head, body = "200 OK", PORTAL
            case "captive":
                head, body = "200 OK", PORTAL
            case "half" | "half_script" if document or path.endswith(".js"):
                body = self._answer(path, "", b"")[2]
                kind = TYPES[".html" if document else ".js"]
                head = f"200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}"
                if self.trouble == "half" or not document:
                    body = body[: len(body) // 2]
                return f"HTTP/1.1 {head}\r\n\r\n".encode() + body
            case _:
                head, body = "503 Service Unavailable", BUSY
        kind = "text/html" if document or path == "/portal" else "text/plain"
        return f"HTTP/1.1 {head}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode() + body

    def _answer(self, path: str, query: str, body: bytes) -> tuple[int, str, bytes]:
        if path.startswith("/mms/"):
            return self._take_upload(path, query, body)
        if path.startswith("/v/"):
            upload = self.simulator.world.media.uploads.get(path)
            return (
                (200, "application/octet-stream", upload.data) if upload else (404, "text/plain", b"gone\n")
            )
        if path == "/qr":
            rows = segno.make(body.decode(), error="l", micro=False).matrix
            return 200, "application/json", json.dumps([[int(bit) for bit in row] for row in rows]).encode()
        if path == "/sw.js":
            return 200, TYPES[".js"], (PAGE / "sw.js").read_bytes()
        if path == "/":
            document = (PAGE / "index.html").read_text().replace("VERSION", self.simulator.page_version)
            if self.simulator.config.service_worker:
                document = document.replace("<html", "<html data-service-worker")
            return 200, TYPES[".html"], document.encode()
        version, _, asked = path.removeprefix("/static/").partition("/")
        if asked == "boot.js" and self.simulator.versions.get(version) == "broken":
            return 200, TYPES[".js"], b"throw new Error('nothing is where it was');"
        file = (PAGE / asked).resolve()
        if file.is_file() and file.is_relative_to(PAGE) and file.suffix in TYPES:
            return 200, TYPES[file.suffix], file.read_bytes()
        return 404, "text/plain", b"not found\n"

    def _take_upload(self, path: str, query: str, body: bytes) -> tuple[int, str, bytes]:
        account = next((p.account for p in self.connections if f"auth={p.media_auth}" == query), None)
        if account is None:
            return 503, "text/plain", b"not connected\n"
        if len(body) > MAX_UPLOAD_BYTES:
            return 413, "text/plain", b"too large\n"
        stored = self.simulator.world.media.upload(account.number, path.split("/")[2], body)
        answer = {"url": f"https://{HOST}{stored}", "direct_path": stored}
        return 200, "application/json", json.dumps(answer).encode()

    async def _talk(
        self, stream: "trio.SSLStream[trio.SocketStream]", request: h11.Request, rest: bytes
    ) -> None:
        socket = WSConnection(ConnectionType.SERVER)
        socket.initiate_upgrade_connection(list(request.headers), request.target.decode())
        connection = Connection(self.simulator)
        self.connections.append(connection)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stream, socket, connection, nursery.cancel_scope)
                await self._read(stream, socket, connection, nursery, rest)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.connections.remove(connection)
            connection.gone()

    async def _write(
        self, stream: "trio.SSLStream[trio.SocketStream]", socket: WSConnection, connection: Connection,
        scope: trio.CancelScope,
    ) -> None:  # fmt: skip
        while (frames := await connection.next_frames()) is not None:
            if socket.state is not ConnectionState.OPEN:
                break  # the page is closing it: what it is told now is lost
            await stream.send_all(b"".join(socket.send(TextMessage(json.dumps(frame))) for frame in frames))
        if socket.state is ConnectionState.OPEN:
            await stream.send_all(socket.send(CloseConnection(1013, "try again later")))
        scope.cancel()

    async def _read(
        self, stream: "trio.SSLStream[trio.SocketStream]", socket: WSConnection, connection: Connection,
        nursery: trio.Nursery, rest: bytes,
    ) -> None:  # fmt: skip
        if rest:
            socket.receive_data(rest)
        text = ""
        while True:
            for event in socket.events():
                match event:
                    case Request():
                        await stream.send_all(socket.send(AcceptConnection()))
                    case TextMessage():
                        text += event.data
                        if len(text) > MAX_FRAME_BYTES:
                            return
                        if event.message_finished:
                            frame, text = json.loads(text), ""
                            try:
                                await connection.handle(frame, nursery)
                            except SimulatorError as error:
                                self.simulator.complaints.append(str(error))
                                return
                    case Ping():
                        await stream.send_all(socket.send(event.response()))
                    case CloseConnection() | BytesMessage():
                        return
            data = await stream.receive_some(65536)
            if not data:
                return
            socket.receive_data(bytes(data))


def _header(request: h11.Request, name: bytes) -> str:
    return next((bytes(value).decode("latin-1") for key, value in request.headers if key == name), "")


def _respond(http: h11.Connection, status: int, kind: str, body: bytes) -> bytes:
    headers = [
        ("content-type", f"{kind}; charset=utf-8"),
        ("content-length", str(len(body))),
        ("cache-control", "no-cache"),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin-allow-popups"),
    ]
    parts = [http.send(h11.Response(status_code=status, headers=headers)), http.send(h11.Data(data=body))]
    return b"".join(part for part in [*parts, http.send(h11.EndOfMessage())] if part)


__all__ = ["HOST", "Seen", "Server"]

"""An HTTP server on loopback that takes webhooks, or does not, as the test says."""

import datetime
import ipaddress
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import h11
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@attrs.frozen
class Request:
    """What came: its path, its headers in lower case, its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@attrs.frozen
class Answer:
    """What is said: `hang` never says it, `endless` never ends its body, `cut` closes instead."""

    status: int = 204
    headers: dict[str, str] = attrs.Factory(dict)
    body: bytes = b""
    hang: bool = False
    endless: bool = False
    cut: bool = False


class Receiver:
    """`requests` is what came, in order. `port` stays the same when it is served again."""

    def __init__(self, answer: Callable[[Request], Answer] = lambda _request: Answer()) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self._came = trio.Event()

    @property
    def seqs(self) -> list[int]:
        return [request.event["seq"] for request in self.requests]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for requests until the condition holds."""
        with trio.fail_after(60):
            while not condition():
                self._came = trio.Event()
                await self._came.wait()

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Serve for as long as the block lasts; gives the URL."""
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]

            async def handle(stream: trio.SocketStream) -> None:
                self.connections += 1
                secured = stream if tls is None else trio.SSLStream(stream, tls, server_side=True)
                try:
                    await self._converse(secured)
                except (trio.BrokenResourceError, h11.RemoteProtocolError):
                    pass
                finally:
                    await trio.aclose_forcefully(secured)

            nursery.start_soon(trio.serve_listeners, handle, [listener])
            yield f"http{'' if tls is None else 's'}://127.0.0.1:{self.port}"
            nursery.cancel_scope.cancel()

    async def _converse(self, stream: Any) -> None:
        connection = h11.Connection(h11.SERVER)

        async def following() -> Any:
            while (event := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65536))
            return event

        while isinstance(head := await following(), h11.Request):
            body = b""
            while isinstance(part := await following(), h11.Data):
                body += part.data
            headers = {name.decode(): value.decode() for name, value in head.headers}
            request = Request(head.target.decode(), headers, body)
            answer = self.answer(request)
            self.requests.append(request)
            self._came.set()
            if answer.hang:
                await trio.sleep_forever()
            if answer.cut:
                return
            fields = [("content-length", str(len(answer.body)))] if not answer.endless else []
            said = connection.send(
                h11.Response(status_code=answer.status, headers=[*answer.headers.items(), *fields])
            )
            await stream.send_all(said)
            while answer.endless:
                await stream.send_all(connection.send(h11.Data(data=b"x" * 1000)) or b"")
            data = connection.send(h11.Data(data=answer.body)) or b""
            await stream.send_all(data + (connection.send(h11.EndOfMessage()) or b""))
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS for 127.0.0.1, and the file of whom to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted = directory / "trusted.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key.pem")
        path.write_bytes(
            trusted.read_bytes()
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context.load_cert_chain(path)
    return context, trusted

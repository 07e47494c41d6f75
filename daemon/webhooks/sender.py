"""One request: to an address that has been checked, within a deadline, and what came of it.

Owns the HTTP client: no redirects, no cookies, no proxies of the environment. Must not know the log, or
what follows from an outcome.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from . import guard, schedule, signature

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    import httpcore
    import httpx

    from daemon.store.webhooks import Hook

__all__ = ["GONE", "Attempt", "Sender"]

TIMEOUT_S: Final = 15.0
"""For all of it: name, connection, TLS, request, answer."""

GONE: Final = 410
_LINGER_S: Final = 1.0
_MOST_READ_BYTES: Final = 4096
_MOST_TOLD: Final = 300
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORD: Final = re.compile(r"\w{4,}")
_AT_ONCE: Final = 8
"""How many requests of one webhook are under way at the same time; further ones wait."""


@attrs.frozen(kw_only=True)
class Attempt:
    """What came of a request. `reason` is fit for the log, `error` may hold what the receiver said."""

    status: int | None = None
    reason: str | None = None
    error: str | None = None
    retry_after_s: float | None = None
    duration_s: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Makes the requests of one webhook; to be closed. `tls` is whom it trusts, by default the system's."""

    def __init__(
        self, hook: Hook, policy: guard.Policy, *, version: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._hook = hook
        self._policy = policy
        self._agent = f"wasup/{version}"
        self._tls = tls
        self._room = trio.CapacityLimiter(_AT_ONCE)
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def post(self, message_id: str, body: bytes) -> Attempt:
        """POST an event; whatever goes wrong is told by what is returned."""
        async with self._room:
            begun = trio.current_time()
            attempt = Attempt(reason="timeout", error=f"No answer within {TIMEOUT_S:g} s")
            with trio.move_on_after(TIMEOUT_S):
                attempt = await self._post(message_id, body)
            return attrs.evolve(attempt, duration_s=trio.current_time() - begun)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def _post(self, message_id: str, body: bytes) -> Attempt:
        httpx = await _library()
        hook = self._hook
        try:
            guard.check_url(hook.url, self._policy)
            if self._tls is None:
                self._tls = await trio.to_thread.run_sync(_system_tls)
            if self._transport is None:
                plain = urlsplit(hook.url).scheme == "http"
                self._transport = _transport(self._policy, self._tls, plain=plain)
            now_s = int(time.time())
            signed = (
                {}
                if hook.secret is None
                else {"webhook-signature": signature.sign(hook.secret, message_id, now_s, body)}
            )
            request = httpx.Request(
                "POST",
                hook.url,
                headers={
                    "user-agent": self._agent,
                    "accept-encoding": "identity",
                    **{name.lower(): value for name, value in hook.headers.items()},
                    "content-type": "application/json",
                    "webhook-id": message_id,
                    "webhook-timestamp": str(now_s),
                    **signed,
                },
                content=body,
            )
            request.stream = _stream(body)
            response = await self._transport.handle_async_request(request)
            try:
                said = await _beginning(response)
            finally:
                with trio.move_on_after(_LINGER_S, shield=True):
                    await response.aclose()
        except guard.Refused as error:
            return Attempt(reason="address_refused", error=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Attempt(reason=type(error).__name__, error=_plainly(error)[:_MOST_TOLD])
        if response.is_success:
            return Attempt(status=response.status_code)
        told = self._hidden(said, body)
        return Attempt(
            status=response.status_code,
            reason=f"status {response.status_code}",
            error=f"{response.status_code} {response.reason_phrase}".strip() + (f": {told}" if told else ""),
            retry_after_s=schedule.retry_after_s(response.headers.get("retry-after"), time.time()),
        )

    def _hidden(self, text: str, body: bytes) -> str:
        """Take out of what a receiver said what it was sent: secrets, and every word that people wrote."""
        hook = self._hook
        secrets = [*hook.headers.values(), *(hook.secret or "").split()]
        said = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).replace("\\n", " ")
        said = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for value in sorted(filter(None, secrets), key=len, reverse=True):
            said = said.replace(value, "…")
        sent = {
            word
            for value in (*secrets, *_leaves(msgspec.json.decode(body)["data"]))
            for word in _WORD.findall(value)
        }
        said = _WORD.sub(lambda found: "…" if found[0] in sent else found[0], said)
        said = " ".join(said.split())
        return said if len(said) <= _MOST_TOLD else said[:_MOST_TOLD] + "…"


def _leaves(value: object) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _leaves(inner)
        case list():
            for inner in value:
                yield from _leaves(inner)


async def _beginning(response: httpx.Response) -> str:
    """Read a little of the answer, for a moment; who says more is hung up on."""
    httpx = await _library()
    taken = b""
    stream: Any = response.stream
    # Cancelled rather than left: no generator below may be left to the garbage collector.
    with trio.move_on_after(_LINGER_S) as reading, contextlib.suppress(httpx.HTTPError):
        async for part in stream:
            if len(taken) < _MOST_READ_BYTES:
                taken += part
            else:
                reading.cancel()
    return taken[:_MOST_READ_BYTES].decode("utf-8", "replace")


async def _library() -> ModuleType:
    """Return httpx, which costs a daemon without webhooks nothing."""
    return await trio.to_thread.run_sync(_import)


@cache
def _import() -> ModuleType:
    import httpx

    return httpx


class _Once:
    """Yields its content once."""

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _stream(content: bytes) -> httpx.AsyncByteStream:
    """Return a body to send, once: httpx's own (0.28) is a generator, which a cancelled request leaves."""
    import httpx

    class Body(httpx.AsyncByteStream):
        def __aiter__(self) -> _Once:
            return _Once(content)

    return Body()


@cache
def _system_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _transport(policy: guard.Policy, tls: ssl.SSLContext, *, plain: bool) -> httpx.AsyncHTTPTransport:
    import httpcore
    import httpx

    network = httpcore.TrioBackend()

    class Checked(httpcore.AsyncNetworkBackend):
        """Connects to addresses that the policy lets through, and to nothing else."""

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109  httpcore's; the caller has a deadline for all
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            del timeout, local_address, socket_options
            failure: Exception = httpcore.ConnectError("The name has no address")
            for address in await _resolve(host, port):
                try:
                    guard.check_address(address, policy, plain=plain)
                    return await network.connect_tcp(str(address), port)
                except guard.Refused as refused:
                    failure = refused
                except httpcore.ConnectError as error:
                    failure = httpcore.ConnectError(_plainly(error))
            raise failure

    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    # httpx has no parameter for it (0.28); httpcore's is public.
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=_AT_ONCE,
        max_keepalive_connections=1,
        keepalive_expiry=30.0,
        network_backend=Checked(),
    )
    return transport


async def _resolve(host: str, port: int) -> list[guard.Address]:
    address = guard.literal(host)
    if address is not None:
        return [address]
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    texts = [str(place[0]).partition("%")[0] for *_, place in found]
    return [each for text in dict.fromkeys(texts) if (each := guard.literal(text)) is not None]


def _plainly(error: BaseException) -> str:
    """Return the words of the system's error that lies deepest, the error's own where there is none."""
    words = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            own = isinstance(cause, ssl.SSLError | socket.gaierror) or not cause.errno
            words = cause.strerror if own else os.strerror(cause.errno or 0)  # without trio's addresses
        # httpcore's pool raises `from None` (1.0): the cause is left as the context.
        below = cause.__cause__ or cause.__context__
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else below
    return words

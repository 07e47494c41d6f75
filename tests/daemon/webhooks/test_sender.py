"""Single requests to real servers on loopback: what is sent, and what comes of every kind of answer."""

import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.store.webhooks import Hook
from daemon.webhooks import guard, sender
from daemon.webhooks.sender import Sender

from .receiver import Answer, Receiver, certificate

OLD, NEW = (f"whsec_{base64.b64encode(key * 24).decode()}" for key in (b"o", b"n"))
BODY = (
    '{"seq":7,"type":"message.received","sessionId":"shop","timestamp":"2026-11-21T10:00:00.000Z",'
    '"data":{"message":{"text":"Grüße \\"aus\\" Köln"}}}'
).encode()


@asynccontextmanager
async def sending(url: str, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[Sender]:
    policy = more.pop("policy", guard.Policy())
    hook = Hook(**{"id": "h", "source": "api", "session_id": None, "url": url, "created_at": 1, **more})
    made = Sender(hook, policy, version="1.2.3", tls=tls)
    try:
        yield made
    finally:
        await made.close()


async def test_the_reference_library_verifies(tmp_path: Path) -> None:
    """With either key while it is changed, and with a plain text as its bytes."""
    receiver = Receiver()
    server, trusted = certificate(tmp_path)
    async with (
        receiver.serve(server) as url,
        sending(
            f"{url}/hook?a=b",
            ssl.create_default_context(cafile=trusted),
            secret=f"{NEW} {OLD} plain",
            headers={"Authorization": "Bearer s3cret", "User-Agent": "shop"},
        ) as made,
    ):
        for _ in range(3):
            assert (await made.post("evt_7", BODY)).delivered
    request = receiver.requests[0]
    assert request.path == "/hook?a=b"
    assert request.body == BODY
    for key in (NEW, OLD, b"plain"):
        assert Webhook(key).verify(request.body, request.headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(request.body.replace(b"7", b"8"), request.headers)
    assert request.headers["webhook-id"] == "evt_7"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["user-agent"] == "shop"
    assert receiver.connections == 1


async def test_without_a_secret_it_is_not_signed() -> None:
    receiver = Receiver(lambda _request: Answer(200, {"set-cookie": "a=b"}, b"thanks"))
    async with receiver.serve() as url, sending(url) as made:
        assert (await made.post("evt_7", BODY)).delivered
        assert (await made.post("evt_8", BODY)).delivered
    assert receiver.requests[0].headers["user-agent"] == "wasup/1.2.3"
    assert "webhook-signature" not in receiver.requests[0].headers
    assert "cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    other = Receiver()
    async with other.serve() as elsewhere:
        receiver = Receiver(lambda _request: Answer(status, {"location": elsewhere}))
        async with receiver.serve() as url, sending(url) as made:
            attempt = await made.post("evt_7", BODY)
    assert (attempt.delivered, attempt.status) == (False, status)
    assert other.requests == []


async def test_what_a_receiver_says_is_told_without_what_it_was_sent() -> None:
    said = json.dumps({"error": "broken", "got": json.loads(BODY), "auth": "Bearer s3cret", "key": NEW})
    receiver = Receiver(
        lambda request: Answer(
            503, {"retry-after": "30"}, f"{said}\n{request.body.decode()}".encode() + b"y" * 100_000
        )
    )
    async with (
        receiver.serve() as url,
        sending(url, secret=NEW, headers={"Authorization": "Bearer s3cret"}) as made,
    ):
        attempt = await made.post("evt_7", BODY)
    assert (attempt.status, attempt.reason, attempt.retry_after_s) == (503, "status 503", 30)
    assert attempt.error is not None
    assert attempt.error.startswith('503: {"error": "broken"')
    assert len(attempt.error) < 400
    for secret in ("s3cret", NEW, "Grüße", "Köln", "\\u00"):
        assert secret not in attempt.error


async def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.2)
    receiver = Receiver(lambda _request: Answer(hang=True))
    async with receiver.serve() as url, sending(url) as made:
        attempt = await made.post("evt_7", BODY)
        assert (attempt.status, attempt.reason) == (None, "timeout")
        receiver.answer = lambda _request: Answer(500, endless=True)
        assert (await made.post("evt_7", BODY)).status == 500
        receiver.answer = lambda _request: Answer(200, endless=True)
        assert (await made.post("evt_7", BODY)).delivered


async def test_cut_off_and_refused() -> None:
    receiver = Receiver(lambda _request: Answer(cut=True))
    async with receiver.serve() as url, sending(url) as made:
        attempt = await made.post("evt_7", BODY)
        assert not attempt.delivered
        assert attempt.reason == "RemoteProtocolError"
    async with sending(url) as made:
        attempt = await made.post("evt_7", BODY)
        assert (attempt.reason, attempt.error) == ("ConnectError", "Connection refused")
        async with receiver.serve():
            receiver.answer = lambda _request: Answer()
            assert (await made.post("evt_7", BODY)).delivered


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    receiver = Receiver()
    server, _ = certificate(tmp_path)
    async with receiver.serve(server) as url, sending(url, secret=NEW) as made:
        attempt = await made.post("evt_7", BODY)
    assert attempt.reason == "ConnectError"
    assert "certificate" in (attempt.error or "").lower()
    assert receiver.requests == []


async def test_a_name_is_checked_when_it_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has changed its mind since: what was checked is what is connected to."""
    answers = ["127.0.0.1", "10.0.0.1", "169.254.169.254"]
    asked: list[str] = []

    real = trio.socket.getaddrinfo

    async def getaddrinfo(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        if host != "shop.localhost":
            return await real(host, port, *args, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[len(asked) - 1], port))]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    receiver = Receiver()
    async with receiver.serve() as url:
        name = url.replace("127.0.0.1", "shop.localhost")
        for expected in ("", "https", "link-local"):
            policy = guard.Policy(allow_http=expected == "link-local")
            async with sending(name, policy=policy) as made:
                attempt = await made.post("evt_7", BODY)
                assert attempt.delivered == (not expected)
                assert expected in (attempt.error or "")
                assert attempt.reason == ("address_refused" if expected else None)
    assert asked == ["shop.localhost"] * 3
    assert [request.headers["host"] for request in receiver.requests] == [f"shop.localhost:{receiver.port}"]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    receiver = Receiver()
    async with receiver.serve() as url, sending(url) as made:
        assert (await made.post("evt_7", BODY)).delivered


async def test_a_few_at_once() -> None:
    together = 0
    most = 0
    enough = trio.Event()

    def answer(_request: object) -> Answer:
        nonlocal together, most
        together += 1
        most = max(most, together)
        if together == 8:
            enough.set()
        return Answer(hang=True)

    receiver = Receiver(answer)
    async with receiver.serve() as url, sending(url) as made, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(made.post, "evt_7", BODY)
        with trio.fail_after(10):
            await enough.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
    assert most == 8

"""What needs no browser: figures, the outbox, limits."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from protocol.errors import RpcError
from tests.system.conftest import ADA
from tests.system.wasupd import Caller


async def test_a_session_in_figures(call: Caller) -> None:
    await call.create("shop")
    await call.send("shop", ADA, "hello")
    figures = await call("session.stats", sessionId="shop")
    assert figures["stats"]["byType"] == {"text": 1}
    assert list(figures["stats"]["byDay"].values()) == [{"sent": 0, "received": 0}]
    assert figures["performance"] == {
        "averageResponseTime": None,
        "uptime": 0.0,
        "messagesPerHour": 1.0,
        "errorRate": 0.0,
    }


async def test_a_message_is_cancelled_and_queued_again(call: Caller) -> None:
    await call.create("shop")
    message = await call.send("shop", ADA, "hello", idempotencyKey="order 1")
    assert (await call.send("shop", ADA, "hello", idempotencyKey="order 1"))["id"] == message["id"]
    with pytest.raises(RpcError) as refusal:
        await call.send("shop", ADA, "goodbye", idempotencyKey="order 1")
    assert refusal.value.code == "IDEMPOTENCY_CONFLICT"
    cancelled = await call("message.cancel", sessionId="shop", messageId=message["id"])
    assert cancelled["status"] == "cancelled"
    again = await call("message.retry", sessionId="shop", messageId=message["id"])
    assert again["status"] == "queued"
    assert (await call("session.get", sessionId="shop"))["messageQueue"] == 1


async def test_metrics_are_openmetrics(call: Caller) -> None:
    await call.create("shop")
    await call.send("shop", ADA, "hello")
    text = (await call("daemon.metrics"))["text"]
    parsed = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no annotations
    families = {family.name: family for family in parsed}
    assert text.endswith("# EOF\n")
    assert {s.labels["status"]: s.value for s in families["wasup_sessions"].samples}["inactive"] == 1
    (queued,) = families["wasup_messages_queued"].samples
    assert (queued.labels, queued.value) == ({"session": "shop"}, 1)
    assert families["wasup_stored_messages"].samples[0].value == 1


async def test_a_promise_that_cannot_be_kept_is_not_given(call: Caller) -> None:
    await call.create("shop")
    for name, value in (("enableEncryption", True), ("proxy", "socks5://user:word@localhost:1")):
        with pytest.raises(RpcError) as refusal:
            await call("session.update", sessionId="shop", settings={name: value})
        assert refusal.value.details["path"] == f"$.settings.{name}"


@pytest.mark.parametrize("settings", [{"sessions.max": 2, "sessions.max_per_uid": 1}], indirect=True)
async def test_sessions_are_limited(call: Caller) -> None:
    await call.create("one")
    with pytest.raises(RpcError) as refusal:
        await call.create("two")
    assert (refusal.value.code, refusal.value.details["limit"]) == ("SESSION_LIMIT", 1)
    with pytest.raises(RpcError) as refusal:
        await call.create("one")
    assert refusal.value.code in ("SESSION_EXISTS", "SESSION_LIMIT")


@pytest.mark.parametrize(
    "settings", [{"messages.queue_limit": 1, "messages.rate_per_minute": 3}], indirect=True
)
async def test_the_queue_and_the_rate_are_limited(call: Caller) -> None:
    await call.create("shop")
    first = await call.send("shop", ADA, "one")
    with pytest.raises(RpcError) as refusal:
        await call.send("shop", ADA, "two")
    assert (refusal.value.code, refusal.value.details["limit"]) == ("QUEUE_FULL", 1)
    for _ in range(2):
        await call("message.cancel", sessionId="shop", messageId=first["id"])
        first = await call.send("shop", ADA, "another")
    await call("message.cancel", sessionId="shop", messageId=first["id"])
    with pytest.raises(RpcError) as refusal:
        await call.send("shop", ADA, "one too many")
    assert refusal.value.code == "RATE_LIMITED"
    assert 0 < refusal.value.details["retryAfter"] <= 60

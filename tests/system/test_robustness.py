"""What must survive, and what must disturb nobody: killed daemons, half-done sends, unruly clients."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from protocol.errors import RpcError
from tests.simulator import Simulator
from tests.system.conftest import ADA, GRACE, SHOP
from tests.system.wasupd import PROGRAM, Caller, Wasupd, until


@pytest.mark.chrome
async def test_sigterm_ends_in_order_and_the_next_start_needs_no_qr(sim: Simulator, wasupd: Wasupd) -> None:
    shop = sim.phone(SHOP)
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", shop)
    assert await wasupd.end(signal.SIGTERM) == 0
    assert not wasupd.socket.exists()
    assert wasupd.browsers() == []
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        await call.wait("shop", "connected")
        log = await call("events.list", types=["session.status", "daemon.stopping", "daemon.started"])
        chain = [(e["type"], e["data"].get("from"), e["data"].get("to")) for e in log["events"]]
        assert chain[-5:] == [
            ("daemon.stopping", None, None),
            ("session.status", "connected", "disconnected"),
            ("daemon.started", None, None),
            ("session.status", "disconnected", "connecting"),
            ("session.status", "connecting", "connected"),
        ]
        assert (await call("session.get", sessionId="shop"))["restarts"]["count"] == 0
        nursery.cancel_scope.cancel()


@pytest.mark.chrome
async def test_sigkill_of_the_daemon_leaves_no_browser_and_loses_nothing(
    sim: Simulator, wasupd: Wasupd
) -> None:
    """What was accepted is sent once, under its id, whether a page had it already or not."""
    shop = sim.phone(SHOP)
    async with wasupd.client() as call:
        await call.create("shop")
        await call.link("shop", shop)
        shop.hold_acks()
        accepted = [await call.send("shop", to, f"{to} {n}") for n in range(3) for to in (ADA, GRACE)]
        await shop.wait_for(lambda phone: len(phone.submissions) == 2)  # the first of each chat
        browsers = wasupd.browsers()
        assert browsers
    assert await wasupd.end(signal.SIGKILL) == -signal.SIGKILL
    with trio.fail_after(10):
        for process in browsers:
            await trio.to_thread.run_sync(process.wait)
    shop.receive(ADA, "while you were away")
    shop.release_acks()
    await wasupd.start()
    async with trio.open_nursery() as nursery, wasupd.client() as call:
        nursery.start_soon(wasupd.drain)
        async with call.client.subscribe(types=["message.sent", "message.received"], after=0) as events:
            seen = await until(events, *["message.sent"] * 6)
            if "message.received" not in [event["type"] for event in seen]:
                seen += await until(events, "message.received")
        sent = [e["data"]["message"]["id"] for e in seen if e["type"] == "message.sent"]
        assert sorted(sent) == sorted(message["id"] for message in accepted)
        for chat in ("4915110000001@c.us", "4915110000002@c.us"):
            wanted = [message["id"] for message in accepted if message["chatId"] == chat]
            assert [d.id for d in shop.deliveries if d.chat == chat] == wanted
        nursery.cancel_scope.cancel()


@pytest.mark.chrome
async def test_a_chrome_killed_between_sending_and_the_ack(sim: Simulator, call: Caller) -> None:
    """WhatsApp itself sends it again; the daemon asks, waits, and does not."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    shop.hold_acks()
    message = await call.send("shop", ADA, "once")
    await shop.wait_for(lambda phone: phone.submissions)
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), signal.SIGKILL)
        await until(events, "session.recovered")
        await shop.wait_for(lambda phone: len(phone.submissions) == 2)
        shop.release_acks()
        await until(events, "message.delivered")
    assert [(s.id, s.duplicate) for s in shop.submissions] == [(message["id"], False), (message["id"], True)]
    assert [d.id for d in shop.deliveries] == [message["id"]]
    assert (await call("message.get", sessionId="shop", messageId=message["id"]))["attempts"] == 1


@pytest.mark.chrome
async def test_what_came_while_chrome_was_dead_is_caught_up(sim: Simulator, call: Caller) -> None:
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.received"]) as events:
        os.kill(await call.pid("shop"), signal.SIGKILL)
        await call.wait("shop", "disconnected", "connecting")
        for number in range(3):
            shop.receive(ADA, f"missed {number}")
        seen = await until(events, *["message.received"] * 3)
    assert [event["data"]["message"]["text"] for event in seen] == [f"missed {n}" for n in range(3)]


@pytest.mark.chrome
async def test_a_number_that_is_not_on_whatsapp(sim: Simulator, call: Caller) -> None:
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    with pytest.raises(RpcError) as refusal:
        await call.send("shop", "+49 30 0000000", "anybody?", wait="sent")
    assert refusal.value.code == "RECIPIENT_NOT_FOUND"
    failed = refusal.value.details["message"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "RECIPIENT_NOT_FOUND")
    # The chat of a failed message is not blocked by it, nor are others.
    assert (await call.send("shop", ADA, "hello", wait="sent"))["status"] in ("sent", "delivered")


@pytest.mark.chrome
@pytest.mark.parametrize(
    "settings", [{"liveness.probe_interval": 0.2, "liveness.probe_timeout": 2}], indirect=True
)
async def test_a_stopped_chrome_is_noticed(sim: Simulator, call: Caller) -> None:
    """SIGSTOP: the process lives, and does nothing; it is killed and started again."""
    await call.create("shop")
    await call.link("shop", sim.phone(SHOP))
    async with call.client.subscribe(sessions=["shop"]) as events:
        os.kill(await call.pid("shop"), signal.SIGSTOP)
        seen = await until(events, "session.recovered")
    assert seen[0]["data"]["reason"] == "PAGE_HUNG"


@pytest.mark.parametrize("settings", [{"browser.path": "/nonexistent/chrome"}], indirect=True)
async def test_without_a_browser_the_session_says_so(call: Caller) -> None:
    await call.create("shop")
    with pytest.raises(RpcError) as refusal:
        await call("session.start", sessionId="shop", wait=True, timeout=20)
    assert refusal.value.code == "BROWSER_UNAVAILABLE"
    assert "/nonexistent/chrome" in refusal.value.message
    assert "[browser] path" in str(refusal.value.details["action"])
    status = await call("session.status", sessionId="shop")
    assert (status["status"], status["reason"]) == ("disconnected", "BROWSER_UNAVAILABLE")


# -- clients that do not behave


@asynccontextmanager
async def raw(wasupd: Wasupd) -> AsyncIterator["Raw"]:
    stream = await trio.open_unix_socket(str(wasupd.socket))
    async with stream:
        yield Raw(stream)


class Raw:
    """Bytes, as any program may send them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._heard = b""

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hear(self) -> dict[str, object]:
        with trio.fail_after(30):
            while b"\n" not in self._heard:
                data = await self.stream.receive_some()
                assert data, "the daemon hung up"
                self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    async def is_closed(self) -> bool:
        with trio.fail_after(30):
            try:
                while await self.stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        return True


def _code(answer: dict[str, object]) -> tuple[object, object]:
    error = answer["error"]
    assert isinstance(error, dict)
    return error["code"], error["data"]["code"]


async def test_wrong_and_missing_parameters_are_named(call: Caller) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"name": "x", "nam": "y"}, "$.nam"),
        ({}, "$.name"),
        ({"name": 7}, "$.name"),
        ({"name": "x", "settings": {"autoReconnekt": True}}, "$.settings.autoReconnekt"),
    ]
    for params, path in wrong:
        with pytest.raises(RpcError) as refusal:
            await call("session.create", **params)
        assert (refusal.value.code, refusal.value.details["path"]) == ("INVALID_PARAMS", path)
    with pytest.raises(RpcError) as refusal:
        await call("session.creat", name="x")
    assert refusal.value.code == "METHOD_NOT_FOUND"
    assert "session.create" in str(refusal.value.details["action"])


async def test_unruly_clients_disturb_nobody(wasupd: Wasupd, call: Caller) -> None:
    async with raw(wasupd) as client:
        await client.say(b"this is no JSON\n")
        assert _code(await client.hear()) == (-32700, "PARSE_ERROR")
        await client.say(b'{"jsonrpc":"2.0","id":7,"method":"daemon.whoami"}\n')
        assert (await client.hear())["id"] == 7
        await client.say(b'{"jsonrpc":"2.0","id":8,"method":"daemon.who')  # half a line, then gone
    async with raw(wasupd) as client:
        await client.say(b'{"jsonrpc":"2.0","id":9,"method":"daemon.whoami","params":["')
        piece = b"x" * 2**20
        for _ in range(33):
            await client.say(piece)
        assert _code(await client.hear()) == (-32600, "INVALID_REQUEST")
        assert await client.is_closed()
    assert (await call("daemon.whoami"))["role"] == "admin"


@pytest.mark.parametrize("settings", [{"rpc.max_connections": 3}], indirect=True)
async def test_one_connection_too_many(wasupd: Wasupd, call: Caller) -> None:
    assert (await call("daemon.whoami"))["role"] == "admin"
    async with raw(wasupd) as second, raw(wasupd) as third:
        for client in (second, third):
            await client.say(b'{"jsonrpc":"2.0","id":1,"method":"daemon.whoami"}\n')
            assert "result" in await client.hear()
        async with raw(wasupd) as fourth:
            refused = await fourth.hear()
            assert (refused["id"], _code(refused)) == (None, (-32027, "TOO_MANY_CONNECTIONS"))
            assert await fourth.is_closed()
    assert (await call("daemon.whoami"))["role"] == "admin"


async def test_a_client_that_never_reads_is_cut_off_alone(wasupd: Wasupd, call: Caller) -> None:
    """It asks without end and takes no answer; others are answered all the while."""
    request = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n' * 100
    async with raw(wasupd) as deaf, trio.open_nursery() as nursery:

        async def pour() -> None:
            try:
                while True:
                    await deaf.say(request)
            except trio.BrokenResourceError:
                nursery.cancel_scope.cancel()

        nursery.start_soon(pour)
        with trio.fail_after(60):
            while True:
                assert (await call("daemon.whoami"))["uid"] == os.getuid()
                await trio.lowlevel.checkpoint()


async def test_a_shutdown_by_request(wasupd: Wasupd) -> None:
    async with wasupd.client() as call:
        assert await call("daemon.shutdown") == {"stopping": True}
    assert wasupd.process is not None
    with trio.fail_after(30):
        assert await wasupd.process.wait() == 0
    wasupd.process = None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[restart]\nmax_restart = 3\n", "restart.max_restarts"),
        ("[restart]\nmax_restarts = 'three'\n", "restart.max_restarts"),
        ("[restart\n", "1"),
    ],
)
async def test_a_bad_configuration_is_refused_before_anything_starts(
    wasupd: Wasupd, text: str, said: str
) -> None:
    bad = wasupd.directory / "bad.toml"
    bad.write_text(text)
    done = await trio.run_process([str(PROGRAM), "--config", str(bad)], capture_stderr=True, check=False)
    assert done.returncode == 78
    assert str(bad) in done.stderr.decode()
    assert said in done.stderr.decode()


async def test_a_second_daemon_on_the_same_socket_is_refused(wasupd: Wasupd, call: Caller) -> None:
    done = await trio.run_process(
        [str(PROGRAM), "--config", str(wasupd.config)], capture_stderr=True, check=False
    )
    assert done.returncode == 1
    assert str(wasupd.socket) in done.stderr.decode()
    assert (await call("daemon.whoami"))["role"] == "admin"


async def test_the_configuration_is_read_again(wasupd: Wasupd, call: Caller) -> None:
    """By request as by SIGHUP: access, log and webhooks; a bad file changes nothing."""
    answer = await call("daemon.reloadConfig")
    assert answer == {"file": str(wasupd.config), "reloaded": ["access", "log", "webhooks"]}
    good = wasupd.config.read_text()
    wasupd.config.write_text(good + "\n[nonsense]\n")
    with pytest.raises(RpcError) as refusal:
        await call("daemon.reloadConfig")
    assert "nonsense" in refusal.value.message
    wasupd.config.write_text(good)
    assert (await call("daemon.whoami"))["role"] == "admin"


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
    for name, value in (("enableEncryption", True), ("proxy", "socks5://localhost:1")):
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


@pytest.mark.chrome
async def test_a_reaction_whose_outcome_nobody_knows(sim: Simulator, call: Caller) -> None:
    """It takes no id, so it cannot be asked about: it is not done twice, and that is said."""
    shop = sim.phone(SHOP)
    await call.create("shop")
    await call.link("shop", shop)
    async with call.client.subscribe(types=["message.received", "message.failed"]) as events:
        shop.receive(ADA, "like this")
        (event,) = await until(events, "message.received")
        target = event["data"]["message"]["key"]
        shop.hold_acks()
        content = {"messageId": target, "emoji": "👍"}
        sent = await call("message.send", sessionId="shop", to=ADA, reaction=content)
        await shop.wait_for(lambda phone: phone.submissions)
        os.kill(await call.pid("shop"), signal.SIGKILL)
        (failed,) = await until(events, "message.failed")
    message = failed["data"]["message"]
    assert (message["id"], message["error"]["code"]) == (sent["id"], "OUTCOME_UNKNOWN")
    assert len(shop.submissions) == 1

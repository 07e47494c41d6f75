"""Subscriptions of one connection: what comes first, and clients that read slowly or not at all."""

from pathlib import Path

import msgspec
import pytest
import structlog
import trio
import trio.testing

from daemon.outgoing import Limits
from protocol.jsonrpc import encode_notification
from tests.daemon.serving import Served

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_the_answer_to_a_subscription_comes_before_its_first_notification(daemon: Served) -> None:
    daemon.events = [encode_notification("event", {"seq": number}) for number in range(3)]
    async with daemon.connect() as client:
        assert (await client.call("events.subscribe"))["result"] == {"subscription": 1}
        assert [(await client.line())["params"]["seq"] for _ in range(3)] == [0, 1, 2]
        request = {"jsonrpc": "2.0", "id": 2, "method": "events.subscribe"}
        await client.send([request, {**request, "method": "session.list", "id": 3}])
        assert len(await client.line()) == 2
        assert [(await client.line())["params"]["seq"] for _ in range(3)] == [0, 1, 2]
        assert (await client.call("events.unsubscribe", subscription=2))["result"] is True
        assert (await client.call("events.unsubscribe", subscription=2))["result"] is False


async def test_nothing_of_a_subscription_follows_the_answer_that_ends_it(daemon: Served) -> None:
    daemon.events = [encode_notification("event", {"pad": "x" * 100_000})] * 20
    async with daemon.connect() as client:
        for number in range(1, 201):
            assert (await client.call("events.subscribe"))["result"] == {"subscription": number}
            await client.line()
            for _ in range(number % 13):
                await trio.lowlevel.checkpoint()
            request = {"jsonrpc": "2.0", "method": "events.unsubscribe", "params": {"subscription": number}}
            await client.send({**request, "id": "end"})
            while (await client.line()).get("id") != "end":
                pass
            assert "result" in await client.call("daemon.whoami")


async def test_a_replay_of_any_length_reaches_one_who_reads(tmp_path: Path) -> None:
    daemon = Served(Limits(max_message_bytes=2**20))
    daemon.events = [encode_notification("event", {"seq": n, "pad": "x" * 1000}) for n in range(10_000)]
    async with daemon.listening(tmp_path / "s") as connect:
        client = await connect()
        await client.call("events.subscribe")
        assert [(await client.line())["params"]["seq"] for _ in daemon.events] == list(range(10_000))
        await client.stream.aclose()


async def test_a_subscriber_that_never_reads_is_disconnected(
    autojump_clock: trio.testing.MockClock, daemon: Served
) -> None:
    daemon.events = [encode_notification("event", {"pad": "x" * 1000})] * 10_000
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect_unbuffered() as client:
            await client.call("events.subscribe")
            await trio.sleep(Limits().stall_s - 1)
            assert daemon.server.connections == 1
            await trio.sleep(2)
            assert daemon.server.connections == 0
    assert [line["event"] for line in lines] == ["client_stalled"]


async def test_a_subscriber_that_reads_slowly_is_not(
    autojump_clock: trio.testing.MockClock, daemon: Served
) -> None:
    daemon.events = [encode_notification("event", {"pad": "x" * 60_000})] * 100
    async with daemon.connect_unbuffered() as client:
        await client.call("events.subscribe")
        for _ in daemon.events:
            await trio.sleep(10)
            await client.line()
        assert daemon.server.connections == 1


async def test_a_subscription_that_fails_ends_the_connection(daemon: Served) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            assert "result" in await client.call("events.subscribe", after=13)
            assert await client.rest() == b""
    assert [line["event"] for line in lines] == ["notifications_failed", "subscription_ended"]


async def test_a_subscription_that_cannot_go_on_is_told_of(daemon: Served) -> None:
    with structlog.testing.capture_logs() as lines:
        async with daemon.connect() as client:
            assert "result" in await client.call("events.subscribe", after=14)
            assert await client.rest() == b""
    assert [(line["event"], line["code"]) for line in lines] == [("subscription_ended", "CURSOR_EXPIRED")]


async def test_it_is_not_kept_by_a_request_that_waits_for_long(
    autojump_clock: trio.testing.MockClock, daemon: Served
) -> None:
    """What can be answered soon still is; with a wait for an hour the client would hear nothing so long."""
    async with daemon.connect() as client:
        await client.ask("session.wait", "long", sessionId="s", status="connected")
        await client.ask("session.list", "soon")
        await client.ask("events.subscribe", "ended", after=14)
        with trio.fail_after(10):
            answers = [msgspec.json.decode(line) for line in (await client.rest()).splitlines()]
        assert [answer["id"] for answer in answers] == ["soon", "ended"]


async def test_a_connection_has_only_so_many_subscriptions(
    daemon: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.rpc.MOST_SUBSCRIPTIONS", 2)
    async with daemon.connect() as client, daemon.connect() as other:
        for number in (1, 2):
            assert (await client.call("events.subscribe"))["result"] == {"subscription": number}
        refused = (await client.call("events.subscribe"))["error"]["data"]
        assert (refused["code"], "unsubscribe" in refused["details"]["action"]) == ("INVALID_PARAMS", True)
        assert "result" in await other.call("events.subscribe")
        assert (await client.call("events.unsubscribe", subscription=1))["result"] is True
        assert (await client.call("events.subscribe"))["result"] == {"subscription": 3}

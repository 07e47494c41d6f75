"""The trio client: calls, events, and every way a connection can end."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from protocol.client import feed
from protocol.client.aio import Client, client_over, connect
from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError
from protocol.jsonrpc import encode_error

from .daemon_double import DaemonDouble, open_fds


@asynccontextmanager
async def served(daemon: DaemonDouble) -> AsyncIterator[Client]:
    """A client of the double, over memory streams; nothing may take longer than a few seconds."""
    ours, theirs = memory_stream_pair()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(daemon.serve, theirs)
            async with client_over(ours) as client:
                yield client


async def test_a_call_returns_the_result() -> None:
    daemon = DaemonDouble()
    async with served(daemon) as client:
        assert await client.call("echo") == {}
        assert await client.call("echo", {"sessionId": "a"}, timeout=3) == {"sessionId": "a", "timeout": 3}
    assert daemon.asked == [("echo", {}), ("echo", {"sessionId": "a", "timeout": 3})]
    assert daemon.ended.is_set()


async def test_a_refusal_leaves_the_block_as_it_is() -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(DaemonDouble().serve, theirs)
        with pytest.raises(RpcError) as refused:
            async with client_over(ours) as client:
                await client.call("nothing.there")
    assert refused.value.code == "METHOD_NOT_FOUND"


async def test_answers_may_overtake_each_other() -> None:
    daemon = DaemonDouble()
    order: list[int] = []

    async def hold(client: Client, number: int) -> None:
        assert await client.call("hold", n=number) == {"n": number}
        order.append(number)

    async with served(daemon) as client, trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(hold, client, number)
        await wait_all_tasks_blocked()
        assert await client.call("echo", n=9) == {"n": 9}
        assert order == []
        await client.call("release")
    assert sorted(order) == [0, 1, 2]


async def test_a_lost_connection_fails_every_call_with_the_cause() -> None:
    daemon = DaemonDouble()
    lost: list[ConnectionLost] = []

    async def hold(client: Client) -> None:
        with pytest.raises(ConnectionLost, match="the daemon closed it") as caught:
            await client.call("hold")
        lost.append(caught.value)

    async with served(daemon) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(hold, client)
            await wait_all_tasks_blocked()
            with pytest.raises(ConnectionLost):
                await client.call("drop")
        with pytest.raises(ConnectionLost):
            await client.call("echo")
    assert len(lost) == 3
    assert len(set(map(id, lost))) == 3


async def test_a_client_that_was_closed_says_so() -> None:
    async with served(DaemonDouble()) as client:
        pass
    with pytest.raises(ConnectionLost, match="closed here"):
        await client.call("echo")


async def test_a_refused_connection_says_why() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(encode_error(None, RpcError("TOO_MANY_CONNECTIONS")))
    await theirs.aclose()
    async with client_over(ours) as client:
        with pytest.raises(ConnectionLost, match="TOO_MANY_CONNECTIONS") as lost:
            await client.call("echo")
    assert lost.value.refusal is not None
    assert lost.value.refusal.code == "TOO_MANY_CONNECTIONS"


async def test_a_daemon_that_talks_nonsense_is_left() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(b"hello\n")
    async with client_over(ours) as client:
        with pytest.raises(ConnectionLost, match="malformed"):
            await client.call("echo")


async def test_a_cancelled_call_is_forgotten() -> None:
    async with served(DaemonDouble()) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.call, "hold")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await client.call("release")
        assert await client.call("echo", n=1) == {"n": 1}


async def test_a_call_that_is_cancelled_while_it_leaves_does_not_cut_its_line() -> None:
    ours, theirs = lockstep_stream_pair()
    daemon = DaemonDouble()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, client_over(ours) as client:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as calling:
                    calling.start_soon(client.call, "echo", {"n": 1})
                    await wait_all_tasks_blocked()
                    scope.cancel()
            nursery.start_soon(daemon.serve, theirs)
            assert await client.call("echo", n=2) == {"n": 2}
    assert daemon.asked == [("echo", {"n": 1}), ("echo", {"n": 2})]


async def test_a_call_has_a_deadline(autojump_clock: MockClock) -> None:
    ours, _theirs = memory_stream_pair()
    async with client_over(ours) as client:
        with pytest.raises(CallTimeout, match=r"session\.wait within 2\.5 s"):
            await client.call("session.wait", sessionId="a", timeout=30, within_s=2.5)
    assert autojump_clock.current_time() == 2.5


async def test_events_come_in_order_from_the_moment_of_the_answer() -> None:
    daemon = DaemonDouble()
    async with served(daemon) as client:
        daemon.happen(3)
        async with client.subscribe() as events:
            assert events.cursor == 3
            daemon.happen(2)
            assert [(await anext(events))["seq"] for _ in range(2)] == [4, 5]
            assert events.cursor == 5
        assert daemon.asked[-1][0] == "events.unsubscribe"


async def test_events_that_follow_a_cursor_are_not_lost_before_the_loop_begins() -> None:
    daemon = DaemonDouble()
    daemon.happen(9)
    wanted: dict[str, Any] = {"sessions": ["a"], "types": ["session.connecting"], "after": 4}
    async with served(daemon) as client, client.subscribe(**wanted) as events:
        await wait_all_tasks_blocked()
        daemon.happen(1, "session.updated")
        daemon.happen(1)
        assert [(await anext(events))["seq"] for _ in range(6)] == [5, 6, 7, 8, 9, 11]
    assert daemon.asked[0] == ("events.subscribe", wanted)


async def test_subscriptions_do_not_mix() -> None:
    daemon = DaemonDouble()
    async with (
        served(daemon) as client,
        client.subscribe(types=["session.updated"]) as updates,
        client.subscribe() as everything,
    ):
        daemon.happen(2)
        daemon.happen(1, "session.updated")
        assert [(await anext(everything))["seq"] for _ in range(3)] == [1, 2, 3]
        assert (await anext(updates))["seq"] == 3


@pytest.mark.parametrize("page", [2, 7])
async def test_a_slow_consumer_misses_nothing_and_may_call(
    monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(feed, "MAX_WAITING", 5)
    monkeypatch.setattr(feed, "PAGE", page)
    daemon = DaemonDouble()
    taken = []
    async with served(daemon) as client, client.subscribe() as events:
        daemon.happen(40)
        async for event in events:
            taken.append(event["seq"])
            await client.call("echo", n=event["seq"])
            if len(taken) == 20:
                daemon.happen(40)
            if len(taken) == 81:
                break
            if len(taken) == 80:
                await wait_all_tasks_blocked()
                daemon.happen()
    assert taken == list(range(1, 82))
    assert "events.list" in {method for method, _ in daemon.asked}


async def test_a_cancelled_wait_for_events_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_WAITING", 2)
    monkeypatch.setattr(feed, "PAGE", 2)
    daemon = DaemonDouble()
    taken: list[int] = []
    cancelled = 0

    async def cancel_after(ticks: int, scope: trio.CancelScope) -> None:
        for _ in range(ticks):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with served(daemon) as client, client.subscribe() as events:
        daemon.happen(200)
        await wait_all_tasks_blocked()
        for ticks in itertools.cycle(range(12)):
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    nursery.start_soon(cancel_after, ticks, scope)
                    taken.append((await anext(events))["seq"])
            cancelled += scope.cancelled_caught
            if len(taken) == 200:
                break
    assert taken == list(range(1, 201))
    assert cancelled > 50


async def test_a_lost_connection_ends_the_events_after_the_last_that_came() -> None:
    daemon = DaemonDouble()
    async with served(daemon) as client, client.subscribe() as events:
        daemon.happen(2)
        with pytest.raises(ConnectionLost):
            await client.call("drop")
        assert [(await anext(events))["seq"] for _ in range(2)] == [1, 2]
        with pytest.raises(ConnectionLost):
            await anext(events)


async def test_a_lost_connection_wakes_who_waits_for_events() -> None:
    daemon = DaemonDouble()

    async def wait(client: Client) -> None:
        async with client.subscribe() as events:
            with pytest.raises(ConnectionLost):
                await anext(events)

    async with served(daemon) as client, trio.open_nursery() as nursery:
        nursery.start_soon(wait, client)
        await wait_all_tasks_blocked()
        with pytest.raises(ConnectionLost):
            await client.call("drop")


async def test_the_socket_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = DaemonDouble()
    monkeypatch.delenv("WASUP_SOCKET", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "wasup").mkdir()
    path = tmp_path / "wasup" / "wasup.sock"
    fds = open_fds()
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(path))
        listening.listen()
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, daemon.serve, [trio.SocketListener(listening)])
                for named in (None, str(path)):
                    async with connect(named) as client:
                        assert await client.call("echo", a="x" * 100_000) == {"a": "x" * 100_000}
                nursery.cancel_scope.cancel()
    assert daemon.served == 2
    assert open_fds() == fds


async def test_an_unreachable_daemon_is_told_with_the_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = str(tmp_path / "wasup.sock")
    monkeypatch.setenv("WASUP_SOCKET", nowhere)
    with pytest.raises(DaemonUnreachable, match="No such file") as unreachable:
        async with connect():
            pass
    assert [path for path, _ in unreachable.value.tried] == [nowhere]

"""Calls, replies and events over a transport in memory."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from supervisors.chrome.devtools import QUEUE_MAX, Connection
from supervisors.chrome.errors import (
    CallTimeout,
    ConnectionClosed,
    ContextDestroyed,
    DevToolsError,
    TargetCrashed,
    TargetDetached,
)
from supervisors.chrome.transports import TransportClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from supervisors.chrome.events import Event


class FakeChrome:
    """The other side: a transport whose messages the test writes and reads."""

    def __init__(self) -> None:
        self.to_us, self._incoming = trio.open_memory_channel[bytes](math.inf)
        self._outgoing, self.from_us = trio.open_memory_channel[bytes](0)

    async def send(self, message: bytes) -> None:
        try:
            await self._outgoing.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise TransportClosed from None

    async def receive(self) -> bytes:
        try:
            return await self._incoming.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise TransportClosed from None

    async def aclose(self) -> None:
        self._incoming.close()
        self._outgoing.close()
        await trio.lowlevel.checkpoint()

    def say(self, **message: Any) -> None:
        self.to_us.send_nowait(json.dumps(message).encode())

    async def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await self.from_us.receive())
        return heard

    async def answer(self, **message: Any) -> None:
        call = await self.hear()
        self.say(id=call["id"], **message)


@pytest.fixture
def chrome() -> FakeChrome:
    return FakeChrome()


@pytest.fixture
async def connection(chrome: FakeChrome, nursery: trio.Nursery) -> AsyncIterator[Connection]:
    connection = Connection(chrome, last_words=lambda: "aargh")
    nursery.start_soon(connection.run)
    yield connection
    nursery.cancel_scope.cancel()


async def test_a_call_gets_its_own_answer(
    chrome: FakeChrome, connection: Connection, nursery: trio.Nursery
) -> None:
    nursery.start_soon(chrome.answer)
    chrome.say(id=999, result={"not": "ours"})
    assert await connection.call("A.b", {"x": 1}) == {}


async def test_answers_may_come_in_any_order(chrome: FakeChrome, connection: Connection) -> None:
    got: list[Any] = []

    async def call(name: str) -> None:
        got.append(await connection.call(name, session_id="s"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, "A.a")
        nursery.start_soon(call, "A.b")
        first, second = await chrome.hear(), await chrome.hear()
        assert first["sessionId"] == "s"
        for message in (second, first):
            chrome.say(id=message["id"], result={"of": message["method"]})
            await trio.testing.wait_all_tasks_blocked()
    assert [entry["of"] for entry in got] == [second["method"], first["method"]]


async def test_calls_at_once(chrome: FakeChrome, connection: Connection, nursery: trio.Nursery) -> None:
    async def answer_backwards() -> None:
        heard = [await chrome.hear() for _ in range(3)]
        assert [call["method"] for call in heard] == ["A.a", "A.b", "A.c"]
        for call in reversed(heard):
            chrome.say(id=call["id"], result={"of": call["method"]})

    nursery.start_soon(answer_backwards)
    found = await connection.call_all(("A.a", None), ("A.b", {"x": 1}), ("A.c", None), session_id="s")
    assert [result["of"] for result in found] == ["A.a", "A.b", "A.c"]


async def test_of_calls_at_once_the_first_failure_counts(
    chrome: FakeChrome, connection: Connection, nursery: trio.Nursery
) -> None:
    async def answer() -> None:
        await chrome.answer(result={})
        await chrome.answer(error={"code": -32601, "message": "no A.b"})
        await chrome.answer(error={"code": -32601, "message": "no A.c"})

    nursery.start_soon(answer)
    with pytest.raises(DevToolsError, match=r"no A\.b"):
        await connection.call_all(("A.a", None), ("A.b", None), ("A.c", None))


async def test_calls_at_once_that_are_not_answered(
    chrome: FakeChrome, connection: Connection, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def answer() -> None:
        await chrome.answer(result={})
        await chrome.hear()

    nursery.start_soon(answer)
    with pytest.raises(CallTimeout, match=r"A\.b"):
        await connection.call_all(("A.a", None), ("A.b", None), timeout_s=1)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (-32000, "Execution context was destroyed.", ContextDestroyed),
        (-32001, "Session with given id not found.", TargetDetached),
        (-32601, "'A.b' wasn't found", DevToolsError),
    ],
)
async def test_errors_are_told_apart(
    chrome: FakeChrome,
    connection: Connection,
    nursery: trio.Nursery,
    code: int,
    message: str,
    kind: type[Exception],
) -> None:
    async def refuse() -> None:
        await chrome.answer(error={"code": code, "message": message})

    nursery.start_soon(refuse)
    with pytest.raises(kind) as caught:
        await connection.call("A.b")
    assert type(caught.value) is kind


async def test_a_call_that_times_out_is_forgotten(
    chrome: FakeChrome, connection: Connection, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(CallTimeout):
        await connection.call("A.b", timeout_s=5)
    assert autojump_clock.current_time() >= 5
    assert not connection._pending
    call = await chrome.hear()
    chrome.say(id=call["id"], result={})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(chrome.answer)
        assert await connection.call("A.c") == {}


async def test_the_end_fails_all_that_waits_with_the_last_words(
    chrome: FakeChrome, connection: Connection
) -> None:
    with connection.events(lambda event: event, "A.event") as events:
        with pytest.RaisesGroup(ConnectionClosed, ConnectionClosed):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.call, "A.a")
                nursery.start_soon(connection.call, "A.b")
                await trio.testing.wait_all_tasks_blocked()
                chrome.say(method="A.event", params={"n": 1})
                chrome.to_us.close()
        assert (await anext(events)).params == {"n": 1}
        with pytest.raises(ConnectionClosed):
            await anext(events)
    with pytest.raises(ConnectionClosed) as caught:
        await connection.call("A.c")
    assert caught.value.last_words == "aargh"
    connection.post("A.d")
    assert connection.closed


async def test_a_slow_browser_makes_callers_wait(chrome: FakeChrome, connection: Connection) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(QUEUE_MAX * 2):
            nursery.start_soon(connection.call, "A.a")
        await trio.testing.wait_all_tasks_blocked()
        assert len(connection._queue) == QUEUE_MAX
        for _ in range(QUEUE_MAX * 2):
            await chrome.answer(result={})


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"method": "Inspector.targetCrashed", "params": {}, "sessionId": "s"}, TargetCrashed),
        ({"method": "Target.targetCrashed", "params": {"targetId": "t"}}, TargetCrashed),
        ({"method": "Target.detachedFromTarget", "params": {"sessionId": "s"}}, TargetDetached),
    ],
)
async def test_a_target_that_goes_fails_its_calls_alone(
    chrome: FakeChrome, connection: Connection, event: dict[str, Any], kind: type[Exception]
) -> None:
    chrome.say(method="Target.attachedToTarget", params={"sessionId": "s", "targetInfo": {"targetId": "t"}})
    async with trio.open_nursery() as others:
        others.start_soon(connection.call, "A.other")
        call = await chrome.hear()
        with pytest.RaisesGroup(kind):
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    await connection.call("Runtime.evaluate", session_id="s")

                nursery.start_soon(wait)
                await chrome.hear()
                chrome.say(**event)
        chrome.say(id=call["id"], result={})


async def test_a_crashed_session_takes_navigations_alone_until_it_is_back(
    chrome: FakeChrome, connection: Connection, nursery: trio.Nursery
) -> None:
    chrome.say(method="Inspector.targetCrashed", params={}, sessionId="s")
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(TargetCrashed):
        await connection.call("Runtime.evaluate", session_id="s")
    nursery.start_soon(chrome.answer)
    await connection.call("Page.navigate", session_id="s")
    chrome.say(method="Inspector.targetReloadedAfterCrash", params={}, sessionId="s")
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(chrome.answer)
    await connection.call("Runtime.evaluate", session_id="s")


@pytest.mark.parametrize("browser_first", [True, False])
async def test_a_crash_that_is_told_twice_fails_no_navigation_that_came_between(
    chrome: FakeChrome, connection: Connection, nursery: trio.Nursery, browser_first: bool
) -> None:
    chrome.say(method="Target.attachedToTarget", params={"sessionId": "s", "targetInfo": {"targetId": "t"}})
    told: list[dict[str, Any]] = [
        {"method": "Target.targetCrashed", "params": {"targetId": "t"}},
        {"method": "Inspector.targetCrashed", "params": {}, "sessionId": "s"},
    ]
    first, second = told if browser_first else reversed(told)
    seen: list[Event] = []
    connection.subscribe(seen.append, "Inspector.targetCrashed", session_id="s")
    chrome.say(**first)
    await trio.testing.wait_all_tasks_blocked()

    async def navigate() -> None:
        await connection.call("Page.navigate", session_id="s")

    nursery.start_soon(navigate)
    call = await chrome.hear()
    known = len(seen)
    chrome.say(**second)
    await trio.testing.wait_all_tasks_blocked()
    assert len(seen) == known
    chrome.say(id=call["id"], result={})


async def test_callbacks_see_their_session_alone(chrome: FakeChrome, connection: Connection) -> None:
    seen: list[Event] = []
    unsubscribe = connection.subscribe(seen.append, "A.event", session_id="s")
    for session in ("s", "other"):
        chrome.say(method="A.event", params={}, sessionId=session)
    chrome.say(method="A.event", params={})
    await trio.testing.wait_all_tasks_blocked()
    assert [event.session_id for event in seen] == ["s"]
    unsubscribe()
    unsubscribe()
    chrome.say(method="A.event", params={}, sessionId="s")
    await trio.testing.wait_all_tasks_blocked()
    assert len(seen) == 1


async def test_a_message_that_is_none_ends_the_connection(chrome: FakeChrome, connection: Connection) -> None:
    chrome.to_us.send_nowait(b"nonsense")
    await trio.testing.wait_all_tasks_blocked()
    assert connection.closed

"""A storm: clients send, people write, and whoever carries their messages is killed again and again.

Half of it is chance, from a seed: who is killed, when, what is sent. What holds at the end is checked against
the simulator's ledger, a subscriber that resumed, and a webhook receiver that failed half the time.
"""

import base64
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import trio

from protocol.client.errors import ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError
from supervisors import faults
from tests.daemon.webhooks.receiver import Answer, Receiver, Request
from tests.processes import children
from tests.simulator import Phone, Simulator
from tests.system.conftest import ADA, GRACE
from tests.system.wasupd import Caller, CrashedError, Wasupd

SESSIONS = ("s0", "s1", "s2", "s3", "s4")
DEATH_S = 120
SETTLE_S = 120
# What is killed beside each fault point once; the whole is shuffled and begun anew when it is through.
OTHERS = ("daemon", "daemon", "chrome", "chrome", "renderer", "renderer")


def plan(dice: random.Random) -> Iterator[str]:
    """Every fault point and everything else that can be killed, without an end."""
    while True:
        each = [*faults.POINTS, *OTHERS]
        dice.shuffle(each)
        yield from each


class Storm:
    """`run` it, with its `receiver` served."""

    def __init__(self, sim: Simulator, daemon: Wasupd, seed: int) -> None:
        self._sim = sim
        self._daemon = daemon
        self._dice = random.Random(seed)  # noqa: S311  for tests
        self._plan = plan(random.Random(seed))  # noqa: S311
        self._pages: list[str] = []  # of those, what is due
        self.killed: Counter[str] = Counter()
        self.receiver = Receiver(self._answer)
        self._failing = 0.5
        self._hook: dict[str, Any] = {}
        self._told: dict[str | None, list[int]] = defaultdict(list)
        self._missing: set[int] = set()
        self._own: set[str] = set()  # what was typed on a phone
        self.phones: dict[str, Phone] = {}
        self.accepted: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.seen: list[dict[str, Any]] = []
        self._statuses: dict[str, str] = {}
        self._errors: dict[str, Any] = {}  # of those that failed
        self._events = trio.Condition()
        self._caller: Caller | None = None
        self._up = trio.Event()
        self._over = False
        self._all_sent = trio.Event()

    # -- who takes part

    def _answer(self, request: Request) -> Answer:
        if self._dice.random() < self._failing:
            return Answer(500)
        event = request.event
        self._told[event["sessionId"]].append(event["seq"])
        self._missing.discard(event["seq"])
        return Answer()

    async def _send_all(self, session_id: str, to: str) -> None:
        """Send one message after the other, with a few under way now and then."""
        number = 0
        while not self._over:
            for _ in range(self._dice.choice((1, 1, 3))):
                message = await self._send(session_id, to, number)
                self.accepted[session_id, message["chatId"]].append(message)
                number += 1
                if self._dice.random() < 0.3:
                    self._write(session_id)
            await self._until(lambda: self._statuses.get(message["id"]) == "delivered")  # noqa: B023

    async def _send(self, session_id: str, to: str, number: int) -> dict[str, Any]:
        content: dict[str, object] = {"text": f"{session_id} {to} {number}"}
        if number % 8 == 5:
            data = base64.b64encode(b"%d" % number * 2000).decode()
            content = {"document": {"data": data, "filename": "a.bin", "caption": content["text"]}}
        key = f"{to} {number}"
        message: dict[str, Any] = await self.call(
            "message.send", sessionId=session_id, to=to, idempotencyKey=key, **content
        )
        return message

    def _write(self, session_id: str) -> None:
        """Somebody writes to the account, or its owner on the phone."""
        phone = self.phones[session_id]
        who = self._dice.choice((ADA, GRACE))
        if self._dice.random() < 0.8:
            phone.receive(who, f"in {len(phone.messages)}")
        else:
            self._own.add(phone.write(who, f"phone {len(phone.messages)}").id)

    async def _watch(self) -> None:
        """Be told of everything, and go on where it stopped."""
        cursor = 0
        while True:
            caller = await self._connected()
            try:
                async with caller.client.subscribe(after=cursor) as events:
                    async for event in events:
                        cursor = event["seq"]
                        await self._saw(event)
            except ConnectionLost:
                self._lost(caller)

    async def _saw(self, event: dict[str, Any]) -> None:
        async with self._events:
            self.seen.append(event)
            if event["type"].startswith("message."):
                message = event["data"]["message"]
                self._statuses[message["id"]] = message["status"]
                if message["error"] is not None:
                    self._errors[message["id"]] = (event["timestamp"], message["error"])
            self._events.notify_all()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for events until the condition holds."""
        async with self._events:
            while not condition():
                await self._events.wait()

    async def _moment(self, most: int) -> None:
        """Let some events pass: how many is chance."""
        until = len(self.seen) + self._dice.randint(0, most)
        await self._until(lambda: len(self.seen) >= until)

    # -- the daemon, from life to life

    async def call(self, method: str, **params: object) -> Any:
        """Call, and again when the answer was lost."""
        while True:
            caller = await self._connected()
            try:
                return await caller(method, **params)
            except ConnectionLost:
                self._lost(caller)
            except RpcError as error:
                if error.code != "SHUTTING_DOWN":
                    raise
                self._lost(caller)

    async def _connected(self) -> Caller:
        while self._caller is None:
            await self._up.wait()
        return self._caller

    def _lost(self, caller: Caller) -> None:
        if self._caller is caller:
            self._caller = None
            self._up = trio.Event()

    async def _live(
        self, during: Callable[[trio.Process], Awaitable[None]], crash_at: str | None = None
    ) -> int:
        """A life of the daemon, with a connection that all share; return its exit status."""
        try:
            await self._daemon.start(crash_at)
        except CrashedError:
            return -signal.SIGKILL
        process = self._daemon.process
        assert process is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._daemon.drain)
            with suppress(ConnectionLost, DaemonUnreachable):  # dead already
                async with self._daemon.client() as caller:
                    self._caller = caller
                    self._up.set()
                    if self._hook:
                        nursery.start_soon(self._nudge, caller)
                    try:
                        await during(process)
                    finally:
                        self._lost(caller)
            with trio.fail_after(DEATH_S):
                status = await process.wait()
            self._daemon.process = None
        return status

    async def _nudge(self, caller: Caller) -> None:
        """Have the webhook not wait for its next attempt."""
        with suppress(ConnectionLost, RpcError):
            await caller("webhook.replay", webhookId=self._hook["id"])

    async def _link(self, session_id: str) -> None:
        async with self._daemon.client() as call:
            await call.create(session_id)
            await call.link(session_id, self.phones[session_id])

    # -- the storm

    async def run(self, url: str, kills: int, restarts: int) -> None:
        """Link the sessions, kill so often, restart in order so often; then all must have arrived."""
        for number, session_id in enumerate(SESSIONS):
            self.phones[session_id] = self._sim.phone(f"+4917000000{number:02}")
        async with trio.open_nursery() as nursery:

            async def link(process: trio.Process) -> None:
                async with trio.open_nursery() as linking:
                    for session_id in SESSIONS:
                        linking.start_soon(self._link, session_id)
                self._hook = await self.call("webhook.create", url=url)
                nursery.start_soon(self._watch)
                nursery.start_soon(self._clients)
                await self._moment(200)
                process.kill()

            await self._live(link)
            while self.killed.total() < kills:
                await self._kill_next()
            for _ in range(restarts):
                assert await self._live(self._restart) == 0
            assert await self._live(self._settle) == 0
            nursery.cancel_scope.cancel()

    async def _clients(self) -> None:
        async with trio.open_nursery() as nursery:
            for session_id in SESSIONS:
                for to in (ADA, GRACE):
                    nursery.start_soon(self._send_all, session_id, to)
        self._all_sent.set()

    async def _kill_next(self) -> None:
        """One life that ends at the next fault point, or by a signal; pages are killed meanwhile."""
        while (step := next(self._plan)) in ("chrome", "renderer"):
            self._pages.append(step)
        self._write(self._dice.choice(SESSIONS))
        order = None if step == "daemon" else f"{step}:{self._dice.choice((1, 2, 4, 8))}"

        async def storm(process: trio.Process) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_pages)
                if order is None:
                    await self._moment(120)
                    process.kill()
                await process.wait()
                nursery.cancel_scope.cancel()

        print(f"{self.killed.total()} kills, {len(self.seen)} events; now", order or step, *self._pages)
        with trio.fail_after(DEATH_S):
            assert await self._live(storm, order) == -signal.SIGKILL
        self.killed[step] += 1

    async def _kill_pages(self) -> None:
        """Kill what is due, while the daemon lives; what is left is the next life's."""
        while self._pages:
            await self._moment(20)
            kind = self._pages[0]
            victim = await trio.to_thread.run_sync(self._find, kind, self._dice.choice(SESSIONS))
            if victim is not None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    self.killed[self._pages.pop(0)] += 1

    def _find(self, kind: str, session_id: str) -> int | None:
        """The browser of a session, or its page's renderer, if it is up."""
        mark = f"/sessions/{session_id}/"
        with suppress(psutil.Error):
            for process in self._daemon.browsers():
                words = process.info["cmdline"]
                if not any(mark in word for word in words) or any("--type=" in word for word in words):
                    continue
                if kind == "chrome":
                    return process.pid
                if found := children(process.pid, "renderer"):
                    return found[0].pid
        return None

    async def _restart(self, process: trio.Process) -> None:
        """Every session comes back by itself."""
        with trio.fail_after(SETTLE_S):
            for session_id in SESSIONS:
                try:
                    await self.call("session.wait", sessionId=session_id, status=["connected"], timeout=50)
                except RpcError as error:
                    error.add_note(str(await self.call("session.get", sessionId=session_id)))
                    error.add_note(str(await self.call("session.log", sessionId=session_id)))
                    raise
            await self._moment(50)
            process.terminate()
            await process.wait()

    async def _settle(self, process: trio.Process) -> None:
        """Send no more; everything arrives, and is as it must be."""
        self._over = True
        with trio.move_on_after(SETTLE_S):
            await self._all_sent.wait()
            await self._until(lambda: not self._unsettled())
        assert self._unsettled() == {}, [self._errors.get(each) for each in self._unsettled()]
        assert self._all_sent.is_set()
        self._failing = 0.0
        assert self._caller is not None
        await self._nudge(self._caller)
        wanted = {event["seq"] for event in self.seen if event["seq"] > self._hook["cursor"]}
        self._missing = wanted - {seq for seqs in self._told.values() for seq in seqs}
        while self._missing:  # until that takes too long for one
            await self._tell_another()
        with trio.fail_after(SETTLE_S):
            await self._check()
        process.terminate()

    async def _tell_another(self) -> None:
        left = len(self._missing)
        await self.receiver.until(lambda: len(self._missing) < left)

    def _unsettled(self) -> dict[str, str | None]:
        """What was sent and is not delivered, and what was written and is not known."""
        sent = {message["id"] for chat in self.accepted.values() for message in chat}
        known = {entry.id for phone in self.phones.values() for entry in phone.messages} | sent
        statuses = {each: self._statuses.get(each) for each in known}
        return {
            each: status
            for each, status in statuses.items()
            if status is None or (each in sent and status != "delivered")
        }

    # -- what has to hold

    async def _check(self) -> None:
        log = await self._log()
        await self._until(lambda: self.seen[-1]["seq"] >= log[-1]["seq"])
        # The log has no gap, and who resumed was told every event once.
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        assert self.seen[: len(log)] == log
        for session_id in (*SESSIONS, None):
            # The receiver was told every event, repeats aside in order.
            wanted = [
                e["seq"] for e in log if e["sessionId"] == session_id and e["seq"] > self._hook["cursor"]
            ]
            assert list(dict.fromkeys(self._told[session_id]))[: len(wanted)] == wanted
        for session_id, phone in self.phones.items():
            await self._check_session(session_id, phone, [e for e in log if e["sessionId"] == session_id])

    async def _check_session(self, session_id: str, phone: Phone, log: list[dict[str, Any]]) -> None:
        """Each message once, in order; what was linked stays linked."""
        chats = {chat: ids for (session, chat), ids in self.accepted.items() if session == session_id}
        for chat, accepted in chats.items():
            ids = [message["id"] for message in accepted]
            assert [d.id for d in phone.deliveries if d.chat == chat and d.id not in self._own] == ids
            assert {s.id for s in phone.submissions if s.chat == chat} == set(ids)
        api = {message["id"] for accepted in chats.values() for message in accepted}
        rows = await self._messages(session_id)
        assert Counter(row["id"] for row in rows) == Counter(entry.id for entry in phone.messages)
        told: dict[str, list[str]] = defaultdict(list)
        for event in log:
            if "message" in event["data"]:
                told[event["data"]["message"]["id"]].append(event["type"])
        for row in rows:
            steps = told[row["id"]]
            if row["id"] in api:
                assert (row, steps) == (row, ["message.queued", "message.sent", "message.delivered"])
                assert row["status"] == "delivered"
            elif row["direction"] == "in":
                assert steps == ["message.received"]
            else:
                assert (row["origin"], steps[:1], len(set(steps))) == ("phone", ["message.sent"], len(steps))
        shown = [e["seq"] for e in log if e["type"] == "session.qr"]
        connected = [e["seq"] for e in log if e["type"] == "session.connected"]
        assert shown
        assert max(shown) < min(connected)
        stats = (await self.call("session.get", sessionId=session_id))["messageStats"]
        received = sum(row["direction"] == "in" for row in rows)
        assert stats == {"sent": len(api), "received": received, "failed": 0}

    async def _log(self) -> list[dict[str, Any]]:
        log: list[dict[str, Any]] = []
        while True:
            after = log[-1]["seq"] if log else 0
            page = await self.call("events.list", after=after, limit=1000)
            log += page["events"]
            if not page["events"]:
                return log

    async def _messages(self, session_id: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.call("message.list", sessionId=session_id, limit=1000, **cursor)
            rows += page["messages"]
            if page["next"] is None:
                return rows
            cursor = {"cursor": page["next"]}

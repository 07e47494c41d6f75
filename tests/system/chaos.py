"""Chaos: sessions on real Chromes under a mix of all faults, drawn from a seed; the daemon itself lives on.

Each session but one has one fault after the other, at its own pace; now and then the network fails for all.
A fault is over when its incident is, and a message that is sent then has been delivered. What holds at the
end is in `check`; that no session is disturbed by another's fault is seen by its incidents: each lies within
a fault of its own.
"""

import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import trio

from protocol.times import parse
from tests.processes import children
from tests.simulator import Phone, Simulator
from tests.simulator.server import TROUBLES
from tests.system.conftest import ADA
from tests.system.wasupd import Caller, Wasupd

RECOVER_S = 240
LOOK_AGAIN_S = 0.25
"""How often a session's incidents are asked for."""
CALM_S = 8
"""The longest pause between two faults of a session."""
OUTAGE_EVERY_S = 45
OUTAGE_S = 6
FROM_EACH = {"reconnectInterval": 1000, "maxReconnectAttempts": 1_000_000}
DATABASE = "profile/Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb"
MOST_GROWTH_BYTES = 24 << 20
STAMP_MS = 1
"""Times of incidents are in whole milliseconds."""

Fault = Callable[["Victim"], Awaitable[None]]


class Victim:
    """A session, with its phone; `faults` are those it has had, with when they began and were over."""

    def __init__(self, chaos: "Chaos", name: str, phone: Phone) -> None:
        self.chaos = chaos
        self.name = name
        self.phone = phone
        self.lock = trio.Lock()  # while it has a fault
        self.faults: list[tuple[str, int, int]] = []
        self.sent: list[str] = []

    async def call(self, method: str, **params: object) -> Any:
        return await self.chaos.call(method, sessionId=self.name, **params)

    async def incidents(self) -> list[dict[str, Any]]:
        """All of them, newest first."""
        found: list[dict[str, Any]] = (await self.call("session.incidents", limit=1000))["incidents"]
        return found

    async def send(self) -> None:
        """Have a message delivered."""
        text = f"{self.name} {len(self.sent)}"
        message = await self.call("message.send", to=ADA, text=text, wait="delivered", timeout=55)
        assert message["status"] == "delivered"
        self.sent.append(message["id"])

    async def recovered(self, known: int) -> None:
        """Wait until there are more incidents than were `known`, all over, and a message has arrived."""
        while True:
            found = await self.incidents()
            if len(found) > known and all(incident["recoveredAt"] is not None for incident in found):
                status = await self.call("session.status")
                if status["status"] == "connected":
                    break
            await trio.sleep(LOOK_AGAIN_S)
        await self.send()

    async def process(self, kind: str | None = None) -> psutil.Process:
        """The browser, or its process of a kind; waits for it."""
        while True:
            pid = (await self.call("session.get"))["process"]["pid"]
            root = psutil.Process(pid)
            if kind is None:
                return root
            if found := children(pid, kind):
                return found[0]
            await trio.sleep(LOOK_AGAIN_S)


def sends(number: signal.Signals, kind: str | None = None) -> Fault:
    """A signal for the browser, or one of its processes."""

    async def fault(victim: Victim) -> None:
        (await victim.process(kind)).send_signal(number)

    return fault


def breaks(kind: str) -> Fault:
    """A page that goes wrong."""

    async def fault(victim: Victim) -> None:
        victim.phone.break_pages(kind)

    return fault


def pushes(state: str) -> Fault:
    """A state that WhatsApp puts on the page."""

    async def fault(victim: Victim) -> None:
        victim.phone.push_state(state)

    return fault


async def cut_off(victim: Victim) -> None:
    """The server refuses this account for a while."""
    victim.phone.offline()
    await trio.sleep(victim.chaos.dice.uniform(0.5, OUTAGE_S))
    victim.phone.online()


async def unlink(victim: Victim) -> None:
    """The phone's owner removes the device, and links it again."""
    victim.phone.unlink()
    await victim.call("session.wait", status="qr_generated", timeout=55)
    await victim.phone.scan((await victim.call("session.qr"))["qrText"])


async def damage(victim: Victim) -> None:
    """The login on the disk is damaged while nobody uses it."""
    await victim.call("session.stop", timeout=55)
    database = victim.chaos.daemon.directory / "state" / "sessions" / victim.name / DATABASE
    next(database.glob("MANIFEST-*")).unlink()
    await victim.call("session.start")


FAULTS: dict[str, Fault] = {
    "browser killed": sends(signal.SIGKILL),
    "browser ended": sends(signal.SIGTERM),
    "browser stopped": sends(signal.SIGSTOP),
    "renderer killed": sends(signal.SIGKILL, "renderer"),
    "renderer stopped": sends(signal.SIGSTOP, "renderer"),
    "GPU process killed": sends(signal.SIGKILL, "gpu-process"),
    "endless loop": breaks("loop"),
    "starved event loop": breaks("starve"),
    "request without an answer": breaks("request"),
    "out of memory": breaks("memory"),
    "page loads itself again": breaks("reload"),
    "page leaves": breaks("leave"),
    "library gone": breaks("no_library"),
    "account refused": cut_off,
    "TIMEOUT": pushes("TIMEOUT"),
    "CONFLICT": pushes("CONFLICT"),
    "unlinked": unlink,
    "profile damaged": damage,
}


class Chaos:
    """`run` it on a daemon that runs."""

    def __init__(self, sim: Simulator, daemon: Wasupd, call: Caller, sessions: int, seed: int) -> None:
        self.sim = sim
        self.daemon = daemon
        self.call = call
        self.dice = random.Random(seed)  # noqa: S311  for tests
        self.victims = [
            Victim(self, f"s{number}", sim.phone(f"+4917000000{number:02}")) for number in range(sessions)
        ]
        self.times: dict[str, list[float]] = defaultdict(list)

    async def run(self, duration_s: float) -> None:
        """Link the sessions, make trouble for so long, check."""
        async with trio.open_nursery() as nursery:
            for victim in self.victims:
                nursery.start_soon(self._link, victim)
        before = await self._figures()
        plan = _endless(list(FAULTS), random.Random(self.dice.random()))  # noqa: S311
        outages = _endless(list(TROUBLES), random.Random(self.dice.random()))  # noqa: S311
        end = trio.current_time() + duration_s
        async with trio.open_nursery() as nursery:
            for victim in self.victims[1:]:  # the first one only sees the network fail
                nursery.start_soon(self._torment, victim, plan, end)
            nursery.start_soon(self._cut_network, outages, end)
        await self._check(before)

    async def _link(self, victim: Victim) -> None:
        await self.call.create(victim.name, settings=FROM_EACH)
        await self.call.link(victim.name, victim.phone)
        await victim.send()

    async def _torment(self, victim: Victim, plan: Iterator[str], end: float) -> None:
        while trio.current_time() < end:
            async with victim.lock:
                name = next(plan)
                await self._fault([victim], name, lambda name=name: FAULTS[name](victim))  # type: ignore[misc]
            await trio.sleep(self.dice.uniform(0, CALM_S))

    async def _cut_network(self, outages: Iterator[str], end: float) -> None:
        """Let the network fail for all, when nobody has a fault of his own."""
        while trio.current_time() + OUTAGE_EVERY_S / 2 < end:
            await trio.sleep(self.dice.uniform(OUTAGE_EVERY_S / 2, OUTAGE_EVERY_S))
            for victim in self.victims:
                await victim.lock.acquire()
            trouble = next(outages)

            async def cut(trouble: str = trouble) -> None:
                self.sim.down(trouble)
                await trio.sleep(self.dice.uniform(1, OUTAGE_S))
                self.sim.up()

            await self._fault(self.victims, f"network: {trouble}", cut)
            for victim in self.victims:
                victim.lock.release()

    async def _fault(self, victims: list[Victim], name: str, inject: Callable[[], Awaitable[None]]) -> None:
        """Inject a fault and see its victims recover, each in its time from when the fault was over."""
        began_ms = _now_ms()
        known = {victim: len(await victim.incidents()) for victim in victims}
        print(f"{name}: {', '.join(victim.name for victim in victims)}", flush=True)
        began = trio.current_time()
        await inject()
        if name.startswith("network"):
            began = trio.current_time()

        async def wait(victim: Victim) -> None:
            with trio.move_on_after(RECOVER_S) as patience:
                await victim.recovered(known[victim])
            if patience.cancelled_caught:
                status = await victim.call("session.status")
                raise AssertionError(f"{name}: {victim.name}: {status} {(await victim.incidents())[:3]}")
            self.times[name].append(trio.current_time() - began)
            victim.faults.append((name, began_ms, _now_ms()))

        async with trio.open_nursery() as nursery:
            for victim in victims:
                nursery.start_soon(wait, victim)

    async def _figures(self) -> dict[str, Any]:
        """What must not grow."""
        daemon = psutil.Process(self.daemon.pid)
        sessions = self.daemon.directory / "state" / "sessions"
        return {
            "fds": _fds(daemon.pid),
            "rss": daemon.memory_info().rss,
            "files": sorted(str(path.relative_to(sessions)) for path in sessions.glob("*/*")),
            "temporary": sorted(str(path) for path in sessions.glob("*/tmp/org.chromium.*")),
        }

    async def _check(self, before: dict[str, Any]) -> None:
        roots = {process.pid for process in self.daemon.browsers() if _is_root(process)}
        pids = set()
        for victim in self.victims:
            found = await victim.call("session.get")
            assert (found["status"], found["desired"]) == ("connected", "running")
            pids.add(found["process"]["pid"])
            incidents = await victim.incidents()
            assert [i for i in incidents if not _within(parse(i["at"]), victim.faults)] == []
            assert [d.id for d in victim.phone.deliveries] == victim.sent
        assert roots == pids
        after = await self._figures()
        print(_report(self.times, before, after))
        assert after["fds"] <= before["fds"], after["fds"] - before["fds"]
        assert set(after["files"]) - set(before["files"]) <= {
            f"{victim.name}/{kept}" for victim in self.victims for kept in ("snapshots", "profile.broken")
        }
        assert len(after["temporary"]) <= len(before["temporary"])
        assert after["rss"] - before["rss"] < MOST_GROWTH_BYTES


def _endless(names: list[str], dice: random.Random) -> Iterator[str]:
    """Each once, in an order of chance, and again."""
    while True:
        dice.shuffle(names)
        yield from names


def _within(at_ms: int, faults: list[tuple[str, int, int]]) -> bool:
    return any(began - STAMP_MS <= at_ms <= over + STAMP_MS for _, began, over in faults)


def _fds(pid: int) -> Counter[str]:
    """How many open files of each kind a process has, but for the store's, which has readers as needed."""
    kinds: Counter[str] = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            kinds[str(entry.readlink()).partition(":[")[0]] += 1
    for name in [name for name in kinds if "/wasup.db" in name]:
        del kinds[name]
    return kinds


def _is_root(process: psutil.Process) -> bool:
    try:
        return not any(word.startswith("--type=") for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _now_ms() -> int:
    return int(time.time() * 1000)


def _report(times: dict[str, list[float]], before: dict[str, Any], after: dict[str, Any]) -> str:
    lines = [f"{'until a message is delivered again, s':40} {'n':>4} {'median':>7} {'longest':>7}"]
    lines += [
        f"{name:40} {len(took):4} {median(took):7.1f} {max(took):7.1f}"
        for name, took in sorted(times.items(), key=lambda item: median(item[1]))
    ]
    lines.append(
        f"wasupd: {before['rss'] >> 20} MiB before, {after['rss'] >> 20} after; "
        f"{before['fds'].total()} fds before, {after['fds'].total()} after; load {os.getloadavg()[0]:.1f}"
    )
    return "\n".join(lines)

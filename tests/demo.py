"""What wasup is for, shown in ten seconds: `make demo`, or `python -m tests.demo`.

A real wasupd and a real Chrome, in a temporary directory of their own; WhatsApp and the phone are simulated.
Exits with 0 when all went well, 1 when not, 128 + N after the signal N; no process and no file is left.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryDirectory

import psutil
import trio
from rich.console import Console
from rich.text import Text

from protocol.client.aio import Client, Subscription, connect
from protocol.client.errors import ClientError, DaemonUnreachable
from protocol.client.feed import Event
from protocol.errors import RpcError
from tests import simulator

SESSION, OWNER, ADA = "demo", "+491701234567", "+4915110000001"  # Ada is in every simulated address book
STEP_S = 60  # a step that takes longer has failed
END_S = 15  # how long the daemon may take to stop after a failure, before everything is killed


class Failed(Exception):
    """Something did not go as it should."""


async def play(stage: "Stage") -> None:
    """Show it all, from an empty directory to no directory; raises whatever goes wrong."""
    stage.say(("    at   took  ", "dim"), ("seconds; wasupd and Chrome are real, WhatsApp is not", "dim"))
    with TemporaryDirectory(prefix="wasup-demo-") as name:
        folder = Path(name)
        stage.chapter("Start", "on a server: systemctl start wasupd; from a checkout: make run")
        async with simulator.serve() as sim:
            stage.done("WhatsApp and a phone are simulated; Chrome can reach nobody else")
            phone = sim.phone(OWNER)
            async with wasupd(stage, folder, sim) as daemon:
                async with connect(str(folder / "wasup.sock")) as client, client.subscribe() as events:
                    stage.chapter(
                        "Link", f"you would type: wasupctl create {SESSION}; wasupctl link {SESSION}"
                    )
                    await link(stage, client, events, phone)
                    stage.chapter("Talk", f"you would type: wasupctl send {SESSION} {ADA} 'Hello, Ada.'")
                    sent = [await send(stage, client, "Hello, Ada.")]
                    await listen(stage, events, phone)
                    stage.chapter("Crash", "you would do: nothing")
                    sent += [await crash(stage, client, events)]
                    sent += [await send(stage, client, "Did you notice anything?")]
                    stage.chapter("Count", "whatever dies, a message goes out once and is told once")
                    await count(stage, client, phone, sent)
                stage.chapter("Stop", "on a server: systemctl stop wasupd; in a terminal: Ctrl-C")
                await stop(stage, daemon, folder)
    check("whether the directory is left", folder.exists(), False)
    stage.done(f"{folder} is gone: database, profile, log")


async def link(stage: "Stage", client: Client, events: Subscription, phone: simulator.Phone) -> None:
    """Bring a new session from nothing to connected, as its owner would: with a phone's camera."""
    stage.doing("starting Chrome and WhatsApp Web")
    await client.call("session.create", id=SESSION, name="Demonstration")
    await client.call("session.start", sessionId=SESSION, wait=True)
    stage.done(f"Chrome is up, pid {await chrome_of(client)}; WhatsApp Web shows this code:")
    picture = "terminal" if stage.coloured else "text"
    print((await client.call("session.qr", sessionId=SESSION, format=picture))["qrCode"], flush=True)
    stage.doing("scanning the code")
    await phone.scan_image((await client.call("session.qr", sessionId=SESSION, format="png"))["qrCode"])
    connected = await next_event(events, "session.connected")
    stage.done(f"the phone scanned its PNG: {connected['data']['phoneNumber']} is connected, for good")


async def send(stage: "Stage", client: Client, text: str) -> str:
    """Send a text to Ada, and wait until her phone has it; the message's id."""
    stage.doing(f"sending “{text}”")
    message = await client.call("message.send", sessionId=SESSION, to=ADA, text=text, wait="delivered")
    stage.done(f"→ “{text}” {message['status']} to Ada")
    return str(message["id"])


async def listen(stage: "Stage", events: Subscription, phone: simulator.Phone) -> None:
    """Hear, by a subscription, what a contact writes and what the owner types on the phone."""
    stage.doing("waiting for Ada's answer")
    phone.receive(ADA, "Hello! Is it really you?")
    message = (await next_event(events, "message.received"))["data"]["message"]
    check("the origin of the answer", message["origin"], "contact")
    stage.done(f"← “{message['text']}” received from Ada")
    stage.doing("waiting for what is typed on the phone")
    phone.write(ADA, "It is, on the phone now.")
    message = (await next_event(events, "message.sent"))["data"]["message"]
    check("the origin of the message", message["origin"], "phone")
    stage.done(f"→ “{message['text']}” typed on the phone itself")


async def crash(stage: "Stage", client: Client, events: Subscription) -> str:
    """Kill Chrome, and watch the daemon start it again; the id of a message that was sent meanwhile."""
    stage.doing("killing Chrome")
    pid = await chrome_of(client)
    os.kill(pid, signal.SIGKILL)
    death = await next_event(events, "session.status")
    stage.done(f"SIGKILL to Chrome, pid {pid}; this is what subscribers see:")
    stage.event(death)
    stage.doing("waiting for the restart")
    message = await client.call("message.send", sessionId=SESSION, to=ADA, text="Sent while Chrome was dead.")
    awaited = {("session.recovered", None), ("message.delivered", message["id"])}
    while awaited:
        event = await next_event(events)
        stage.event(event)
        if event["type"] in ("session.qr", "session.restart_limit", "message.failed"):
            raise Failed(f"{event['type']} must not happen here")
        awaited.discard((event["type"], event["data"].get("message", {}).get("id")))
    stage.done(f"Chrome is back, pid {await chrome_of(client)}: no code scanned, no message lost")
    return str(message["id"])


async def count(stage: "Stage", client: Client, phone: simulator.Phone, sent: list[str]) -> None:
    """Compare what the simulator and the event log have noted with what has happened."""
    stage.doing("reading the simulator's ledger and the event log")
    once = dict.fromkeys(sent, 1)
    check("submissions, by id", Counter(entry.id for entry in phone.submissions), once)
    check("deliveries, by id", Counter(entry.id for entry in phone.deliveries if entry.id in sent), once)
    log = (await client.call("events.list", types=["message.sent", "message.received"]))["events"]
    told = {"message.sent": len(sent) + 1, "message.received": 1}  # one of them from the phone
    check("events, by type", Counter(event["type"] for event in log), told)
    stage.done(f"{len(sent)} messages sent: WhatsApp, Ada and subscribers got each once")


async def stop(stage: "Stage", daemon: trio.Process, folder: Path) -> None:
    """Stop the daemon as systemd does, and look for what it may have left."""
    stage.doing("stopping wasupd")
    family = processes(folder)
    daemon.terminate()
    check("the exit status of wasupd", await daemon.wait(), 0)
    check("processes left", processes(folder, family), set())
    check("sockets left", list(folder.glob("*.sock")), [])
    stage.done(f"exit status 0; {len(family) - 1} processes of Chrome and the socket are gone")


async def chrome_of(client: Client) -> int:
    """Return the pid of the session's Chrome."""
    return int((await client.call("session.get", sessionId=SESSION))["process"]["pid"])


async def next_event(events: Subscription, type_: str | None = None) -> Event:
    """Wait for the next event, of a type if one is named; those before it are passed over."""
    while (event := await anext(events))["type"] != type_ and type_ is not None:
        pass
    return event


def check(what: str, found: object, expected: object) -> None:
    """Raise Failed unless it is as it should be."""
    if found != expected:
        raise Failed(f"{what}: expected {expected}, found {found}")


@asynccontextmanager
async def wasupd(stage: "Stage", folder: Path, sim: simulator.Simulator) -> AsyncIterator[trio.Process]:
    """Run the daemon, ready, while the block lasts; whatever ends the block, no process is left."""
    stage.doing("starting wasupd")
    config, log, socket = (folder / name for name in ("config.toml", "log", "wasup.sock"))
    places = {"daemon.state_dir": f"{folder}/state", "rpc.socket": f"{socket}", "log.format": "console"}
    settings = {**places, "browser.extra_args": sim.chrome_args}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    with log.open("wb") as out:  # in a session of its own: Ctrl-C in the terminal comes only here
        daemon = await trio.lowlevel.open_process(
            [Path(sys.executable).with_name("wasupd"), "--config", config],
            stdin=DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        while daemon.returncode is None:
            with suppress(DaemonUnreachable):
                async with connect(str(socket)) as client:
                    version = (await client.call("daemon.health"))["version"]
                    stage.done(f"wasupd {version} answers on {socket}")
                    break
            await trio.sleep(0.02)
        else:
            raise Failed(f"wasupd exited with {daemon.returncode}")
        yield daemon
    finally:
        stage.log = log.read_text(errors="replace").splitlines()[-15:]
        family = processes(folder)
        with trio.move_on_after(END_S, shield=True):
            daemon.terminate()
            await daemon.wait()
        with trio.move_on_after(END_S, shield=True):  # what is left now is killed
            while left := processes(folder, family):
                for process in left:
                    with suppress(psutil.Error):
                        process.kill()
                await trio.sleep(0.02)
            await daemon.wait()


def processes(folder: Path, known: Set[psutil.Process] = frozenset()) -> set[psutil.Process]:
    """Return the living that are known, or name the directory in an argument, and all their descendants."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended: cmdline raises for a zombie, too
            if any(str(folder) in argument for argument in process.cmdline()) or process in known:
                found |= {process, *process.children(recursive=True)}
    return found


class Stage:
    """What the audience sees: a line a step, with when it was done and how long it took."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.coloured = self.console.color_system is not None and not self.console.no_color
        self.limit = trio.CancelScope()
        self.log: list[str] = []
        self.status = self.console.status("")
        self._doing = "starting the simulator"
        self._began = self._last = trio.current_time()

    def chapter(self, title: str, comment: str) -> None:
        """Begin a part; the comment says how it is done in real life."""
        self.say((f"\n{title:15}", "bold"), (comment, "dim"))

    def doing(self, what: str) -> None:
        """Begin a step; a terminal shows it until it is done."""
        self._doing = what
        self.limit.deadline = trio.current_time() + STEP_S
        self.status.update(Text(f"{'':13}{what} …", "dim"))

    def done(self, what: str) -> None:
        """End the step."""
        self._last, before = trio.current_time(), self._last
        times = f"{self._last - self._began:6.2f} {self._last - before:6.2f}  ", "cyan"
        self.say(times, ("✓ ", "green"), what)

    def event(self, event: Event) -> None:
        """Show an event as it comes."""
        data = {key: value for key, value in event["data"].items() if value is not None}
        told = ", ".join(f"{key} {value}" for key, value in data.items())
        if "message" in data:
            told = f"“{data['message']['text']}”"
        if "to" in data:
            told = f"{data['from']} → {data['to']}" + (f", {data['reason']}" if "reason" in data else "")
        name = f"{event['type']:21}" if told else event["type"]
        self.say((f"{trio.current_time() - self._began:6.2f}{'':11}", "cyan"), (name, "magenta"), told)

    def failed(self, error: BaseException) -> None:
        """Tell what went wrong, and the last that the daemon had to say."""
        self.say(f"{'':15}", ("✗ ", "red"), (f"{self._doing}: {error}", "bold"))
        if self.log:
            self.say(("\n".join(["\nThe end of wasupd's log:", *self.log]), "dim"))

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Write a line; a part may have a style."""
        self.console.print(Text.assemble(*parts))


async def perform() -> int:
    """Play, unless a signal comes; the exit status."""
    stage = Stage()
    received: list[int] = []
    failure: BaseException | None = None

    async def heed() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:  # a second one, while all is being stopped, changes nothing
                received.append(number)
                stage.limit.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(heed)
        try:
            with stage.status, stage.limit:
                await play(stage)
        except* (Failed, RpcError, ClientError, simulator.SimulatorError, OSError, SystemExit) as group:
            failure = group  # SystemExit is rich's, when nobody reads the output any more
        nursery.cancel_scope.cancel()
    if received:
        stage.say(f"\n{signal.Signals(received[0]).name}: stopped, and cleaned up.")
        return 128 + received[0]
    if stage.limit.cancelled_caught:
        failure = Failed(f"gave up after {STEP_S} s")
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        stage.failed(failure)
        return 1
    stage.say("\nDone. Nothing is left behind.")
    return 0


if __name__ == "__main__":
    sys.exit(trio.run(perform))

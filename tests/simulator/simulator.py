"""The simulator in this process: starts the servers, and is what tests hold in their hands."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import trio

from tests.simulator.accounts import World
from tests.simulator.connection import Connection
from tests.simulator.control import serve_control
from tests.simulator.errors import SimulatorError
from tests.simulator.models import Frame
from tests.simulator.phone import Phone
from tests.simulator.server import HOST, NOWHERE, TROUBLES, Seen, Server
from tests.simulator.sink import Call, Sink
from tests.simulator.wids import parse_number, pn_wid

if TYPE_CHECKING:
    from tests.simulator.models import Account

T = TypeVar("T")

VERDICTS = ("broken", "refused", "updating")
FAULTS = (
    "loop",
    "starve",
    "request",
    "memory",
    "grow",
    "reload",
    "leave",
    "no_modules",
    "no_library",
    "late_modules",
    "late_others",
    "without_votes",
)


@dataclass(frozen=True)
class Config:
    """How a simulator is set up.

    `*_s` are seconds; the codes' lives are WhatsApp's own; `link_code_s` must be less than the 195 s after
    which wa-js asks for a new code by itself. Every new phone begins with `contacts`
    (number, name) and founds `groups` (subject, members), and its pages name people's chats by their hidden
    ids with `lid_chats`. With `service_worker` the page has one that keeps the document. `control_path`
    None: in a folder of its own.
    """

    port: int = 0
    control_path: Path | None = None
    first_code_s: float = 60
    next_code_s: float = 20
    codes: int = 6
    link_code_s: float = 180
    link_codes: int = 6
    contacts: tuple[tuple[str, str], ...] = (("+4915110000001", "Ada"), ("+4915110000002", "Grace"))
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    lid_chats: bool = False
    service_worker: bool = False


@dataclass
class Changes:
    """Wakes whoever waits for something to come true, each time anything has changed."""

    _event: trio.Event = field(default_factory=trio.Event)

    def announce(self) -> None:
        """Something has changed."""
        event, self._event = self._event, trio.Event()
        event.set()

    async def wait_for(self, predicate: Callable[[], T]) -> T:
        """Wait until the predicate is true; its value."""
        while not (value := predicate()):
            await self._event.wait()
        return value


class Simulator:
    """A running simulator."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.changes = Changes()
        self.world = World(self.changes.announce)
        self.server = Server(self, config.port)
        self.sink = Sink()
        self.issued: dict[str, Connection] = {}
        self.pairings: dict[str, Account] = {}
        self.complaints: list[str] = []
        self.page_version = "2.3000.1040000000"  # of the page as the site has it; old scripts stay
        self.versions: dict[str, str] = {}  # what is wrong with versions of it: see `judge`
        self.questions_lost = 0  # so many of the next questions for a number come to nothing
        self.control_path = config.control_path or Path()

    @property
    def port(self) -> int:
        """The port of the HTTPS server."""
        return self.server.port

    @property
    def url(self) -> str:
        """What the browser is to open."""
        return f"https://{HOST}/"

    @property
    def chrome_args(self) -> list[str]:
        """The arguments that bring a Chrome here, and nowhere else."""
        rules = [
            f"MAP {HOST} 127.0.0.1:{self.port}",
            f"MAP {NOWHERE} ~NOTFOUND",
            f"MAP * 127.0.0.1:{self.sink.port}",
            "EXCLUDE 127.0.0.1",
        ]
        return [
            f"--host-resolver-rules={','.join(rules)}",
            "--ignore-certificate-errors",
            # WhatsApp is no host of the local network, which a page of elsewhere could not call.
            f"--ip-address-space-overrides=127.0.0.1:{self.port}=public",
        ]

    @property
    def requests(self) -> list[Seen]:
        """Every request the server has answered."""
        return self.server.seen

    @property
    def strays(self) -> list[Call]:
        """Every attempt to reach anybody else."""
        return self.sink.calls

    @property
    def pages(self) -> list[Connection]:
        """The pages that are connected now."""
        return self.server.connections

    def phone(self, number: str, name: str | None = None) -> Phone:
        """The phone with this number, made on first use with the configured contacts and groups."""
        number = parse_number(number)
        if number not in self.world.accounts:
            account = self.world.account(number, name, self.config.lid_chats)
            for contact, called in self.config.contacts:
                self.world.add_contact(account, contact, called)
            for subject, members in self.config.groups:
                self.world.add_group(subject, [number, *members], time.time())
        return Phone(self, self.world.accounts[number])

    def know(self, number: str) -> str:
        """Put a number on WhatsApp without giving it a phone here; its id."""
        return pn_wid(self.world.know(number))

    def turn_codes(self) -> None:
        """Let every code that is shown expire now."""
        for page in self.pages:
            page.turn_code()

    def refresh_link_codes(self) -> None:
        """Let the codes for linking by number expire now: pages ask for others."""
        self._tell_link_codes("refresh_alt_linking_code")

    def end_link_codes(self) -> None:
        """Let the codes for linking by number expire for good: somebody has to ask again."""
        self._tell_link_codes("force_manual_refresh")

    def break_link_codes(self) -> None:
        """Let linking by number fail."""
        self._tell_link_codes("error_alt_linking")

    def _tell_link_codes(self, event: str) -> None:
        for page in self.pages:
            if page.link_code is not None:
                page.tell_link_code(event)

    def break_pages(self, kind: str, **more: object) -> None:
        """Let every open page go wrong, linked or not.

        Now: `loop` (endless), `starve` (only promises ever run), `request` (a synchronous one that nobody
        answers), `memory` (taken until there is none), `grow` (by `bytes`; it goes on), `reload`, `leave`
        (for another site, of this server). With the next document, or the next `loads`, of which the first is
        loaded now: `no_modules` (WhatsApp's never come), `no_library` (wa-js is gone), `late_modules` (some
        that wa-js replaces come with a script of their own, long after the account is connected),
        `late_others` (some that it does not), `without_votes` (those of polls never come).
        """
        for page in self.pages:
            page.send(self.fault(kind, **more))

    def fault(self, kind: str, **more: object) -> Frame:
        """The frame that makes a page go wrong."""
        if kind not in FAULTS:
            raise SimulatorError(f"a page can go wrong in these ways: {', '.join(FAULTS)}")
        return {"t": "fault", "kind": kind, "url": f"https://127.0.0.1:{self.port}/elsewhere", **more}

    def publish(self, version: str) -> None:
        """Have the site give out another version of the page from now on, such as 2.3000.1040000001."""
        self.page_version = version

    def judge(self, version: str, verdict: str | None) -> None:
        """Have something be wrong with a version of the page from now on, or nothing.

        `broken`: its modules never come. `refused`: WhatsApp lets no page of it connect (DEPRECATED_VERSION).
        `updating`: the same, and the page loads itself again, to be another.
        """
        if verdict is None:
            self.versions.pop(version, None)
        elif verdict in VERDICTS:
            self.versions[version] = verdict
        else:
            raise SimulatorError(f"a version can be {', '.join(VERDICTS)}")

    def down(self, trouble: str = "closed") -> None:
        """Nobody reaches WhatsApp: open pages are dropped, and the page itself does not load.

        Connections are `closed` as soon as they are made, or `refused`, or never answered (`silent`); what
        answers does not speak TLS (`tls`); the name is not found (`dns`: of where the page was moved to);
        another page answers at this address (`captive`) or elsewhere (`redirect`); the server is
        `unavailable` (503); the page breaks off in the middle (`half`), or its scripts do (`half_script`).
        """
        if trouble not in TROUBLES:
            raise SimulatorError(f"the network can be in these troubles: {', '.join(TROUBLES)}")
        self.server.suffer(trouble)
        for page in self.pages:
            page.close()

    def up(self) -> None:
        """The end of `down`."""
        self.server.suffer(None)

    async def wait_for(self, predicate: Callable[[], T]) -> T:
        """Wait until the predicate is true; it is tried whenever anything has changed here."""
        return await self.changes.wait_for(predicate)


async def run(
    config: Config | None = None, *, task_status: trio.TaskStatus[Simulator] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled: `sim = await nursery.start(run, Config())`. Leaves no file behind."""
    simulator = Simulator(config or Config())
    with ExitStack() as stack:
        if simulator.config.control_path is None:
            folder = stack.enter_context(TemporaryDirectory(prefix="wasup-simulator-"))
            simulator.control_path = Path(folder, "control.sock")
        async with trio.open_nursery() as nursery:
            await nursery.start(simulator.sink.serve)
            await nursery.start(simulator.server.serve)
            await nursery.start(serve_control, simulator)
            task_status.started(simulator)


@asynccontextmanager
async def serve(config: Config | None = None) -> AsyncIterator[Simulator]:
    """The same as a context: the servers stop when it is left."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(run, config)
        nursery.cancel_scope.cancel()


__all__ = ["Config", "Simulator", "SimulatorError", "run", "serve"]

"""What is fuzzed: the byte stream, the parameters of every method, whole requests, and what the page says.

Each target is given a number of inputs and a seed, and raises at the first input that goes wrong.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, MutableMapping
from tempfile import TemporaryDirectory
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, get_args
from unittest import mock

import attrs
import msgspec
import structlog
import trio
import trio.testing

from daemon import main
from daemon.access import Credentials
from daemon.config import parse
from daemon.dispatch import Handlers
from daemon.handlers import handlers
from daemon.server import Server
from daemon.service import Service
from protocol.errors import RpcError
from protocol.jsonrpc import Batch, Decoder, Incoming, Invalid, TooLong
from protocol.methods import METHODS, decode_params
from supervisors.chrome.errors import CallTimeout, ContextDestroyed, PageError
from supervisors.incarnation import Incarnation
from supervisors.launches import Launches
from supervisors.page_life import PageLife
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp import news
from supervisors.whatsapp.page import WhatsAppPage
from tests.daemon.inprocess import LinkedLife
from tests.fuzz.values import Values

Progress = Callable[[int], None]


def stream(inputs: int, seed: int, progress: Progress) -> None:
    """The byte stream: whatever comes in, in whatever pieces, the decoder answers and never raises."""
    values = Values(seed)
    dice = values.random
    decoder = Decoder(4096)
    for number in range(inputs):
        line = values.text(_request(values)).encode("utf-8", "surrogatepass")
        if dice.random() < 0.3:
            line = dice.randbytes(dice.randrange(40)) + line[: dice.randrange(len(line) + 1)]
        line += dice.choice([b"\n", b"\r\n", b"\n\n", b""])
        cut = dice.randrange(len(line) + 1)
        for piece in (line[:cut], line[cut:]):
            for incoming in decoder.feed(piece):
                _check_incoming(incoming)
                if isinstance(incoming, TooLong):
                    decoder = Decoder(4096)
        progress(number)


def _check_incoming(incoming: Incoming) -> None:
    for item in incoming.items if isinstance(incoming, Batch) else (incoming,):
        if isinstance(item, Invalid | TooLong):
            assert item.error.code in ("PARSE_ERROR", "INVALID_REQUEST", "INVALID_PARAMS"), item
        else:
            assert isinstance(item.method, str), item


def params(inputs: int, seed: int, progress: Progress) -> None:
    """The parameters of every method: taken, or refused with the path of what is wrong."""
    values = Values(seed)
    methods = [*METHODS.values()]
    for number in range(inputs):
        method = methods[number % len(methods)]
        given = values.of(method.params)
        if values.random.random() < 0.8:
            given = values.mutated(given)
        text = values.text(given).encode("utf-8", "surrogatepass")
        refusal = None
        try:
            decode_params(method, text)
        except RpcError as error:
            refusal = error
        if refusal is not None:
            assert refusal.code == "INVALID_PARAMS", (method.name, text[:500], refusal)
            assert refusal.details["path"].startswith("$"), (method.name, text[:500])
            assert len(msgspec.json.encode(refusal.to_wire())) < 8000, (method.name, text[:500])
        progress(number)


def _request(values: Values) -> Any:
    method = values.random.choice([*METHODS])
    given = values.of(METHODS[method].params)
    request: Any = {"jsonrpc": "2.0", "id": values.random.randrange(9), "method": method, "params": given}
    if values.random.random() < 0.3:
        request = values.mutated(request)
    if values.random.random() < 0.05:
        request = [request] * values.random.randrange(4)
    return request


# Those that end the daemon, take seconds each, or leave ever more behind.
_SELDOM: Final = frozenset({"rpc.discover", "daemon.metrics"})  # they take no parameters, and long
_A_CONNECTION: Final = 20
_NOT_SENT: Final = frozenset(
    {"webhook.create", "daemon.shutdown", "daemon.forceCleanup", "daemon.backup", "webhook.test"}
)


def requests(inputs: int, seed: int, progress: Progress) -> None:
    """Whole requests to a whole daemon, without browsers: no answer is INTERNAL_ERROR, and it lives on."""
    trio.run(_requests, inputs, seed, progress)


async def _requests(inputs: int, seed: int, progress: Progress) -> None:
    values = Values(seed)
    names = [name for name in METHODS if name not in _NOT_SENT]
    async with daemon_of_fuzz(values) as daemon:
        for first in range(0, inputs, _A_CONNECTION):
            asked = {}
            for number in range(first, min(first + _A_CONNECTION, inputs)):
                method = METHODS[names[number % len(names)]]
                if method.name in _SELDOM and values.random.random() < 0.95:
                    method = METHODS["session.status"]
                given = values.of(method.params)
                if values.random.random() < 0.5:
                    given = values.mutated(given)
                if "timeout" in method.params.__struct_fields__ and isinstance(given, dict):
                    given["timeout"] = 0
                asked[number] = {"jsonrpc": "2.0", "id": number, "method": method.name, "params": given}
            async with daemon.client() as (stream, answers):
                with trio.fail_after(120):
                    for each in asked.values():
                        await stream.send_all(json.dumps(each).encode() + b"\n")
                    for _ in asked:
                        answer = await anext(answers)
                        code = answer.get("error", {}).get("data", {}).get("code")
                        assert code != "INTERNAL_ERROR", asked.get(answer["id"])
            assert not daemon.errors, (daemon.errors, [*asked.values()])
            progress(first)


async def _lines(stream: Any) -> AsyncGenerator[dict[str, Any], None]:
    held = b""
    while data := await stream.receive_some():
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            found = msgspec.json.decode(line)
            if "method" not in found:  # an event is no answer
                yield found
    raise AssertionError(f"the daemon hung up after {held[:500]!r}")


def page(inputs: int, seed: int, progress: Progress) -> None:
    """What the page says, through the binding, to a session's life and into the store of a whole daemon."""
    trio.run(_page, inputs, seed, progress)


async def _page(inputs: int, seed: int, progress: Progress) -> None:
    values = Values(seed)
    kinds = get_args(news.News)
    async with daemon_of_fuzz(values) as daemon:
        journal = daemon.service.store

        async def told() -> AsyncIterator[news.News]:
            for number in range(inputs):
                given = values.of(kinds[number % len(kinds)])
                if values.random.random() < 0.6:
                    given = values.mutated(given)
                if number % 256 == 0:
                    progress(number)
                    await journal.write(lambda _db: None)  # everything before it is on record
                    assert not daemon.errors, daemon.errors
                with contextlib.suppress(news.BadNewsError):
                    yield news.decode(values.text(given))

        settings = {"autoDownloadMedia": True, "markRead": True}
        async with daemon.client() as (stream, answers):

            async def ask(method: str, **given: object) -> Any:
                await stream.send_all(
                    json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": given}).encode()
                    + b"\n"
                )
                answer = await anext(answers)
                assert "error" not in answer, answer
                return answer["result"]

            await ask("session.create", name="shop", id="shop", settings=settings)
            await ask("session.start", sessionId="shop", wait=True)
            session = daemon.service.session("shop")

            async def find_settings() -> SupervisorSettings:
                return SupervisorSettings()

            life = Incarnation(session, daemon.service.fleet.find_workplace, Launches(1).join())
            page = life._page_life = PageLife(
                session,
                find_settings,
                SimpleNamespace(injection=lambda _name: ""),  # type: ignore[arg-type]  # all that is used of it
                daemon.service.fleet.pages,
                HostileTab(values),  # type: ignore[arg-type]  # all that is used of a tab
                loaded=trio.Event(),
                ran_out_of_memory=lambda: False,
            )
            page._ready = True
            linked, session.life = session.life, life
            for number in range(20):
                await ask("message.send", sessionId="shop", to=f"+491511234{number:04}", text="Hello")
            async with trio.open_nursery() as nursery:
                page._nursery = nursery
                nursery.start_soon(page._inbox.run)
                nursery.start_soon(page._outbox.run)
                await page._listen(told())
                nursery.cancel_scope.cancel()
            session.life = linked
            await journal.write(lambda _db: None)
            assert not daemon.errors, daemon.errors
            for method in ("session.get", "session.status", "session.stats", "message.list"):
                await ask(method, sessionId="shop")
            await ask("daemon.health")
            await ask("daemon.metrics")
            after = 0
            while events := (await ask("events.list", after=after, limit=1000))["events"]:
                after = events[-1]["seq"]
            following = None
            while True:
                found = await ask("message.list", sessionId="shop", cursor=following, limit=1000)
                following = found["next"]
                if following is None:
                    break


class HostileTab:
    """The tab of a page that answers what it likes."""

    def __init__(self, values: Values) -> None:
        self._values = values

    async def evaluate(self, _expression: str, *, timeout_s: float = 0.0) -> Any:
        await trio.lowlevel.checkpoint()
        dice = self._values.random
        match dice.randrange(9):
            case 0:
                raise PageError("Error\n\x1b[2J", "x" * dice.choice([1, 100_000]))
            case 1:
                raise CallTimeout("Runtime.evaluate", timeout_s)
            case 2:
                raise ContextDestroyed("Runtime.evaluate", -32000, "Execution context was destroyed.")
            case 3:
                text = str(self._values.nasty())
                return {
                    "error": {"name": text, "message": text, "code": dice.choice([None, text, "NOT_READY"])}
                }
            case 4:
                return {
                    "value": {"bytes": dice.choice([0, 5, 10**400, -1]), "mimetype": self._values.nasty()}
                }
            case 5:
                return {"value": dice.choice(["aGVsbG8=", "", "====", {"ack": 1, "result": "OK"}])}
            case 6:
                return {"value": {"total": self._values.nasty(), "items": [self._values.nasty()]}}
            case 7:
                return self._values.nasty()
            case _:
                return {"value": self._values.nasty()}

    async def screenshot(self, *, timeout_s: float = 0.0) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"PNG"


@attrs.define(eq=False)
class FuzzedDaemon:
    """A whole daemon in this process; `errors` is what it has logged as one."""

    errors: list[Any]
    service: Service = attrs.field(init=False)
    server: Server = attrs.field(init=False)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[trio.abc.SendStream, AsyncGenerator[dict[str, Any], None]]]:
        """An admin's connection: where to send, and the answers."""
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.serve_stream, theirs, Credentials(pid=1, uid=0, gid=0))
            async with ours, contextlib.aclosing(_lines(ours)) as answers:
                yield ours, answers


@contextlib.asynccontextmanager
async def daemon_of_fuzz(values: Values) -> AsyncIterator[FuzzedDaemon]:
    """Run a daemon whose sessions link at once, with pages that answer what they like."""
    daemon = FuzzedDaemon(errors=[])

    class HostileLife(LinkedLife):
        page = WhatsAppPage(HostileTab(values), "", None)  # type: ignore[assignment, arg-type]

    def note(_logger: object, level: str, line: MutableMapping[str, Any]) -> Any:
        if level in ("error", "critical"):
            daemon.errors.append(str(line.get("exc_info") or line))
        raise structlog.DropEvent

    def handlers_of(service: Service) -> Handlers:
        daemon.service = service
        return handlers(service)

    def server_of(*args: Any, **more: Any) -> Server:
        daemon.server = Server(*args, **more)
        return daemon.server

    async def no_browser(_fleet: object) -> None:
        pass

    usual = structlog.get_config()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    with (
        TemporaryDirectory(prefix="wasup-fuzz-") as directory,
        mock.patch("daemon.main.handlers", handlers_of),
        mock.patch("daemon.main.Server", server_of),
        mock.patch("daemon.main.logs.configure"),
        mock.patch("daemon.main._look_for_browser", no_browser),
        mock.patch("supervisors.fleet.Incarnation", HostileLife),
    ):
        text = f"""
[daemon]
state_dir = "{directory}/state"
[rpc]
socket = "{directory}/wasup.sock"
[restart]
settle = 0
cooldown = 0
[sessions]
max = 20
"""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(main.run, parse(text, {}))
                yield daemon
                daemon.service.stopping.set()
        finally:
            structlog.configure(**usual)


TARGETS: Final[Mapping[str, Callable[[int, int, Progress], None]]] = MappingProxyType(
    {"stream": stream, "params": params, "requests": requests, "page": page}
)

"""What is fuzzed: the byte stream, the parameters of every method, whole requests, and what the page says.

Each target is given a number of inputs and a seed, and raises at the first input that goes wrong.
"""

import contextlib
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, MutableMapping
from tempfile import TemporaryDirectory
from traceback import format_exception
from types import MappingProxyType
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
from protocol.jsonrpc import Batch, Decoder, Incoming, Invalid, Lines, TooLong
from protocol.methods import METHODS, decode_params
from supervisors.chrome import messages
from supervisors.chrome.errors import CallTimeout, ContextDestroyed, PageError
from supervisors.incarnation import Incarnation
from supervisors.launches import Launches
from supervisors.page_life import PageLife
from supervisors.settings import SupervisorSettings
from supervisors.whatsapp import news
from supervisors.whatsapp.page import WhatsAppPage
from tests.daemon.inprocess import LinkedLife
from tests.fuzz.values import IDS, Values

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
_NOT_SENT: Final = frozenset(
    {
        *("webhook.create", "daemon.shutdown", "daemon.forceCleanup", "daemon.backup", "webhook.test"),
        *("page.save", "page.update"),  # what they capture only a real browser has
    }
)
_ENDING: Final = frozenset(
    {
        *("session.delete", "session.stop", "session.logout", "session.clearAuth"),
        *("session.terminateAll", "session.terminateInactive"),
    }
)
"""Those that leave little to fuzz."""

_SENT: Final = tuple(method for name, method in METHODS.items() if name not in _NOT_SENT)

_A_DAEMON: Final = 20_000
"""Inputs that one daemon is given: what they leave in its store makes lists ever longer."""

_A_CONVERSATION: Final = 200
_AT_ONCE: Final = 4


def requests(inputs: int, seed: int, progress: Progress) -> None:
    """Whole requests to a whole daemon, without browsers: each is answered, none by INTERNAL_ERROR."""
    for first in range(0, inputs, _A_DAEMON):
        trio.run(_requests, range(first, min(first + _A_DAEMON, inputs)), seed, progress)


async def _requests(numbers: range, seed: int, progress: Progress) -> None:
    conversations = iter(range(numbers.start, numbers.stop, _A_CONVERSATION))
    async with daemon_of_fuzz(Values(seed + numbers.start)) as daemon:

        async def talk() -> None:
            for first in conversations:
                own = range(first, min(first + _A_CONVERSATION, numbers.stop))
                with trio.fail_after(120):
                    await _begin(daemon)
                    await _converse(daemon, Conversation.made(Values(seed + first), own))
                progress(first)

        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(talk)


@attrs.frozen
class Conversation:
    """What one client says; `wanted` are the ids of the answers to it, None for what is no JSON."""

    lines: bytes
    wanted: Counter[int | None]

    @classmethod
    def made(cls, values: Values, numbers: range) -> "Conversation":
        """One request a number, some without an id, some of them in batches."""
        lines: list[bytes] = []
        batch: list[bytes] = []
        wanted: Counter[int | None] = Counter()
        dice = values.random
        for number in numbers:
            request = _made(values, number)
            try:
                text = json.dumps(request, allow_nan=False, ensure_ascii=False).encode()
            except ValueError:  # odd numbers, halves of characters: no JSON, and so would be the batch
                lines.append(json.dumps(request).encode())
                wanted[None] += 1
                continue
            wanted.update([number] if "id" in request else [])
            batch.append(text if dice.random() < 0.5 else json.dumps(request).encode())
            if dice.random() < 0.9:
                lines.append(batch[0] if len(batch) == 1 else b"[" + b",".join(batch) + b"]")
                batch = []
        if batch:
            lines.append(b"[" + b",".join(batch) + b"]")
        return cls(b"".join(line + b"\n" for line in lines), wanted)


def _made(values: Values, number: int) -> dict[str, Any]:
    dice = values.random
    method = _SENT[number % len(_SENT)]
    if method.name in _SELDOM | _ENDING and dice.random() < 0.95:
        method = METHODS[dice.choice(["message.send", "session.start", "whatsapp.call"])]
    given = values.of(method.params)
    if dice.random() < 0.5:
        given = values.mutated(given)
    if "timeout" in method.params.__struct_fields__ and isinstance(given, dict):
        given["timeout"] = 0
    request = {"jsonrpc": "2.0", "method": method.name, "params": given}
    return request if dice.random() < 0.03 else {**request, "id": number}


KNOWN: Final = {
    "id": "3EB0AA",
    "key": "true_4915112345678@c.us_3EB0AA",
    "origin": "api",
    "direction": "out",
    "chatId": "4915112345678@c.us",
    "type": "text",
    "text": "Hello",
    "status": "sent",
    "createdAt": "2026-11-21T10:00:00.000Z",
    "updatedAt": "2026-11-21T10:00:00.000Z",
}
"""A message that requests can be about."""


async def _begin(daemon: "FuzzedDaemon") -> None:
    """See to it that there are sessions with a message, as far as the others let there be."""
    async with daemon.client() as stream, contextlib.aclosing(_answers(stream)) as answers:
        for name in IDS[:2]:
            for method, given in (
                ("session.create", {"id": name, "name": name}),
                ("session.start", {"sessionId": name, "wait": True, "timeout": 5}),
                ("message.import", {"sessionId": name, "messages": [KNOWN]}),
            ):
                request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": given}
                await stream.send_all(json.dumps(request).encode() + b"\n")
                await anext(answers)


async def _converse(daemon: "FuzzedDaemon", conversation: Conversation) -> None:
    """Say all at once, end our direction, and read to the end."""
    answered: Counter[int | None] = Counter()
    async with daemon.client() as stream, contextlib.aclosing(_answers(stream)) as answers:
        await stream.send_all(conversation.lines)
        await stream.send_eof()
        async for answer in answers:
            answered[answer["id"]] += 1
            code = answer.get("error", {}).get("data", {}).get("code")
            assert code != "INTERNAL_ERROR", (answer, *daemon.errors)
    missing, more = conversation.wanted - answered, answered - conversation.wanted
    assert not missing, ("not answered", missing, daemon.said)
    assert not more, ("answered", more, daemon.said)
    assert not daemon.errors, daemon.errors


async def _answers(stream: trio.abc.ReceiveStream) -> AsyncGenerator[dict[str, Any], None]:
    lines = Lines(None)
    while data := await stream.receive_some():
        for line in lines.feed(bytes(data)):
            found = msgspec.json.decode(line)
            for answer in found if isinstance(found, list) else [found]:
                if "method" not in answer:  # an event is no answer
                    yield answer


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
        async with daemon.client() as stream, contextlib.aclosing(_answers(stream)) as answers:

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
                daemon.service.fleet.pages,
                HostileTab(values),  # type: ignore[arg-type]  # all that is used of a tab
                loaded=trio.Event(),
                ran_out_of_memory=lambda: False,
            )
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
        return _told_by_chrome(self._evaluate(timeout_s))

    def _evaluate(self, timeout_s: float) -> Any:
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


def _told_by_chrome(value: Any) -> Any:
    """What is left of a value when Chrome has told it: no halves of characters, no odd numbers."""
    told = json.dumps({"id": 1, "result": {"value": value}}).encode()
    try:
        return msgspec.json.decode(messages.decode(told).result)["value"]
    except msgspec.MsgspecError:
        return None


@attrs.define(eq=False)
class FuzzedDaemon:
    """A whole daemon in this process; `errors` is what it has logged as one, `said` its last words."""

    errors: list[Any] = attrs.Factory(list)
    said: deque[Any] = attrs.Factory(lambda: deque(maxlen=20))
    service: Service = attrs.field(init=False)
    server: Server = attrs.field(init=False)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[trio.StapledStream[Any, Any]]:
        """An admin's connection."""
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.serve_stream, theirs, Credentials(pid=1, uid=0, gid=0))
            async with ours:
                yield ours


@contextlib.asynccontextmanager
async def daemon_of_fuzz(values: Values) -> AsyncIterator[FuzzedDaemon]:
    """Run a daemon whose sessions link at once, with pages that answer what they like."""
    daemon = FuzzedDaemon()

    class HostileLife(LinkedLife):
        page = WhatsAppPage(HostileTab(values), None)  # type: ignore[assignment, arg-type]

        def reconnect(self) -> None:
            self.link()

    def note(_logger: object, level: str, line: MutableMapping[str, Any]) -> Any:
        if level not in ("debug", "info"):
            daemon.said.append(line)
        if level in ("error", "critical"):
            error = line.get("exc_info")
            daemon.errors.append("".join(format_exception(error)) if isinstance(error, Exception) else line)
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

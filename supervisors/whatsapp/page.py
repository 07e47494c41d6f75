"""WhatsApp Web in one tab: what the daemon asks of it.

Knows wa-js' words and WhatsApp's; must not know sessions, policies or stores.
"""

import base64
import contextlib
import json
import math
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import attrs
import structlog
import trio

from protocol.errors import ERRORS, RpcError
from supervisors.chrome.errors import CallTimeout, ChromeError
from supervisors.chrome.tab import Tab
from supervisors.journal import File, Outgoing
from supervisors.whatsapp import news
from supervisors.whatsapp.library import BINDING
from supervisors.whatsapp.pace import Pace
from supervisors.whatsapp.page_pin import PagePin

if TYPE_CHECKING:
    from supervisors.chrome.events import EventStream

_log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 30.0
CATCH_UP_TIMEOUT_S = 120.0
DOWNLOAD_TIMEOUT_S = 120.0
# While the network is away a page answers nothing; what it was given is asked about after this long.
DELIVERY_TIMEOUT_S = 300.0
CLOSE_TIMEOUT_S = 2.0
# What may wait to be taken in: a catch-up tells a lot at once.
MOST_NEWS = 100_000
MOST_WAITING_CHARACTERS = 64 * 2**20
# How often the log is told that the page says what is of no agreed form.
SAY_AGAIN_S = 60.0
# DevTools carries a message at 15 to 25 MB/s (measured), and those behind it wait.
PIECE_BYTES = 768 * 1024
REFRESH_TIMEOUT_S = 10.0
LEAST_ERROR_STATUS = 400


@attrs.frozen(kw_only=True)
class Failure:
    """A call that the page refused; `code` is wa-js' own word or one of the protocol's."""

    name: str
    message: str
    code: str | None

    @property
    def keys_missing(self) -> bool:
        """Whether it failed for want of encryption keys.

        libsignal's `SessionError: No sessions` (session_cipher.js), which WhatsApp Web passes on.
        """
        return "no sessions" in self.message.lower() or "no session record" in self.message.lower()


@attrs.frozen(kw_only=True)
class Delivery:
    """What became of a message: `ack` 0 is pending, 1 and more acknowledged; `result` is WhatsApp's word."""

    ack: int
    result: str | None


@attrs.frozen(kw_only=True)
class CaughtUp:
    """How many messages a page has told again, and when it began by WhatsApp's clock (epoch seconds)."""

    told: int
    began_s: int | None


@attrs.frozen(kw_only=True)
class Vitals:
    """How a page is: whole, with the library in it, which has found its way; wanting an update of itself.

    `fault` says what the network did to it: that another page answered, an error, or a part of it only.
    `progress` grows while it loads, and says nothing once it has.
    """

    loaded: bool
    library: bool
    ready: bool
    needs_update: bool
    fault: str | None = None
    progress: int = 0


# The whole text is looked at only as long as something may be wrong with it: of a large page it is megabytes.
_VITALS = """(() => {
  const loaded = document.readyState === 'complete'
  const ready = Boolean(window.WPP && WPP.isReady)
  const text = loaded && ready ? '' : document.documentElement?.outerHTML ?? ''
  return [
    loaded,
    typeof window.WPP === 'object' && typeof window.__wasup === 'object',
    ready,
    (() => { try { return Boolean(WPP.conn.needsUpdate()) } catch { return false } })(),
    performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0,
    ready || /whatsapp/i.test(text),
    typeof window.__wasup === 'object' ? Number(window.__wasup.lostScripts()) : 0,
    loaded ? 0 : performance.getEntriesByType('resource').length + text.length,
  ]
})()"""


class WhatsAppPage:
    """The page of `tab`, which must outlive it; the library is what the tab preloads.

    `pin` says which version it has.
    """

    def __init__(self, tab: Tab, pin: PagePin) -> None:
        self.pin = pin
        self._tab = tab
        self._told: EventStream[str] | None = None

    @contextlib.contextmanager
    def news(self) -> Iterator[AsyncIterator[news.News]]:
        """Collect, while the block lasts, what the page tells; what is not of the agreed form is dropped."""
        with self._tab.binding_calls(
            BINDING, events_max=MOST_NEWS, most_characters=MOST_WAITING_CHARACTERS
        ) as self._told:
            yield _checked(self._told)

    async def deliver(self, message: Outgoing, *, check: bool) -> Delivery | Failure:
        """Give the page a message under the id that was chosen for it.

        With `check` the page is asked first whether it knows that id; then only a message that it does not
        know, or knows as failed, is sent. Returns when WhatsApp has answered: the page itself sends again
        what was not acknowledged. CallTimeout says that the page is to be asked about the id.

        Raises:
            ChromeError: the page or the browser went away; the outcome is not known.
            OSError: the message's file cannot be read.
        """
        content = dict(message.content)
        if message.file is not None:
            content["token"] = message.message_id
            failure = await self._hold(message.message_id, message.file)
            if failure is not None:
                return failure
        answer = await self._call(
            "deliver",
            {
                "to": message.to,
                "id": message.message_id,
                "kind": message.kind,
                "content": content,
                "quotedId": message.quoted_id,
                "mentions": list(message.mentions),
                "check": check,
            },
            timeout_s=DELIVERY_TIMEOUT_S,
        )
        match answer:
            case Failure():
                return answer
            case {"ack": int(ack), "result": str() | None as result}:
                return Delivery(ack=ack, result=result)
            case _:
                return Failure(name="Error", message="the page gave no usable answer", code=None)

    async def _hold(self, token: str, file: File) -> Failure | None:
        """Bring a file into the page, piece by piece; return what went wrong in the page."""
        answer = await self._call("release", {"token": token}, timeout_s=CALL_TIMEOUT_S)
        async with file.open() as read:
            while not isinstance(answer, Failure) and (piece := await read()):
                argument = {"token": token, "data": base64.b64encode(piece).decode()}
                answer = await self._call("hold", argument, timeout_s=CALL_TIMEOUT_S)
        return answer if isinstance(answer, Failure) else None

    async def download(self, key: str, most_bytes: int) -> tuple[str, bytes]:
        """Return a message's file: its type as the page has it, and its bytes.

        Raises:
            RpcError: MEDIA_TOO_LARGE, and as `ask` does.
        """
        token = secrets.token_hex(8)
        found = await self.ask("open", {"key": key, "token": token}, timeout_s=DOWNLOAD_TIMEOUT_S)
        try:
            match found:
                case {"bytes": int(size), "mimetype": str(mimetype)} if size >= 0:
                    pass
                case _:
                    raise _unusable()
            if size > most_bytes:
                raise RpcError("MEDIA_TOO_LARGE", bytes=size, limit=most_bytes)
            data = bytearray()
            while len(data) < size:
                piece = {"token": token, "offset": len(data), "bytes": PIECE_BYTES}
                data += _piece(await self.ask("read", piece), size - len(data))
            return mimetype[:256], bytes(data)
        finally:
            with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True), contextlib.suppress(RpcError):
                await self.ask("close", {"token": token})

    async def ask(
        self,
        function: str,
        argument: object = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        once: bool = False,
    ) -> Any:
        """Call one of the bridge's functions for a client; return its JSON.

        Raises:
            RpcError: PAGE_TIMEOUT, PAGE_ERROR with the page's own name and message, SESSION_NOT_CONNECTED
                where the page has gone away, or the code that the bridge gave. With `once`, which says that
                doing it again would do it twice, OUTCOME_UNKNOWN where the answer was lost.
        """
        try:
            answer = await self._call(function, argument, timeout_s=timeout_s)
        except ChromeError as error:
            if once:
                raise RpcError("OUTCOME_UNKNOWN", f"The page's answer was lost: {error}") from None
            if not isinstance(error, CallTimeout):
                raise RpcError("SESSION_NOT_CONNECTED", f"The page went away: {error}") from None
            raise RpcError("PAGE_TIMEOUT", f"The page did not answer within {timeout_s:g} s") from None
        if isinstance(answer, Failure):
            if answer.code == "NOT_READY":
                raise RpcError("SESSION_NOT_CONNECTED", answer.message)
            if answer.code is not None and answer.code in ERRORS:
                raise RpcError(answer.code, answer.message)
            raise RpcError(
                "PAGE_ERROR", answer.message, name=answer.name, message=answer.message, pageCode=answer.code
            )
        return answer

    async def catch_up(self, since_s: int) -> CaughtUp | Failure:
        """Have the page tell what it has of messages since `since_s` (epoch seconds).

        Returns when whoever reads `news` is done with all that was told.
        """
        answer = await self._call("catchUp", since_s, timeout_s=CATCH_UP_TIMEOUT_S)
        if isinstance(answer, Failure):
            return answer
        if self._told is not None:
            await self._told.dealt_with()
        told, began_s = (answer.get("told"), answer.get("began")) if isinstance(answer, dict) else (0, None)
        return CaughtUp(
            told=told if isinstance(told, int) else 0,
            began_s=began_s if isinstance(began_s, int) and began_s >= 0 else None,
        )

    async def refresh_qr(self) -> Failure | None:
        """Have an idle page show codes again."""
        answer = await self._call("refreshQr", None, timeout_s=REFRESH_TIMEOUT_S)
        return answer if isinstance(answer, Failure) else None

    async def pair(self, phone_number: str) -> str | Failure:
        """Return the code to type on the phone with this number (`+` and digits); later ones come as news.

        While its code is valid, a number gets the same code again; another number ends it.
        """
        answer = await self._call("pair", phone_number, timeout_s=CALL_TIMEOUT_S)
        return answer if isinstance(answer, Failure) else str(answer)

    async def log_out(self, timeout_s: float) -> Failure | None:
        """Have the account forget this device; the page loads anew after it.

        Raises:
            CallTimeout: WhatsApp did not confirm it; the phone may still list this device.
        """
        answer = await self._call("logout", None, timeout_s=timeout_s)
        return answer if isinstance(answer, Failure) else None

    async def screenshot(self) -> bytes:
        """Return what the page looks like, as PNG."""
        return await self._tab.screenshot(timeout_s=CALL_TIMEOUT_S)

    async def take_over(self) -> None:
        """Take the connection from whoever else uses this login; what comes of it comes as news."""
        answer = await self._call("takeOver", None, timeout_s=CALL_TIMEOUT_S)
        if isinstance(answer, Failure):
            _log.warning("takeover_failed", error=answer.name)

    async def probe(self, timeout_s: float) -> Vitals:
        """Return how the page is when its event loop has answered.

        Raises:
            CallTimeout: it has not; other ChromeErrors: there is none.
        """
        answer = await self._tab.evaluate(_VITALS, timeout_s=timeout_s)
        match answer:
            case [
                bool(loaded), bool(library), bool(ready), bool(needs_update),
                int(status), bool(ours), int(lost_scripts), int(progress),
            ]:  # fmt: skip
                fault = None
                if status >= LEAST_ERROR_STATUS:
                    fault = f"the page's address answers with status {status}"
                elif loaded and not ours:
                    fault = "another page answers at the page's address"
                elif loaded and not ready and lost_scripts:
                    fault = f"scripts of the page could not be loaded: {lost_scripts}"
                return Vitals(
                    loaded=loaded,
                    library=library,
                    ready=ready,
                    needs_update=needs_update,
                    fault=fault,
                    progress=progress,
                )
            case _:
                return Vitals(loaded=False, library=True, ready=False, needs_update=False)

    async def _call(self, function: str, argument: object, *, timeout_s: float) -> Any:
        expression = (
            f"window.__wasup ? window.__wasup.{function}({json.dumps(argument)}) : "
            "({error: {name: 'Error', message: 'the page is not ready', code: 'NOT_READY'}})"
        )
        answer = await self._tab.evaluate(expression, timeout_s=timeout_s)
        match answer:
            case {"value": value}:
                return value
            case {"error": {"name": str(name), "message": str(text), "code": str() | None as code}}:
                return Failure(name=name[:200], message=text[:2000], code=code and code[:200])
            case _:
                return Failure(name="Error", message="the page gave no usable answer", code=None)


def _piece(answer: object, most_bytes: int) -> bytes:
    """Read a piece of a file as the page gives it: some bytes, and no more than are missing."""
    try:
        data = base64.b64decode(answer, validate=True) if isinstance(answer, str) else b""
    except ValueError:
        raise _unusable() from None
    if not 0 < len(data) <= most_bytes:
        raise _unusable()
    return data


def _unusable() -> RpcError:
    return RpcError("PAGE_ERROR", "The page gave no usable answer")


async def _checked(payloads: AsyncIterator[str]) -> AsyncIterator[news.News]:
    """Give what is of the agreed form, no faster than `pace` says; the log is told once in a while.

    Meanwhile more gathers; a page that goes on has no room left for it, which is the end of the page.
    """
    pace = Pace(trio.current_time())
    dropped, say_at = 0, -math.inf
    async for payload in payloads:
        wait_s = pace.take(len(payload), trio.current_time())
        if wait_s:
            await trio.sleep(wait_s)
        try:
            item = news.decode(payload)
        except news.BadNewsError as error:
            dropped += 1
            if trio.current_time() >= say_at:
                _log.warning("page_news_dropped", error=str(error), dropped=dropped)
                dropped, say_at = 0, trio.current_time() + SAY_AGAIN_S
        else:
            yield item

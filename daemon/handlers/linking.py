"""session.*: the page as the phone meets it: codes by number, unlinking, what it looks like."""

import base64
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from daemon.dispatch import Call
from daemon.handlers.lifecycle import no_code
from daemon.journal import now_ms
from daemon.service import Service
from protocol.errors import RpcError
from protocol.models import (
    SessionPairParams,
    SessionPairResult,
    SessionParams,
    SessionScreenshotResult,
    StatusResult,
)
from protocol.times import rfc3339
from supervisors.chrome.errors import CallTimeout, ChromeError, ContextDestroyed, PageError
from supervisors.machine import Phase
from supervisors.session import Session
from supervisors.whatsapp.page import Failure, WhatsAppPage

T = TypeVar("T")

# How long WhatsApp has to confirm that a device is unlinked: wa-js itself would wait for ever.
LOGOUT_S = 10.0
# How long the page has to show a new code after that.
NEW_CODE_S = 30.0


async def pair(service: Service, _call: Call, params: SessionPairParams) -> SessionPairResult:
    session = service.session(params.session_id)
    page = _page(session)
    if page is None or session.told.status != "qr_generated":
        raise no_code(session)
    code = session.pairing
    if code is None or code.phone_number != params.number or code.expires_at_ms <= now_ms():
        answer = await _ask(session, lambda: page.pair(params.number))
        session.show_pairing(params.number, answer)
        await session.recorded()
        code = session.pairing
        if session.state.status != "qr_generated":
            raise no_code(session)
        if code is None or code.phone_number != params.number:
            raise RpcError(
                "SESSION_BUSY", "Another number is being paired", currentStatus=session.told.status
            )
    return SessionPairResult(pairing_code=code.code, expires_at=rfc3339(code.expires_at_ms))


async def log_out(service: Service, _call: Call, params: SessionParams) -> StatusResult:
    session = service.session(params.session_id)
    _page(session)
    page = session.connected_page()

    async def leave() -> Failure | None:
        try:
            return await page.log_out(LOGOUT_S)
        except ContextDestroyed:  # the page was quick to load anew
            return None

    await _ask(session, leave)
    with trio.move_on_after(NEW_CODE_S):
        await session.reached(
            lambda state: state.status in ("qr_generated", "inactive") or state.phase is Phase.DOWN
        )
    return StatusResult(status=session.told.status)


async def screenshot(service: Service, _call: Call, params: SessionParams) -> SessionScreenshotResult:
    session = service.session(params.session_id)
    page = _page(session)
    if page is None:
        raise RpcError("SESSION_NOT_STARTED", "The browser is being started", currentStatus="connecting")
    picture = await _ask(session, page.screenshot)
    return SessionScreenshotResult(image=f"data:image/png;base64,{base64.b64encode(picture).decode()}")


def _page(session: Session) -> WhatsAppPage | None:
    """Return the page, None while the browser is being started. Raises SESSION_NOT_STARTED."""
    if session.life is None:
        raise RpcError("SESSION_NOT_STARTED", currentStatus=session.told.status, reason=session.told.reason)
    return session.life.page


async def _ask(session: Session, question: Callable[[], Awaitable[T | Failure]]) -> T:
    """Return what the page answers; the end of its life, by whatever cause, ends the wait at once.

    Raises PAGE_TIMEOUT, PAGE_ERROR or SESSION_NOT_STARTED.
    """
    life = session.life
    answers: list[T] = []
    refusal = RpcError("SESSION_NOT_STARTED", "The browser went away meanwhile")
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await session.until(lambda: session.life is not life or session.state.phase is Phase.ENDING)
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            answer = await question()
            if isinstance(answer, Failure):
                refusal = RpcError(
                    "PAGE_ERROR",
                    answer.message,
                    name=answer.name,
                    message=answer.message,
                    pageCode=answer.code,
                )
            else:
                answers.append(answer)
        except CallTimeout as error:
            refusal = RpcError("PAGE_TIMEOUT", f"The page did not answer within {error.timeout_s:g} s")
        except PageError as error:
            refusal = RpcError("PAGE_ERROR", error.message, name=error.name, message=error.message)
        except ChromeError:
            pass  # it has gone away
        nursery.cancel_scope.cancel()
    if not answers:
        raise refusal
    return answers[0]

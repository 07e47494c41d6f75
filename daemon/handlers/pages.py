"""page.*: the versions of WhatsApp's page that are kept, and the one that sessions are to have."""

from typing import Final

import structlog
import trio

from daemon.dispatch import Call
from daemon.service import Service
from protocol.errors import RpcError
from protocol.models import (
    NoParams,
    PageListResult,
    PageRemoveResult,
    PageSessionParams,
    PageUseParams,
    PageUseResult,
    PageVersion,
    PageVersionParams,
)
from protocol.times import rfc3339
from supervisors import machine
from supervisors.session import Session
from supervisors.whatsapp.page_pin import Capture
from supervisors.whatsapp.pages import Kept, PageNotStored, PageRefused, kept_of

_log = structlog.get_logger(__name__)

LATEST: Final = "latest"


async def list_(service: Service, _call: Call, _params: NoParams) -> PageListResult:
    pages = service.fleet.pages
    stored = await pages.stored()
    return PageListResult(pages=tuple(_told(service, kept) for kept in stored), in_use=pages.pinned or LATEST)


async def save(service: Service, _call: Call, params: PageSessionParams) -> PageVersion:
    return _told(service, await _take_newest(service, service.session(params.session_id)))


async def update(service: Service, _call: Call, params: PageSessionParams) -> PageVersion:
    kept = await _take_newest(service, service.session(params.session_id))
    await _use(service, kept.version)
    return _told(service, kept)


async def use(service: Service, _call: Call, params: PageUseParams) -> PageUseResult:
    await _use(service, None if params.version == LATEST else params.version)
    return PageUseResult(in_use=params.version)


async def remove(service: Service, _call: Call, params: PageVersionParams) -> PageRemoveResult:
    try:
        await service.fleet.pages.remove(params.version)
    except PageNotStored as error:
        raise _not_stored(error) from None
    except PageRefused as error:
        raise RpcError(
            "INVALID_PARAMS",
            f"$.version: {error}",
            path="$.version",
            problem=str(error),
            action="Have them use another first, with page.use.",
        ) from None
    except OSError as error:
        raise RpcError("STORE_FULL", f"It cannot be removed: {error.strerror}") from None
    _log.info("page_removed", version=params.version)
    return PageRemoveResult()


async def _use(service: Service, version: str | None) -> None:
    try:
        await service.fleet.pages.use(version)
    except PageNotStored as error:
        raise _not_stored(error) from None
    except OSError as error:
        raise RpcError("STORE_FULL", f"The choice cannot be written down: {error.strerror}") from None
    _log.info("page_chosen", version=version or LATEST)


async def _take_newest(service: Service, session: Session) -> Kept:
    """Have a session load the site's own page, and keep that if the session works with it.

    If it does not, nothing is kept, and the session's recovery loads what it is to have.
    """
    page = None if session.life is None else session.life.page
    if page is None:
        raise RpcError("SESSION_NOT_STARTED", currentStatus=session.told.status, reason=session.told.reason)
    if page.pin.capturing:
        raise RpcError("SESSION_BUSY", "The newest page is being loaded in this session for another caller")
    session.give(machine.Reload())
    with page.pin.capture() as capture:
        await _come_up(session, capture, 2 * service.config.supervisor.liveness.connect_timeout)
    try:
        kept = kept_of(await service.fleet.pages.keep(capture.document()))
    except PageRefused as error:
        raise RpcError("PAGE_ERROR", f"It is not kept: {error}", name="Error", message=str(error)) from None
    except OSError as error:
        raise RpcError("STORE_FULL", f"It cannot be kept: {error.strerror}") from None
    _log.info("page_saved", session_id=session.id, version=kept.version, bytes=kept.bytes)
    return kept


async def _come_up(session: Session, capture: Capture, timeout_s: float) -> None:
    """Wait until the session works with the page that is taken. Raises PAGE_TIMEOUT or PAGE_ERROR."""
    life = session.life

    def has_failed() -> bool:  # a page that is mended has another document by then
        return session.life is not life or session.state.repair is not None

    with trio.move_on_after(timeout_s):
        await session.until(lambda: has_failed() or session.state.status != "connecting")
        if has_failed() or session.state.status not in ("qr_generated", "connected"):
            reason = session.state.reason if session.state.repair is None else session.state.repair.cause
            raise RpcError(
                "PAGE_ERROR",
                f"The session does not come up with the newest page: {session.state.detail or reason}",
                name=reason,
                message=session.state.detail,
                action="Nothing was kept, and sessions have what they had. A newer wa-js may know this page.",
            )
        await capture.named.wait()
        await capture.loaded.wait()
        return
    raise RpcError(
        "PAGE_TIMEOUT",
        f"The newest page did not load to its end within {timeout_s:g} s",
        currentStatus=session.told.status,
        action="Nothing was kept, and sessions have what they had. Try again.",
    )


def _told(service: Service, kept: Kept) -> PageVersion:
    return PageVersion(
        version=kept.version,
        saved_at=rfc3339(kept.saved_at_ms),
        bytes=kept.bytes,
        in_use=kept.version == service.fleet.pages.pinned,
    )


def _not_stored(error: PageNotStored) -> RpcError:
    return RpcError("PAGE_NOT_STORED", f"The page: {error}")

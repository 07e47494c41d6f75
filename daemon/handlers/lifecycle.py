"""What a session goes through: session.start, stop, restart, reload, its code, a wait for a status."""

import shutil
from typing import Any

import structlog
import trio

from daemon import qr as pictures
from daemon.dispatch import Call
from daemon.handlers.sessions import restarts
from daemon.journal import now_ms
from daemon.service import Service
from protocol.errors import ERRORS, RpcError
from protocol.models import (
    LifecycleParams,
    SessionQrParams,
    SessionQrResult,
    SessionWaitParams,
    StatusResult,
)
from protocol.times import rfc3339
from supervisors import machine
from supervisors import session as supervised
from supervisors.browsers import LEAST_FREE_BYTES
from supervisors.machine import Phase, State

_log = structlog.get_logger(__name__)


async def start(service: Service, _call: Call, params: LifecycleParams) -> StatusResult:
    return await _start(service, params, machine.Start())


async def restart(service: Service, _call: Call, params: LifecycleParams) -> StatusResult:
    return await _start(service, params, machine.RestartNow())


async def reload(service: Service, _call: Call, params: LifecycleParams) -> StatusResult:
    return await _start(service, params, machine.Reload())


async def _start(
    service: Service,
    params: LifecycleParams,
    command: machine.Start | machine.RestartNow | machine.Reload,
) -> StatusResult:
    """Answer at once, or when there is a QR, a connection, or no hope. Raises why there is none."""
    session = service.session(params.session_id)
    if service.store.trouble is not None:
        raise RpcError("STORE_FULL", service.store.trouble)
    if shutil.disk_usage(service.store.path.parent).free < LEAST_FREE_BYTES:
        raise RpcError("STORE_FULL", "There is no room on the disk for a browser's profile")
    try:
        session.give(command)
    except RpcError as error:
        _log.info("start_refused", session_id=session.id, code=error.code, reason=error.message)
        raise
    status = session.state.status
    with trio.move_on_after(params.timeout):
        await session.recorded()
    if not params.wait:
        return StatusResult(status=status)

    def decided(state: State) -> bool:
        return state.status in ("qr_generated", "connected", "inactive") or (
            state.status == "disconnected" and state.phase is Phase.DOWN
        )

    state = await _reached(session, decided, params.timeout, "a QR code or a connection")
    if state.status == "inactive" and state.reason not in ERRORS:
        raise RpcError("SESSION_NOT_STARTED", "The session was stopped while it was being started")
    if state.status in ("disconnected", "inactive"):
        raise failure(session)
    return StatusResult(status=state.status)


def failure(session: supervised.Session) -> RpcError:
    """Return the error that a session was given up with."""
    state = session.told
    spec = ERRORS.get(state.reason or "", ERRORS["BROWSER_UNAVAILABLE"])
    action = {} if state.action is None else {"action": state.action}
    return RpcError(spec.code, state.detail, reason=state.reason, restarts=restarts(session), **action)


async def stop(service: Service, _call: Call, params: LifecycleParams) -> StatusResult:
    session = service.session(params.session_id)
    session.give(machine.Stop())
    with trio.move_on_after(params.timeout):
        return StatusResult(status=(await session.stopped()).status)
    raise _too_late(session, "its end", params.timeout)


async def wait(service: Service, _call: Call, params: SessionWaitParams) -> StatusResult:
    session = service.session(params.session_id)
    names = " or ".join(params.statuses)
    state = await _reached(session, lambda state: state.status in params.statuses, params.timeout, names)
    return StatusResult(status=state.status)


async def _reached(session: supervised.Session, condition: Any, timeout_s: float, what: str) -> State:
    with trio.move_on_after(timeout_s):
        return await session.reached(condition)
    raise _too_late(session, what, timeout_s)


def _too_late(session: supervised.Session, what: str, timeout_s: float) -> RpcError:
    return RpcError(
        "PAGE_TIMEOUT",
        f"The session did not reach {what} within {timeout_s:g} s",
        currentStatus=session.told.status,
        reason=session.told.reason,
        action="Wait on with session.wait; session.status tells how it is.",
    )


def no_code(session: supervised.Session) -> RpcError:
    """Return the error of a session that is asked for a code and shows none."""
    state, more = session.told, {}
    if state.status == "connected":
        more["action"] = "The session is linked already. session.logout makes it show codes again."
    return RpcError("QR_NOT_AVAILABLE", currentStatus=state.status, reason=state.reason, **more)


def qr(service: Service, _call: Call, params: SessionQrParams) -> SessionQrResult:
    session = service.session(params.session_id)
    code = session.qr
    if session.told.status != "qr_generated":
        raise no_code(session)
    if code is None or code.expires_at_ms <= now_ms():
        raise RpcError("QR_CODE_EXPIRED", currentStatus=session.told.status)
    return SessionQrResult(
        qr_code=pictures.render(code.text, params.format),
        qr_text=code.text,
        format=params.format,
        generated_at=rfc3339(code.generated_at_ms),
        expires_at=rfc3339(code.expires_at_ms),
    )

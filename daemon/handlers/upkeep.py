"""session.*: what is done to a session while it has no browser: its login wiped, its remains cleaned away."""

from collections.abc import Awaitable, Callable

import structlog
import trio

from daemon import backup
from daemon.dispatch import Call
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import sessions as table
from protocol.errors import RpcError
from protocol.models import NoParams, SessionParams, StatusResult, TerminateResult
from supervisors import machine
from supervisors.chrome.errors import ChromeError
from supervisors.journal import ConnectionFacts
from supervisors.machine import Phase, State
from supervisors.session import Session

_log = structlog.get_logger(__name__)

AUTH_CLEARED = "AUTH_CLEARED"


async def clear_auth(service: Service, _call: Call, params: SessionParams) -> StatusResult:
    session = service.session(params.session_id)
    if service.store.trouble is not None:
        raise RpcError("STORE_FULL", service.store.trouble)

    async def wipe() -> None:
        path = await backup.back_up_session(service, session.id)
        await service.fleet.wipe_profile(session.id)
        session.facts = ConnectionFacts()
        await service.store.write(lambda db: table.forget_login(db, session.id, now_ms()))
        _log.info("auth_cleared", session_id=session.id, backup=str(path))

    async def carry_out() -> StatusResult:
        if not await _while_held(session, wipe):
            raise RpcError("SESSION_BUSY", "The session was stopped before its login was wiped")
        await session.recorded()
        return StatusResult(status=session.told.status)

    return await service.see_through(carry_out)


async def _while_held(session: Session, work: Callable[[], Awaitable[None]]) -> bool:
    """Do something to a session that has no browser meanwhile; a stop or a shutdown cuts it short.

    Returns whether it was done. Raises SESSION_BUSY, and what `work` raises.
    """
    session.give(machine.Hold(AUTH_CLEARED))
    if not await session.held():
        return False
    done = False
    error: RpcError | None = None
    try:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await session.until(lambda: session.state.then is not None)
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            try:
                await work()
                done = True
            except RpcError as refusal:
                error = refusal
            nursery.cancel_scope.cancel()
    finally:
        session.give(machine.Release())
    if error is not None:
        raise error
    return done


async def terminate_inactive(service: Service, call: Call, _params: NoParams) -> TerminateResult:
    return await _terminate(service, call, lambda state: state.status in ("inactive", "disconnected"))


async def terminate_all(service: Service, call: Call, _params: NoParams) -> TerminateResult:
    return await _terminate(service, call, lambda _state: True)


async def _terminate(service: Service, call: Call, chosen: Callable[[State], bool]) -> TerminateResult:
    """Stop sessions, remove what their browsers left, and end browsers that no session owns."""
    if service.store.trouble is not None:
        raise RpcError("STORE_FULL", service.store.trouble)
    sessions = [s for s in service.seen_by(call.peer) if chosen(s.told) and s.id not in service.deleting]

    async def carry_out() -> TerminateResult:
        for session in sessions:
            session.give(machine.Stop())
        held: list[Session] = []
        try:
            for session in sessions:
                await session.until(lambda s=session: _is_over(s.state))  # type: ignore[misc]
                if session.state.phase is Phase.DOWN and session.state.desired == "stopped":
                    session.give(machine.Hold(machine.STOPPED))
                    held.append(session)
            pids = await service.fleet.end_orphans()
            for session in held:
                await _clean(service, session)
        finally:
            for session in held:
                session.give(machine.Release())
        for session in sessions:
            await session.recorded()
        _log.info("sessions_terminated", sessions=len(sessions), orphans_killed=pids)
        return TerminateResult(terminated=tuple(s.id for s in sessions), orphans_killed=tuple(pids))

    return await service.see_through(carry_out)


def _is_over(state: State) -> bool:
    """Whether a session that was told to stop has, or somebody has started it again."""
    return state.phase is Phase.DOWN or state.desired == "running"


async def _clean(service: Service, session: Session) -> None:
    try:
        await service.fleet.clean(session.id)
    except ChromeError as error:
        _log.warning("session_not_cleaned", session_id=session.id, error=str(error))

"""session.*: what is stored of them: made, listed, changed, deleted. What they go through: `lifecycle`."""

import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

import apsw
import attrs
import structlog
import trio
from msgspec import UNSET

from daemon import backup
from daemon.access import Peer
from daemon.dispatch import Call
from daemon.handlers.webhooks import check_settings
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import SessionRow, StoreError, sealing, session_record
from daemon.store import sessions as table
from daemon.store.events import append_event
from daemon.visibility import admitted
from protocol.errors import RpcError
from protocol.events import SessionData
from protocol.models import (
    DiskFigures,
    Restarts,
    Session,
    SessionCreateParams,
    SessionDeleteParams,
    SessionDeleteResult,
    SessionListParams,
    SessionListResult,
    SessionParams,
    SessionSettings,
    SessionStatusResult,
    SessionUpdateParams,
    SettingsPatch,
    StoredSettings,
    merge,
)
from protocol.proxy import keeps_password, parse_proxy
from protocol.times import rfc3339
from supervisors import machine, policy
from supervisors import session as supervised

_log = structlog.get_logger(__name__)


async def create(service: Service, call: Call, params: SessionCreateParams) -> Session:
    if params.settings is not None:
        check_settings(service, params.settings)
    session_id = secrets.token_hex(16) if params.id is None else params.id
    limits = service.config.sessions
    settings = StoredSettings()
    if params.settings is not None:
        settings = _merged(service, settings, params.settings)
        _check_lists(call.peer, settings.visible)

    def job(db: apsw.Connection) -> SessionRow:
        if session_id in service.deleting:  # its row may be gone, its files would be taken for the new one's
            raise RpcError("SESSION_EXISTS", "A session of this id is being deleted", sessionId=session_id)
        if table.count(db) >= limits.max:
            raise RpcError("SESSION_LIMIT", limit=limits.max)
        if limits.max_per_uid and table.count(db, call.peer.uid) >= limits.max_per_uid:
            raise RpcError(
                "SESSION_LIMIT", "This user has as many sessions as allowed", limit=limits.max_per_uid
            )
        row = table.insert(
            db,
            id=session_id,
            name=params.name,
            at_ms=now_ms(),
            description=params.description,
            settings=settings,
            owner_uid=call.peer.uid,
        )
        service.visibility.note(session_id, settings.visible)  # before anybody is told of it
        _use_key(service, db)
        return row

    async def carry_out() -> Session:
        row = await service.store.write(job)
        # A deletion that was cut short may have left the login of the id's former owner.
        await service.fleet.remove_files(session_id)
        session = await service.supervise(row)
        _log.info("session_created", session_id=row.id, uid=call.peer.uid)
        if row.settings.visible.webhook_url is not None:
            await service.webhooks.refresh()
        if params.start:
            session.give(machine.Start())
        return await _record(service, row)

    return await service.see_through(carry_out)


async def list_(service: Service, call: Call, params: SessionListParams) -> SessionListResult:
    hidden = service.visibility.hidden(call.peer)
    rows, total = await service.store.read(
        lambda db: table.list_(
            db,
            status=params.status,
            tag=params.tag,
            limit=params.limit,
            offset=params.offset,
            hidden=hidden,
        )
    )
    return SessionListResult(sessions=tuple(await _records(service, rows)), total=total)


async def get(service: Service, _call: Call, params: SessionParams) -> Session:
    return await _get(service, params.session_id)


def status(service: Service, _call: Call, params: SessionParams) -> SessionStatusResult:
    session = service.session(params.session_id)
    return SessionStatusResult(
        status=session.told.status,
        reason=session.told.reason,
        phone_number=session.facts.phone_number,
        last_activity=_time(service.activity.get(session.id)),
        qr_available=session.qr is not None and session.qr.expires_at_ms > now_ms(),
    )


async def update(service: Service, call: Call, params: SessionUpdateParams) -> Session:
    session = service.session(params.session_id)
    if params.settings is not UNSET:
        check_settings(service, params.settings)

    def job(db: apsw.Connection) -> SessionRow:
        row = table.get(db, session.id)
        changes: dict[str, Any] = {}
        if params.name is not UNSET:
            changes["name"] = params.name
        if params.description is not UNSET:
            changes["description"] = params.description
        if params.settings is not UNSET:
            changes["settings"] = settings = _merged(service, row.settings, params.settings)
            if admitted(settings.visible) != admitted(row.settings.visible):
                _check_may_share(call.peer, row)
                _check_lists(call.peer, settings.visible)
        at_ms = now_ms()
        row = table.update(db, session.id, at_ms, **changes)
        _use_key(service, db)
        data = SessionData(name=row.name)
        append_event(db, type="session.updated", session_id=session.id, at_ms=at_ms, data=data)
        service.visibility.note(row.id, row.settings.visible)  # before anybody is told of it
        return row

    async def carry_out() -> SessionRow:
        try:
            row = await service.store.write(job)
        except (RpcError, StoreError):  # nothing of it is stored: whoever saw the session sees it
            stored = await service.store.read(lambda db: table.get(db, session.id))
            service.visibility.note(session.id, stored.settings.visible)
            raise
        session.rules = service.rules(row.settings.visible)
        session.preferences = service.preferences(row.settings)
        service.names[row.id] = row.name
        service.files.seal(row.id, row.settings.visible.enable_encryption)
        if params.settings is not UNSET:
            service.resealing.wake()
            await service.webhooks.refresh()
        return row

    return await _record(service, await service.see_through(carry_out))


def _use_key(service: Service, db: apsw.Connection) -> None:
    if service.seals.first is not None:
        sealing.use_key(db, service.seals.first.id)


def _merged(service: Service, settings: StoredSettings, patch: SettingsPatch) -> StoredSettings:
    """Return the settings with the patch put over them. Raises INVALID_PARAMS for what has no effect."""
    if isinstance(patch.proxy, str) and patch.proxy != settings.visible.proxy:
        _check_proxy(service, patch.proxy)
    merged = merge(settings, patch)
    if merged.visible.enable_encryption and service.seals.first is None:
        path, problem = "$.settings.enableEncryption", "The daemon has no key to encrypt with"
        raise RpcError(
            "INVALID_PARAMS",
            f"{path}: {problem}",
            path=path,
            problem=problem,
            action="Make one with `wasupd --new-key FILE`, name it in [encryption] key_file, send SIGHUP.",
        )
    return merged


def _check_proxy(service: Service, text: str) -> None:
    """Refuse a proxy that could not be used. Raises INVALID_PARAMS, which does not hold its password."""
    path, problem = "$.settings.proxy", None
    try:
        parse_proxy(text)
    except ValueError as error:
        problem = str(error)
    else:
        if keeps_password(text):
            problem = "The password that *** stands for is of another proxy: give it again"
        elif service.config.supervisor.browser.endpoint:
            problem = "[browser] endpoint: a browser elsewhere has its own proxy, or none"
    if problem is not None:
        raise RpcError("INVALID_PARAMS", f"{path}: {problem}", path=path, problem=problem)


def _check_may_share(peer: Peer, row: SessionRow) -> None:
    """Let the session's creator and admins alone say who sees it. Raises FORBIDDEN."""
    if peer.role != "admin" and peer.uid != row.owner_uid:
        raise RpcError(
            "FORBIDDEN",
            "Who may see a session is for its creator and for admins to say",
            action="Ask an admin, or the user who created the session.",
        )


def _check_lists(peer: Peer, settings: SessionSettings) -> None:
    """Refuse lists that would hide a session from the one who writes them. Raises INVALID_PARAMS."""
    lists = admitted(settings)
    if lists is not None and peer.role != "admin" and not lists.include(peer):
        path = "$.settings.allowedUids" if settings.allowed_uids is not None else "$.settings.allowedGids"
        problem = "These lists would hide the session from you"
        action = f"Add your uid, {peer.uid}, to `allowedUids`, or one of your groups to `allowedGids`."
        raise RpcError("INVALID_PARAMS", f"{path}: {problem}", path=path, problem=problem, action=action)


async def delete(service: Service, _call: Call, params: SessionDeleteParams) -> SessionDeleteResult:
    session = service.session(params.session_id)
    service.deleting.add(session.id)  # at once: a second deletion finds no session

    async def carry_out() -> SessionDeleteResult:
        try:
            if service.store.trouble is not None:
                raise RpcError("STORE_FULL", service.store.trouble)
            session.give(machine.Stop())
            await session.ended()
            path = await backup.back_up_session(service, session.id) if params.backup else None
            await remove(service, session.id)
        finally:
            service.deleting.discard(session.id)
        return SessionDeleteResult(backup=None if path is None else str(path))

    return await service.see_through(carry_out)


async def remove(service: Service, session_id: str) -> None:
    """Remove a stopped session that is being deleted: its rows, its supervisor, its files."""

    def job(db: apsw.Connection) -> None:
        service.visibility.note_deleted(session_id, *table.delete(db, session_id, now_ms()))

    await service.store.write(job)
    await service.webhooks.refresh()
    service.fleet.forget(session_id)
    service.activity.pop(session_id, None)
    service.names.pop(session_id, None)
    service.log.forget(session_id)
    service.files.seal(session_id, False)
    await service.fleet.remove_files(session_id)
    service.store.record(lambda db: table.files_removed(db, session_id))


async def _get(service: Service, session_id: str) -> Session:
    service.session(session_id)
    row = await service.store.read(lambda db: table.get(db, session_id))
    return await _record(service, row, await service.disk.of(session_id))


async def _record(service: Service, row: SessionRow, disk: DiskFigures | None = None) -> Session:
    records = await _records(service, [row], disk)
    if not records:
        raise RpcError("SESSION_NOT_FOUND", sessionId=row.id)
    return records[0]


async def _records(
    service: Service, rows: Sequence[SessionRow], disk: DiskFigures | None = None
) -> list[Session]:
    """Return stored sessions as clients see them: what their supervisors know is newer.

    One that is being made or deleted just now has no supervisor, and is left out.
    """
    running = [service.fleet.get(row.id) for row in rows]
    pids = {each.id: each.life.pid for each in running if each and each.life and each.life.pid}
    processes = await service.browsers.of([*pids.values()])
    found = []
    for row in rows:
        session = service.fleet.get(row.id)
        if session is None:
            continue
        if session.told.status == row.status:  # some reasons come and go without a transition
            row = attrs.evolve(row, reason=session.told.reason)
        process = processes.get(pids.get(row.id, 0))
        found.append(session_record(row, restarts(session), process, disk))
    return found


def restarts(session: supervised.Session) -> Restarts:
    """Return the session's restart ledger as clients see it."""
    done = session.restarts_ms()
    settings = session.rules.restart
    now, wall_s = trio.current_time(), time.time()
    allowed = policy.next_allowed(session.told.ledger, settings, now)
    return Restarts(
        count=len(done),
        first_attempt=_time(done[0] if done else None),
        last_attempt=_time(done[-1] if done else None),
        limit=settings.max_restarts,
        window=settings.window,
        cooldown=settings.cooldown,
        next_allowed_at=None
        if allowed <= now or math.isinf(allowed)
        else rfc3339(int((wall_s + allowed - now) * 1000)),
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)

"""daemon.*: the daemon as a whole."""

import time
from collections import Counter
from collections.abc import Iterator

import apsw
import trio

from daemon.config import ConfigError
from daemon.dispatch import Call, Reply
from daemon.reload import TABLES
from daemon.service import Service
from daemon.store import history, messages, sealing
from protocol.errors import ERRORS, RpcError
from protocol.models import (
    SESSION_STATUSES,
    Health,
    HealthBrowser,
    HealthConfig,
    HealthEncryption,
    HealthPage,
    HealthStore,
    MetricsResult,
    NoParams,
    Problem,
    ReloadResult,
    ShutdownResult,
    WhoamiResult,
)
from protocol.times import rfc3339
from supervisors import machine
from supervisors.whatsapp import library
from supervisors.whatsapp.pages import PageNotStored

# Reasons that no request fails with: what they mean, and what to do.
_BARRED = {
    "BANNED": ("WhatsApp has banned the account", "See on the phone for how long, and appeal there."),
    "TOS_BLOCK": ("WhatsApp has blocked the account over its terms", "See on the phone what it asks for."),
    "DEPRECATED_VERSION": (
        "WhatsApp refuses this version of its page",
        "session.restart; if that does not help, update the browser and wasup.",
    ),
    "PROXYBLOCK": ("WhatsApp refuses this network or proxy", "Let the session reach WhatsApp by another."),
    "CONFLICT": ("The login is used elsewhere", "Close it there; or session.start takes it back."),
    machine.WAITING_FOR_MEMORY: (
        "A browser waits for memory",
        "Have less memory taken, or add some: it starts by itself then.",
    ),
}

# Reasons that somebody must do something about, whatever the status.
_TROUBLES = (machine.LOGGED_OUT, machine.PHONE_NUMBER_IN_USE)

LOW_BYTES = 512 * 2**20
"""Less room than this is told as a problem: a browser's profile grows to as much."""


async def health(service: Service, call: Call, _params: NoParams) -> Health:
    statuses = Counter(session.told.status for session in service.seen_by(call.peer))
    size, free = await trio.to_thread.run_sync(service.store.sizes)
    found = [*_problems(service, free), *await _page_problems(service)]
    problems = tuple(p for p in found if service.visibility.sees(call.peer, p.session_id))
    return Health(
        status="degraded" if problems else "ok",
        version=service.version,
        uptime=round(time.monotonic() - service.started_at, 3),
        config=HealthConfig(
            max_sessions=service.config.sessions.max, event_retain_days=service.config.events.retain_days
        ),
        sessions={status: statuses[status] for status in SESSION_STATUSES},
        store=await _store(service, size=size, free=free),
        browser=HealthBrowser(
            path=str(service.fleet.browser.path) if service.fleet.browser else None,
            version=service.fleet.browser.version if service.fleet.browser else None,
            sandbox=bool(service.fleet.sandboxed),
        ),
        page=HealthPage(
            library=library.NAME,
            version=service.fleet.library_version,
            kept_at=service.fleet.pages.pinned,
        ),
        last_backup=_time(service.backups.last_ms),
        encryption=await _encryption(service),
        problems=problems,
    )


async def _store(service: Service, *, size: int, free: int) -> HealthStore:
    def figures(db: apsw.Connection) -> tuple[int, int, int | None]:
        events: int = db.execute("SELECT count(*) FROM events").get
        return messages.count(db), events, history.oldest_message(db)

    stored, logged, oldest = await service.store.read(figures)
    return HealthStore(
        path=str(service.store.path),
        bytes=size,
        messages=stored,
        events=logged,
        oldest=service.store.log.oldest,
        oldest_message=_time(oldest),
        free_bytes=free,
        checking=service.store.checking,
    )


async def _encryption(service: Service) -> HealthEncryption:
    first = service.seals.first

    def found(db: apsw.Connection) -> tuple[int, bool]:
        rows = sealing.pending(db, first.id if first else None)
        return sum(rows.values()), sealing.clear_text_left(db)

    rows, clear_text_left = await service.store.read(found)
    used = service.resealing.keys_in_use
    return HealthEncryption(
        keys=tuple(key.id.hex() for key in service.seals.keys),
        keys_in_use=used,
        pending=rows + service.resealing.files_left,
        clear_text_left=clear_text_left,
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _store_problems(service: Service, free: int) -> Iterator[Problem]:
    if service.store.checking:
        yield Problem(
            code="STORE_CHECKING",
            message="The store is checked after an end that was not orderly; what is written waits for that",
        )
    if service.store.trouble is not None:
        yield Problem(code="STORE_FULL", message=service.store.trouble, action=ERRORS["STORE_FULL"].action)
    elif free < LOW_BYTES:
        yield Problem(
            code="DISK_LOW",
            message=f"{free // 2**20} MiB are left on the disk of {service.store.path.parent}",
            action="Free space, or move the state directory to a larger disk.",
        )
    if service.backups.failure is not None:
        yield Problem(
            code="BACKUP_FAILED",
            message=service.backups.failure,
            action="Free space, or make backups/ of the state directory writable; then daemon.backup.",
        )


def _problems(service: Service, free: int) -> list[Problem]:
    found = list(_store_problems(service, free))
    if service.fleet.sandboxed is False:
        found.append(
            Problem(
                code="SANDBOX_OFF",
                message="Chrome runs without its sandbox",
                action='Run the daemon as an ordinary user, with [browser] sandbox = "auto".',
            )
        )
    found += _webhook_problems(service)
    for session in service.fleet:
        if session.lacking:
            found.append(
                Problem(
                    code="FEATURES_UNAVAILABLE",
                    message=f"This version of WhatsApp Web cannot do: {', '.join(session.lacking)}",
                    action="Update wasup: a newer page library may know this version.",
                    session_id=session.id,
                )
            )
        state = session.told
        spec = ERRORS.get("AUTH_EXPIRED" if state.reason == machine.LOGGED_OUT else state.reason or "")
        if (state.status == "disconnected" or state.reason in _TROUBLES) and spec is not None:
            message = state.detail or spec.message
            problem = Problem(
                code=spec.code, message=message, action=state.action or spec.action, session_id=session.id
            )
            found.append(problem)
        elif (said := _BARRED.get(state.reason or "")) is not None:
            message, action = said
            if state.reason == "DEPRECATED_VERSION" and service.fleet.pages.pinned is not None:
                message = f"{message}, which is kept at {service.fleet.pages.pinned}"
                action = "page.update with this session; or page.use latest, then session.restart."
            code = state.reason or ""
            found.append(Problem(code=code, message=message, action=action, session_id=session.id))
    return found


async def _page_problems(service: Service) -> list[Problem]:
    try:
        await service.fleet.pages.check()
    except PageNotStored as error:
        return [
            Problem(
                code="PAGE_NOT_STORED",
                message=f"The page that sessions are to have: {error}",
                action=ERRORS["PAGE_NOT_STORED"].action,
            )
        ]
    return []


def _webhook_problems(service: Service) -> Iterator[Problem]:
    for hook, state in service.webhooks:
        lane = next((lane for lane in state.lanes if lane.failing_since is not None), None)
        if state.disabled is not None:
            yield Problem(
                code="WEBHOOK_DISABLED",
                message=f"The webhook {hook.id} gets no events: {state.disabled}",
                action="Correct its URL, or enable it again with webhook.replay.",
                session_id=hook.session_id,
            )
        elif lane is not None:
            yield Problem(
                code="WEBHOOK_FAILING",
                message=f"The webhook {hook.id} has not taken its events since "
                f"{rfc3339(lane.failing_since or 0)}",
                action="webhook.list tells what it answers; webhook.replay tries again at once.",
                session_id=lane.session,
            )


async def metrics(service: Service, call: Call, _params: NoParams) -> MetricsResult:
    from daemon.metrics import text  # an exposition library that most daemons never need

    return MetricsResult(text=await text(service, call.peer))


def whoami(_service: Service, call: Call, _params: NoParams) -> WhoamiResult:
    return WhoamiResult(uid=call.peer.uid, gid=call.peer.gid, role=call.peer.role or "none")


async def reload_config(service: Service, _call: Call, _params: NoParams) -> ReloadResult:
    """Take what can be taken without a restart from the file again."""
    try:
        outcome = await service.see_through(service.reload)
    except ConfigError as error:
        raise RpcError(
            "INVALID_PARAMS", str(error), action="Correct the file; the old values stay."
        ) from None
    file = outcome.config.file
    return ReloadResult(
        file=None if file is None else str(file),
        reloaded=TABLES,
        applied=outcome.applied,
        needs_restart=outcome.needs_restart,
    )


def shutdown(service: Service, _call: Call, _params: NoParams) -> Reply:
    async def stop() -> None:  # once the answer is on its way
        service.stopping.set()

    return Reply(ShutdownResult(), stop)

"""`[startup] mode = "fresh"`: every session begins without a login when the daemon starts."""

import structlog

from daemon import backup
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import StoreError, sessions
from protocol.errors import RpcError

_log = structlog.get_logger(__name__)


async def start_fresh(service: Service) -> None:
    """Wipe the profile of every session, after a backup of those with a login; none has a browser yet.

    Where the backup cannot be written the login stays; messages always do.
    """
    rows, _ = await service.store.read(sessions.list_)
    _log.info("fresh_start_began", sessions=len(rows))
    for row in rows:
        path = None
        try:
            if row.linked_at is not None:
                path = await backup.back_up_session(service, row.id)
            await service.fleet.wipe_profile(row.id)
            await service.store.write(lambda db, row=row: sessions.forget_login(db, row.id, now_ms()))  # type: ignore[misc]
        except (RpcError, StoreError, OSError) as error:
            _log.error("login_not_wiped", session_id=row.id, error=str(error))
            continue
        _log.info("login_wiped", session_id=row.id, backup=None if path is None else str(path))
    _log.info("fresh_start_ended")

"""What is not to be kept goes, every hour: old events, what sessions without history said, files of no use.

Sessions, logins and everything else that was said are kept for ever.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio

from daemon.config import Config
from daemon.files import MediaFiles
from daemon.journal import now_ms
from daemon.store import Store, StoreError, messages, outbox, sessions
from daemon.store.events import expire
from protocol.errors import RpcError

EVERY_S: Final = 3600.0
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

_log = structlog.get_logger(__name__)


async def keep_expiring(config: Callable[[], Config], store: Store, files: MediaFiles) -> None:
    """Drop what is not to be kept; never returns. What a full disk puts off comes an hour later."""
    while True:
        now, retain_days = now_ms(), config().events.retain_days
        try:
            if retain_days:
                before_ms = now - retain_days * _DAY_MS
                while await store.write(partial(expire, before_ms=before_ms)):
                    pass
            while await store.write(partial(messages.forget, before_ms=now - _DAY_MS)):
                pass
            await drop_files(store, files, now)
        except (RpcError, StoreError, OSError) as error:
            _log.warning("expiry_put_off", error=str(error))
        await trio.sleep(EVERY_S)


async def drop_files(store: Store, files: MediaFiles, at_ms: int) -> None:
    """Remove files that a crash has left, and those of messages that were forgotten.

    A file of the last hour may be that of a message which is just being accepted. Raises OSError, StoreError.
    """
    hour_ago_s, day_ago_s = (at_ms - _HOUR_MS) / 1000, (at_ms - _DAY_MS) / 1000
    histories = await store.read(sessions.histories)
    if not histories:
        return

    def look() -> dict[str, set[str]]:
        """All in one turn of a thread: for most sessions there is nothing."""
        found = {}
        for session_id, kept in histories.items():
            trio.from_thread.check_cancelled()
            found[session_id] = files.waiting(session_id, hour_ago_s)
            files.forget_downloads(session_id, hour_ago_s if kept else day_ago_s, halves=kept)
        return found

    for session_id, ids in (await trio.to_thread.run_sync(look)).items():
        if ids:
            needed = await store.read(partial(outbox.unsent, session_id=session_id, ids=ids))
            for message_id in ids - needed:
                files.drop(session_id, message_id)

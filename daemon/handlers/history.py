"""daemon.backup, daemon.forceCleanup and message.import: what keeps history, and what wipes it."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
import trio

from daemon import backup as archives
from daemon.dispatch import Call
from daemon.handlers.sessions import remove
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import StoreError, history, messages
from protocol.errors import RpcError
from protocol.models import (
    BackupResult,
    ForceCleanupParams,
    ForceCleanupResult,
    MessageImportParams,
    MessageImportResult,
    NoParams,
)
from supervisors import machine
from supervisors.session import Session

_log = structlog.get_logger(__name__)

# How long an answer waits for what it says to be on record.
RECORD_S = 5.0


async def backup(service: Service, _call: Call, _params: NoParams) -> BackupResult:
    async def carry_out() -> BackupResult:
        try:
            path, size = await service.backups.make()
        except StoreError as error:
            raise _not_made(error) from None
        return BackupResult(path=str(path), bytes=size)

    return await service.see_through(carry_out)


async def force_cleanup(service: Service, _call: Call, _params: ForceCleanupParams) -> ForceCleanupResult:
    return await service.see_through(partial(_wipe, service))


async def _wipe(service: Service) -> ForceCleanupResult:
    """Copy the store, stop every session, archive each with its login; only then wipe them.

    A failure before that leaves them all, and starts again those that are to run. A session that is created
    meanwhile is not touched.
    """
    async with service.backups.lock:
        try:
            copy, _size = await service.backups.make_locked("before-cleanup")
        except StoreError as error:
            raise _not_made(error) from None
        doomed = [session for session in service.fleet if session.id not in service.deleting]
        ids = {session.id for session in doomed}
        service.deleting |= ids
        try:
            made = await _stop_and_archive(service, doomed)
            count = await service.store.read(messages.count)
            for session in doomed:
                await remove(service, session.id)
            count -= await service.store.read(messages.count)
        finally:
            service.deleting -= ids
    _log.warning("everything_wiped", sessions=len(doomed), messages=count, backup=str(copy))
    return ForceCleanupResult(
        backup=str(copy),
        sessions=tuple(session.id for session in doomed),
        backups=tuple(map(str, made)),
        messages=max(0, count),
    )


async def _stop_and_archive(service: Service, sessions: Sequence[Session]) -> list[Path]:
    """Archive every session; all of them, or none: then they are as they were."""
    wanted = [session for session in sessions if session.state.desired == "running"]
    made: list[Path] = []
    done = False
    try:
        for session in sessions:
            session.give(machine.Stop())
        for session in sessions:
            await session.stopped()
        for session in sessions:
            made.append(await archives.back_up_session(service, session.id))  # noqa: PERF401 - those made are undone
        done = True
    finally:
        if not done:
            for path in made:
                path.unlink(missing_ok=True)
            for session in wanted:
                with suppress(RpcError):  # started by somebody else meanwhile
                    session.give(machine.Start())
            with trio.move_on_after(RECORD_S, shield=True):  # a full disk does not record it
                for session in wanted:
                    await session.recorded()
    return made


def _not_made(error: StoreError) -> RpcError:
    return RpcError("INTERNAL_ERROR", str(error), action="Make backups/ of the state directory writable.")


async def import_(service: Service, _call: Call, params: MessageImportParams) -> MessageImportResult:
    service.session(params.session_id)
    given = [*params.messages]
    if params.sealed:
        given += await trio.to_thread.run_sync(archives.unseal_messages, service.seals, params.sealed)
    imported = await service.store.write(lambda db: history.take_in(db, params.session_id, given, now_ms()))
    _log.info("messages_imported", session_id=params.session_id, imported=imported, given=len(given))
    return MessageImportResult(imported=imported, duplicates=len(given) - imported)

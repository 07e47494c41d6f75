"""The daemon: its parts, started in order and stopped in reverse, under one root nursery."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import structlog
import trio

from daemon import __version__, keyfile, listener, logs
from daemon import config as configuration
from daemon.backups import Backups
from daemon.config import Config
from daemon.expiry import keep_expiring
from daemon.figures import Disk
from daemon.files import MediaFiles
from daemon.fresh import start_fresh
from daemon.handlers import handlers
from daemon.heartbeat import answers
from daemon.journal import now_ms
from daemon.outgoing import Limits
from daemon.reload import Outcome, merge
from daemon.resealing import Resealing
from daemon.seals import Seals
from daemon.server import Server
from daemon.service import Service, journal_of
from daemon.session_log import SessionLog
from daemon.store import Pending, Store, StoreError, open_store, sessions
from daemon.store.events import append_event
from daemon.systemd import Notifier
from daemon.tallies import Tallies
from daemon.webhooks.hooks import Webhooks
from protocol.errors import RpcError
from protocol.models import SESSION_STATUSES, EventType
from supervisors import machine
from supervisors.chrome.cgroups import take_delegation
from supervisors.chrome.errors import BrowserUnavailable
from supervisors.fleet import Fleet
from supervisors.whatsapp.pages import Pages

_log = structlog.get_logger(__name__)

# How long sessions may take to close: the browsers' own politeness, and then some.
STOP_SESSIONS_S = 20.0
STOP_CLIENTS_S = 2.0
# How long clients wait for the first records, which a full disk does not take.
RESTORE_S = 5.0
_HOUR_S = 3600.0


async def run(config: Config, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until SIGTERM, SIGINT or daemon.shutdown; `started` when clients are answered.

    Raises:
        ListenError: the socket cannot be bound. StoreError: the store is refused; `KeyMissing`, for want of
            a key. ConfigError: the key file is refused.
    """
    _log.info("daemon_starting", version=__version__, pid=os.getpid(), state_dir=str(config.state_dir))
    _log.info("sessions_permanent", timeout_minutes=0, cleanup_interval_minutes=0, never_expire=True)
    seals = Seals(keyfile.load(config.encryption.key_file, os.environ))
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    sock = listener.take_over(os.environ) or listener.bind(config.rpc.socket)
    try:
        async with _bare_errors(), open_store(config.state_dir / "wasup.db", seals=seals) as store:
            await _serve(config, store, seals, sock, Notifier(os.environ), task_status)
    finally:
        sock.close()
    _log.info("daemon_stopped")


async def _serve(
    config: Config,
    store: Store,
    seals: Seals,
    sock: listener.Listener,
    notifier: Notifier,
    task_status: trio.TaskStatus[None],
) -> None:
    activity: dict[str, int] = {}
    names: dict[str, str] = {}
    log = SessionLog(names)
    logs.session_names.set(names)  # before any task begins: each has a context of its own
    logs.session_log.set(log)
    sessions_dir = config.state_dir / "sessions"
    files = MediaFiles(sessions_dir, seals)
    resealing = Resealing(store, seals, files)
    backups = Backups(store, config.state_dir / "backups")
    await backups.load()
    tallies = Tallies()
    fleet = Fleet(
        config.supervisor,
        sessions_dir,
        Pages(config.state_dir / "pages"),
        journal_of(store, files, activity, lambda: service.config.messages.retry_limit, tallies),
        take_delegation(),
    )
    webhooks = Webhooks(store, config.webhooks, version=__version__)
    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run)
        await nursery.start(webhooks.run)
        service = Service(
            version=__version__,
            config=config,
            store=store,
            fleet=fleet,
            files=files,
            backups=backups,
            nursery=nursery,
            activity=activity,
            reload=lambda: _reload(service, server),
            seals=seals,
            resealing=resealing,
            webhooks=webhooks,
            tallies=tallies,
            connections=lambda: server.connections,
            names=names,
            log=log,
            disk=Disk(sessions_dir),
        )
        server = Server(
            handlers(service),
            access=config.access,
            limits=Limits(
                max_message_bytes=config.rpc.max_message_bytes,
                max_connections=config.rpc.max_connections,
                max_in_flight=config.rpc.max_in_flight,
            ),
            tallies=tallies,
        )
        await nursery.start(_take_signals, service, notifier)
        _log.info("startup_cleanup_began", sessions_dir=str(config.state_dir / "sessions"))
        _log.info("startup_cleanup_ended", orphans_killed=await fleet.end_orphans())
        await _end_deletions(service)
        await fleet.empty_trash()
        _log_event(store, "daemon.started")
        resealing.begin()
        if config.startup.mode == "fresh":
            await start_fresh(service)
        await _restore(service)
        nursery.start_soon(_look_for_browser, fleet)
        nursery.start_soon(keep_expiring, lambda: service.config, store, files)
        nursery.start_soon(resealing.run)
        nursery.start_soon(_back_up, service)
        if config.metrics.listen:
            await nursery.start(_serve_metrics, config.metrics.listen, service, server)
        await nursery.start(server.serve, sock)
        _log.info("daemon_ready", socket=str(sock.path), sessions=len(fleet))
        await notifier.ready()
        nursery.start_soon(notifier.keep_status, lambda: _status(fleet))
        nursery.start_soon(notifier.feed_watchdog, partial(answers, service, server, sock))
        task_status.started()
        await service.stopping.wait()

        _log.info("daemon_stopping")
        await notifier.tell("STOPPING=1")
        server.refuse()
        with trio.move_on_after(STOP_CLIENTS_S):  # the disk may be full
            await _log_event(store, "daemon.stopping").wait()
        with trio.move_on_after(STOP_SESSIONS_S) as late:
            await fleet.shut_down()
        if late.cancelled_caught:
            _log.warning("sessions_not_stopped_in_time", seconds=STOP_SESSIONS_S)
        await server.stop(STOP_CLIENTS_S)
        nursery.cancel_scope.cancel()


async def _end_deletions(service: Service) -> None:
    """Remove the files of sessions whose deletion a crash has cut short: there are logins among them."""
    for session_id in await service.store.read(sessions.with_files):
        try:
            await service.fleet.remove_files(session_id)
        except OSError as error:
            _log.error("session_not_removed", session_id=session_id, error=str(error))
        else:
            service.store.record(partial(sessions.files_removed, session_id=session_id))


async def _restore(service: Service) -> None:
    """Supervise every stored session, and start those that are wanted; none needs its QR again."""
    for session_id, upto, settings in await service.store.read(sessions.deleted):
        service.visibility.note_deleted(session_id, upto, settings)
    rows, _ = await service.store.read(sessions.list_)
    for row in rows:
        session = await service.supervise(row)
        session.give(machine.Restore())
    with trio.move_on_after(RESTORE_S):  # or clients would be told how it was when the daemon died
        for session in service.fleet:
            await session.recorded()


async def _take_signals(
    service: Service, notifier: Notifier, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            _log.info("signal_received", signal=signal.Signals(number).name)
            if number == signal.SIGHUP:
                service.nursery.start_soon(_reload_as_asked, service, notifier)  # which may wait for the disk
            else:
                service.stopping.set()


async def _reload_as_asked(service: Service, notifier: Notifier) -> None:
    async with notifier.reloading():
        try:
            await service.reload()
        except configuration.ConfigError:
            pass  # said in the log
        except (RpcError, StoreError) as error:
            _log.warning("webhooks_not_reloaded", error=str(error))


async def _reload(service: Service, server: Server) -> Outcome:
    """Take what can be taken without a restart from the file again, the keys of `[encryption]` too; see
    `daemon.reload`.

    Raises:
        ConfigError: the file, or the key file, is refused; the old values stay.
        StoreFull, StoreError: new keys cannot be put on record, and nothing has been taken; or the webhooks
            stay as they were, and the rest has been taken.
    """
    try:
        fresh = configuration.load(service.config.file, os.environ)
        keys = await trio.to_thread.run_sync(keyfile.load, fresh.encryption.key_file, os.environ)
        await service.resealing.replace_keys(keys)
    except (configuration.ConfigError, RpcError) as error:
        _log.warning("config_refused", error=str(error))
        raise
    outcome = merge(service.config, fresh)
    rows, _ = await service.store.read(sessions.list_)
    service.take(outcome.config, {row.id: row.settings for row in rows})
    server.set_access(fresh.access)
    logs.configure(fresh.log.level, fresh.log.format)
    await service.webhooks.configure(fresh.webhooks)
    _log.info(
        "config_reloaded",
        file=str(fresh.file),
        applied=outcome.applied,
        needs_restart=outcome.needs_restart,
    )
    return outcome


async def _back_up(service: Service) -> None:
    """Make copies of the store as `[backup]` says, and as it says by then where it changes."""
    while True:
        settings = service.config.backup
        async with trio.open_nursery() as nursery:
            if settings.interval_hours:
                interval_s = settings.interval_hours * _HOUR_S
                nursery.start_soon(service.backups.keep_making, interval_s, settings.keep)
            while service.config.backup == settings:
                await service.changed.wait()
            nursery.cancel_scope.cancel()


async def _serve_metrics(
    listen: str,
    service: Service,
    server: Server,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    from daemon import exposition, metrics  # a library that most daemons never need

    listener = await exposition.bind_metrics(listen)
    _log.info("metrics_served", listen=listen)
    exposed = exposition.Exposition(partial(metrics.text, service), metrics.CONTENT_TYPE, server.peer)
    await exposed.serve(listener, task_status=task_status)


async def _look_for_browser(fleet: Fleet) -> None:
    """Say at the start, not at the first session, that there is no browser."""
    try:
        await fleet.find_workplace()
    except BrowserUnavailable as error:
        _log.warning("browser_unavailable", reason=error.reason, action=error.action)


def _status(fleet: Fleet) -> str:
    """Say in a line how many sessions are in which state."""
    statuses = Counter(session.told.status for session in fleet)
    parts = [f"{statuses[status]} {status}" for status in SESSION_STATUSES if statuses[status]]
    return f"Sessions: {', '.join(parts) or 'none'}"


def _log_event(store: Store, kind: EventType) -> Pending[int]:
    return store.record(lambda db: append_event(db, type=kind, session_id=None, at_ms=now_ms(), data={}))


@contextlib.asynccontextmanager
async def _bare_errors() -> AsyncIterator[None]:
    """Let a lone error out of the nurseries' groups: its message is for a person."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if error is group:
            raise
        raise error from None

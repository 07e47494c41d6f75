"""What handlers work with: the daemon's parts, held together."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import attrs
import outcome
import trio

from daemon.access import Peer
from daemon.backups import Backups
from daemon.config import Config
from daemon.figures import Browsers, Disk
from daemon.files import MediaFiles
from daemon.journal import StoreJournal, now_ms
from daemon.reload import Outcome
from daemon.resealing import Resealing
from daemon.seals import Seals
from daemon.session_log import SessionLog
from daemon.store import SessionRow, Store
from daemon.tallies import Tallies
from daemon.visibility import Visibility
from daemon.webhooks.hooks import Webhooks
from protocol.errors import RpcError
from protocol.models import SessionSettings, StoredSettings
from protocol.proxy import parse_proxy
from protocol.times import parse
from supervisors import machine, policy
from supervisors.fleet import Fleet
from supervisors.journal import ConnectionFacts
from supervisors.policy import ReconnectSettings
from supervisors.session import Preferences, Session

T = TypeVar("T")

DEVICE_NAME = "wasup"


@attrs.define(eq=False)
class Service:
    """The daemon, for its handlers. `nursery` outlives every connection; times are monotonic seconds.

    `names` is what sessions are called, for the log.
    """

    version: str
    config: Config
    store: Store
    fleet: Fleet
    files: MediaFiles
    backups: Backups
    nursery: trio.Nursery
    activity: dict[str, int]
    reload: Callable[[], Awaitable[Outcome]]
    seals: Seals
    resealing: Resealing
    webhooks: Webhooks
    tallies: Tallies
    connections: Callable[[], int]
    disk: Disk
    log: SessionLog
    browsers: Browsers = attrs.Factory(Browsers)
    started_at: float = attrs.Factory(time.monotonic)
    stopping: trio.Event = attrs.Factory(trio.Event)
    deleting: set[str] = attrs.Factory(set)
    changed: trio.Event = attrs.Factory(trio.Event)  # set, and replaced, when `config` has changed
    names: dict[str, str] = attrs.Factory(dict)
    visibility: Visibility = attrs.Factory(Visibility)

    def session(self, session_id: str) -> Session:
        """Return the session's supervisor. Raises SESSION_NOT_FOUND."""
        session = self.fleet.get(session_id)
        if session is None or session_id in self.deleting:
            raise RpcError("SESSION_NOT_FOUND", sessionId=session_id)
        return session

    def seen_by(self, peer: Peer | None) -> list[Session]:
        """Return the sessions that a caller may know of; None: somebody of whom nothing is known."""
        return [session for session in self.fleet if self.visibility.sees(peer, session.id)]

    async def supervise(self, row: SessionRow) -> Session:
        """Put a stored session under supervision."""
        self.names[row.id] = row.name
        self.visibility.note(row.id, row.settings.visible)
        if row.last_activity is not None:
            self.activity[row.id] = row.last_activity
        self.files.seal(row.id, row.settings.visible.enable_encryption)
        return await self.fleet.add(
            row.id,
            self.rules(row.settings.visible),
            state=machine.State(
                status=row.status,
                reason=row.reason,
                desired=row.desired,
                ledger=policy.restored(row.restarts, now_ms(), trio.current_time()),
            ),
            facts=_facts(row),
            preferences=self.preferences(row.settings),
        )

    def rules(self, settings: SessionSettings) -> machine.Rules:
        """Return what the session's life is decided by."""
        return machine.Rules(
            restart=self.config.supervisor.restart,
            connect_timeout=self.config.supervisor.liveness.connect_timeout,
            conflict=self.config.supervisor.whatsapp.conflict,
            reconnect=ReconnectSettings(
                enabled=settings.auto_reconnect,
                interval=settings.reconnect_interval / 1000,
                max_attempts=settings.max_reconnect_attempts,
            ),
        )

    def preferences(self, settings: StoredSettings) -> Preferences:
        """Return what the session's settings ask of its lives."""
        return Preferences(
            device_name=settings.visible.device_name or DEVICE_NAME,
            mark_read=settings.visible.mark_read,
            auto_download_media=settings.visible.auto_download_media,
            proxy=None if settings.proxy is None else parse_proxy(settings.proxy),
            most_media_bytes=self.config.messages.max_media_bytes,
        )

    def take(self, config: Config, settings: Mapping[str, StoredSettings]) -> None:
        """Go on with another configuration; `settings` are those of the sessions, by id."""
        self.config = config
        self.fleet.reconfigure(config.supervisor)
        for session in self.fleet:
            if session.id in settings:
                session.rules = self.rules(settings[session.id].visible)
                session.preferences = self.preferences(settings[session.id])
        self.changed.set()
        self.changed = trio.Event()

    async def see_through(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what must not end half-way when its client leaves; cancelling ends only the wait for it."""
        done = trio.Event()
        result: list[outcome.Outcome[Any]] = []

        async def carry_out() -> None:
            captured = await outcome.acapture(work)
            if isinstance(captured, outcome.Error) and not isinstance(captured.error, Exception):
                captured.unwrap()  # cancelled with the daemon
            result.append(captured)
            done.set()

        self.nursery.start_soon(carry_out)
        await done.wait()
        value: T = result[0].unwrap()
        return value


def journal_of(
    store: Store,
    files: MediaFiles,
    activity: dict[str, int],
    retry_limit: Callable[[], int],
    tallies: Tallies,
) -> Callable[[str], StoreJournal]:
    """Return what gives each session its journal."""
    return lambda session_id: StoreJournal(store, files, session_id, activity, retry_limit, tallies)


def _facts(row: SessionRow) -> ConnectionFacts:
    info = row.connection_info
    return ConnectionFacts(
        phone_number=row.phone_number,
        wid=info.wid if info else None,
        platform=info.platform if info else None,
        device_model=info.device_model if info else None,
        client_version=info.client_version if info else None,
        connected_at_ms=parse(info.connected_at) if info else None,
        linked_at_ms=row.linked_at,
    )

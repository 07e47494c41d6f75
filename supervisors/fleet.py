"""All supervisors: one task each, none of which can take another down."""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import attrs
import structlog
import trio

from supervisors import machine, memory
from supervisors.chrome import launch, sandbox
from supervisors.chrome.cgroups import Delegation
from supervisors.chrome.errors import BrowserUnavailable, ProfileInUse
from supervisors.chrome.locate import Browser, locate
from supervisors.chrome.profile import find_owned_profiles, lock_profile
from supervisors.incarnation import Incarnation, Workplace
from supervisors.journal import ConnectionFacts, Journal
from supervisors.launches import Launches
from supervisors.login import PROFILE_CORRUPT, Login
from supervisors.machine import Phase, State
from supervisors.memory_watch import MemoryWatch
from supervisors.session import Preferences, Session
from supervisors.settings import SESSION_PLACE, SupervisorSettings
from supervisors.trash import Trash
from supervisors.whatsapp import library
from supervisors.whatsapp.pages import Pages

_log = structlog.get_logger(__name__)

# How often it is looked which logins are due for a copy.
COPIES_EVERY_S = 60.0


class Fleet:
    """The sessions of the daemon.

    `sessions_dir` holds a directory a session, `pages` the versions of the page that are kept; `journal_of`
    gives a session its record; in `cgroups`, where there are any, each browser gets a control group.
    """

    def __init__(
        self,
        settings: SupervisorSettings,
        sessions_dir: Path,
        pages: Pages,
        journal_of: Callable[[str], Journal],
        cgroups: Delegation | None = None,
    ) -> None:
        self.settings = settings
        self.pages = pages
        self._sessions_dir = sessions_dir
        self._journal_of = journal_of
        self._cgroups = cgroups
        self._sessions: dict[str, Session] = {}
        self._nursery: trio.Nursery | None = None
        self._workplace: Workplace | None = None
        self._finding = trio.Lock()
        self._trash = Trash(sessions_dir / ".removed")
        self._sizes = memory.Sizes()
        self._launches = Launches(settings.browser.launch_concurrency or os.cpu_count() or 1, self._has_room)
        self._watch = MemoryWatch(settings, self._sizes)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: str) -> Session | None:
        """Return the session's supervisor, None where there is no such session."""
        return self._sessions.get(session_id)

    @property
    def browser(self) -> Browser | None:
        """The browser that sessions run; None: it runs elsewhere, or was not looked for yet."""
        return None if self._workplace is None else self._workplace.browser

    @property
    def sandboxed(self) -> bool | None:
        """Whether Chrome's sandbox is on; None: it runs elsewhere, or was not looked for yet."""
        return None if self._workplace is None else self._workplace.sandbox

    @property
    def library_version(self) -> str | None:
        """The version of the page library, None before it was first looked for."""
        return None if self._workplace is None else self._workplace.library.version

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the supervisors. Cancelling ends every browser, with deadlines, before it returns."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            self._nursery.start_soon(self._launches.keep_looking)
            self._nursery.start_soon(self._watch.run, self)
            await self._copy_logins()

    def _has_room(self, launching: int) -> bool:
        """Tell whether one more browser fits into the memory, beside those that are being launched."""
        browser = self.settings.browser
        needed = self._sizes.expected_bytes * (launching + 1) + browser.memory_reserve
        return bool(browser.endpoint) or memory.available_bytes() >= needed

    async def _copy_logins(self) -> None:
        """Copy the logins of connected sessions whenever they are due, one at a time; never returns."""
        while True:
            for session in list(self):
                if session.state.status == "connected" and session.login.is_due():
                    await session.login.copy()
            await trio.sleep(min(COPIES_EVERY_S, self.settings.profile.snapshot_interval))

    async def add(
        self,
        session_id: str,
        rules: machine.Rules,
        *,
        state: State | None = None,
        facts: ConnectionFacts | None = None,
        preferences: Preferences,
    ) -> Session:
        """Begin to supervise a session; its id must be new. It does nothing until it is given a command."""
        if self._nursery is None:
            raise RuntimeError("the fleet does not run")
        journal = self._journal_of(session_id)
        session = Session(
            session_id,
            journal=journal,
            login=Login(
                session_id,
                self._sessions_dir / session_id,
                self.settings.profile,
                partial(journal.alerted, "profile"),
                lambda said: session.give(machine.Noticed(PROFILE_CORRUPT, said)),
            ),
            begin=lambda session: Incarnation(session, self.find_workplace, self._launches.join()),
            rules=rules,
            state=state,
            facts=facts,
            preferences=preferences,
            fleet=self,
        )
        self._sessions[session_id] = session
        await self._nursery.start(self._keep, session)
        return session

    def forget(self, session_id: str) -> None:
        """Supervise a stopped session no more."""
        self._sessions.pop(session_id).leave()

    async def remove_files(self, session_id: str) -> None:
        """Remove everything of a stopped session from the disk.

        Raises:
            OSError: it cannot be moved out of the way; what cannot be removed then is left, and said.
        """
        async with self._untouched(session_id):
            await self._trash.throw(self._sessions_dir / session_id)

    async def empty_trash(self) -> None:
        """Remove what an earlier removal had to leave."""
        await self._trash.empty()

    async def wipe_profile(self, session_id: str) -> None:
        """Remove the login of a held session, and all that its browser has stored, from the disk.

        It is out of the way at once; then it is removed. Cancelled, the rest is removed the next time.

        Raises:
            OSError: it cannot be moved out of the way.
        """
        directory = self._sessions_dir / session_id
        async with self._untouched(session_id):
            for name in ("profile", "snapshots", "profile.broken"):
                await self._trash.throw(directory / name)

    def _untouched(self, session_id: str) -> AbstractAsyncContextManager[object]:
        """Keep its login from being copied meanwhile."""
        session = self.get(session_id)
        return contextlib.nullcontext() if session is None else session.login.lock

    async def clean(self, session_id: str) -> None:
        """Remove what a browser of a held session may have left: its processes, locks, temporary files.

        Raises:
            ProfileInUse: another daemon holds the profile, or a browser on it is not provably ours.
        """
        directory = self._sessions_dir / session_id
        if (directory / "profile").exists():
            async with lock_profile(directory / "profile"):
                await trio.to_thread.run_sync(launch.wipe, directory / "tmp")

    async def end_orphans(self) -> list[int]:
        """End the browsers on profiles of ours that no session runs; return the pids of their main processes.

        A profile that another daemon holds is left alone, and so is what is not provably ours.
        """
        ended = []
        for profile, owners in (
            await trio.to_thread.run_sync(find_owned_profiles, self._sessions_dir)
        ).items():
            session = self.get(profile.parent.name)
            if session is not None and session.state.phase is not Phase.HELD:
                continue  # it may be its own; and a launch ends what is in its way by itself
            try:
                async with lock_profile(profile):
                    ended += [owner.process.pid for owner in owners]
            except (ProfileInUse, BrowserUnavailable) as error:
                _log.warning("orphan_left", path=str(profile), error=str(error))
        return ended

    async def shut_down(self) -> None:
        """End every browser, in parallel; return when all are gone. What is wanted stays wanted."""
        while any(session.state.phase is not Phase.DOWN for session in self):  # some may be new, or gone
            for session in list(self):
                session.give(machine.Shutdown())
            for session in list(self):
                await session.ended()

    def reconfigure(self, settings: SupervisorSettings) -> None:
        """Go on with other settings: lives that are under way take their liveness, new ones all of them."""
        self.settings = settings
        if self._workplace is not None:
            self._workplace = attrs.evolve(self._workplace, settings=settings)

    async def find_workplace(self) -> Workplace:
        """Return what a life needs; looks for the browser and the page library the first time.

        Raises:
            BrowserUnavailable: there is no usable one. The next call looks again.
        """
        if self._workplace is not None:  # each probe asks
            return self._workplace
        async with self._finding:
            if self._workplace is None:
                try:
                    source = library.load(self.settings.whatsapp.page_library)
                except library.LibraryMissingError as error:
                    raise BrowserUnavailable(str(error), error.action) from None
                browser = await self._find_browser()
                self._workplace = Workplace(
                    settings=self.settings,
                    browser=browser,
                    sandbox=None
                    if browser is None
                    else sandbox.decide(self.settings.browser.sandbox, browser),
                    library=source,
                    pages=self.pages,
                    sessions_dir=self._sessions_dir,
                    cgroups=self._cgroups,
                )
        return self._workplace

    async def _find_browser(self) -> Browser | None:
        settings = self.settings.browser
        if settings.endpoint:
            _log.info("browser_elsewhere", per_session=SESSION_PLACE in settings.endpoint)
            return None
        browser = await locate(settings.path)
        _log.info("browser_found", path=str(browser.path), version=browser.version)
        if settings.transport == "websocket":
            _log.warning(
                "browser_port_open",
                address="127.0.0.1",
                reason="any user of this machine can take the sessions over",
                action='Set [browser] transport = "pipe".',
            )
        return browser

    async def _keep(
        self, session: Session, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run a session's supervisor; an error of ours ends its browser and counts as a death of it alone."""
        while True:
            try:
                await session.run(task_status=task_status)
            except Exception:  # noqa: BLE001 - the boundary of one session; see the docstring
                _log.exception("session_failed", session_id=session.id)
                task_status = trio.TASK_STATUS_IGNORED
                session.fail()
            else:
                return

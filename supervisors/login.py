"""A session's login on the disk: copied while it works, put back when it is damaged.

It is damaged when its databases are visibly broken before a start, or when the page shows a code though a
phone is linked and nobody has unlinked it: Chrome deletes a database that it cannot read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import structlog
import trio

from supervisors.chrome import snapshots, usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supervisors.chrome.errors import ExitStatus
    from supervisors.settings import ProfileSettings

_log = structlog.get_logger(__name__)

PROFILE_CORRUPT: Final = "PROFILE_CORRUPT"
SETTLE_S: Final = 5.0
"""How long the copy after a browser's end may take; one that takes longer is made while it runs."""
SOONEST_S: Final = 60.0
"""A new login is copied when it has been connected for so long: at first it is written a lot."""


Verdict = Literal["none", "unlinked", "lost", "gone"]


class Login:
    """The login of one session; `directory` is the session's, `tell` gets a sentence on what befell it.

    `note` gets the same where no browser died of it.
    """

    def __init__(
        self,
        session_id: str,
        directory: Path,
        settings: ProfileSettings,
        tell: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.lock = trio.Lock()  # held by whoever copies, or removes, what is in the directory
        self._session_id = session_id
        self._profile = directory / "profile"
        self._settings = settings
        self._tell = tell
        self._note = note
        self._snapshots = snapshots.Snapshots(directory / "snapshots", settings.snapshots)
        self._link: int | None = None
        self._connected_at: float | None = None
        self._copied_at: float | None = None
        self._documents = 0
        self._databases: dict[Path, int] = {}
        self._showed_code = False
        self._lost = False
        self._copies = False

    # -- what the page shows

    def begin(self, link: int | None) -> None:
        """A life begins; `link` is when the phone was linked (epoch ms), None if none is."""
        self._link = link
        self._connected_at = None
        self._documents = 0
        self._showed_code = False

    def load(self) -> None:
        """The page is loaded anew because we want it."""
        self._documents = 0

    def loaded(self) -> None:
        """A document of the page has come."""
        self._documents += 1

    def prove(self, link: int | None) -> None:
        """The page is connected: the login works."""
        self._link = link
        if self._connected_at is None:
            self._connected_at = trio.current_time()

    def forget(self) -> None:
        """The phone is not linked any more."""
        self._link = self._connected_at = None

    def judge_code(self) -> Verdict:
        """A code is shown, though nobody has said that the phone unlinked the device: tell what that means.

        Damage, and a copy to go back to: "lost". A page that finds itself unlinked when it connects may not
        have said so before anybody listened, but it empties its databases and loads itself again: "unlinked".
        """
        verdict: Verdict = "none"
        if self._link is not None:
            first = self._connected_at is None and (self._documents <= 1 or self._is_replaced())
            verdict = "unlinked" if not first else "lost" if self._copies else "gone"
        self._lost = verdict == "lost"
        self._showed_code = not self._lost
        if verdict == "gone":
            self._tell("The login is gone, and there is no copy of it: the phone must be linked again")
        if not self._lost:
            self.forget()
        return verdict

    def _is_replaced(self) -> bool:
        """Tell whether Chrome has deleted a database of the login since the start, and made a new one."""
        return self._databases != snapshots.databases(self._profile)

    # -- the disk; the profile's lock is held

    async def prepare(self) -> None:
        """Before a browser starts: put a damaged login right, and keep the caches small."""
        async with self.lock:
            await trio.to_thread.run_sync(self._prepare)

    def _prepare(self) -> None:
        self._snapshots.drop_others(self._link)
        visible = not self._lost  # before a browser ran on it
        wrong = None if visible else "the page showed a code"
        if self._link is not None and wrong is None:
            wrong = snapshots.damage(self._profile)
        self._lost = False
        if (
            self._link is not None
            and wrong is not None
            and self._snapshots.restore(self._profile, self._link)
        ):
            _log.warning("login_restored", session_id=self._session_id, reason=wrong)
            said = f"The profile was damaged ({wrong}): the login was put back from a copy"
            trio.from_thread.run_sync(self._tell, said)
            if visible:
                trio.from_thread.run_sync(self._note, said)
        self._copies = self._link is not None and bool(self._snapshots.of(self._link))
        if self._copied_at is None and self._copies:
            self._copied_at = trio.from_thread.run_sync(trio.current_time)
        self._databases = snapshots.databases(self._profile)
        self._profile.mkdir(mode=0o700, exist_ok=True)
        usage.prune(self._profile, self._settings.cache_limit)

    async def settle(self, status: ExitStatus | None) -> None:
        """After a browser's end: copy the login if it worked and was closed properly.

        Bounded by `SETTLE_S`, and not cancellable.
        """
        proven, self._connected_at = self._connected_at is not None, None
        with trio.move_on_after(SETTLE_S, shield=True):
            if proven and status is not None and status.code == 0:
                await self._copy()
            elif self._link is not None and not proven and not self._showed_code and not self._copies:
                async with self.lock:
                    await trio.to_thread.run_sync(self._give_up)

    def _give_up(self) -> None:
        """Begin anew where nothing was ever shown, for a damage that Chrome does not mend, without a copy."""
        wrong = snapshots.damage(self._profile)
        if wrong is not None:
            snapshots.set_aside(self._profile)
            _log.warning("profile_set_aside", session_id=self._session_id, reason=wrong)

    def is_due(self) -> bool:
        """Tell whether the login of a running browser should be copied now."""
        if not self._settings.snapshots or self._link is None or self._connected_at is None:
            return False
        now = trio.current_time()
        interval = self._settings.snapshot_interval
        if now - self._connected_at < min(SOONEST_S, interval):
            return False
        return self._copied_at is None or now - self._copied_at >= interval

    async def copy(self) -> None:
        """Copy the login of a running browser."""
        await self._copy()

    async def _copy(self) -> None:
        link = self._link
        if link is None or not self._settings.snapshots:
            return
        async with self.lock:
            self._copied_at = trio.current_time()
            try:
                path = await trio.to_thread.run_sync(partial(self._snapshots.take, self._profile, link))
            except OSError as error:
                _log.warning("login_not_copied", session_id=self._session_id, error=str(error))
                return
        if path is None:
            _log.warning(
                "login_not_copied", session_id=self._session_id, error="no room on the disk, or no login"
            )
            return
        self._copies = True
        _log.info("login_copied", session_id=self._session_id, path=str(path))

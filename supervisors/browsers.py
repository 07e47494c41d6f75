"""The browser of one session: one that the daemon starts for it, or one that runs elsewhere.

A browser elsewhere belongs to one session for as long as that session's profile directory says so, because
whoever used it next would find its login. A session that is new to it begins with nothing of the site stored.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from supervisors.chrome.errors import BrowserUnavailable
from supervisors.chrome.launch import open_browser
from supervisors.chrome.profile import lock_profile
from supervisors.settings import SESSION_PLACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from protocol.proxy import Proxy
    from supervisors.chrome.cgroups import Delegation
    from supervisors.chrome.launch import Chrome, StartedChrome
    from supervisors.chrome.locate import Browser
    from supervisors.login import Login
    from supervisors.settings import SupervisorSettings

LEAST_FREE_BYTES: Final = 2**20
"""Without as much room on the disk no browser is started: it could not even write its lock."""
TENANCY: Final = "remote-browser"
"""The file in a profile directory that says: this session's login is in the browser elsewhere."""
CLAIMED: Final = "claimed"
SETTLED: Final = "settled"


@contextlib.asynccontextmanager
async def browser_of(
    session_id: str,
    *,
    settings: SupervisorSettings,
    browser: Browser | None,
    sandbox: bool | None,
    sessions_dir: Path,
    login: Login,
    cgroups: Delegation | None = None,
    proxy: Proxy | None = None,
) -> AsyncIterator[Chrome]:
    """Give a session its browser while the block lasts.

    Args:
        session_id: the session; it holds the lock of its profile directory meanwhile.
        settings: of all supervisors.
        browser: what to start; None: nothing, `[browser] endpoint` says where it is.
        sandbox: whether its sandbox is on.
        sessions_dir: the directory of all sessions' directories.
        cgroups: where it gets a control group of its own; None: nowhere.
        login: the session's, which is put right before and copied after.
        proxy: the session's own, for a browser that is started.

    Raises:
        BrowserUnavailable, BrowserUnreachable, BrowserExited, ProfileInUse: see `chrome.launch` and
            `chrome.remote`; BrowserUnavailable also where the browser elsewhere is another session's, or
            there is a proxy, which it cannot be given.
    """
    profile_dir = sessions_dir / session_id / "profile"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lock_profile(profile_dir))
        if browser is None:
            # Imported here: 50 ms that pipes do without.
            from supervisors.chrome.remote import connect_browser

            if proxy is not None:
                raise BrowserUnavailable(
                    "The session has a proxy, and the browser of [browser] endpoint cannot be given one.",
                    "Set the session's `proxy` to null, and start that browser with it.",
                )
            new = _claim(profile_dir, settings.browser.endpoint, sessions_dir)
            parts = urlsplit(settings.whatsapp.url)
            chrome = await stack.enter_async_context(
                connect_browser(
                    settings.browser.endpoint.replace(SESSION_PLACE, session_id),
                    site=f"{parts.scheme}://{parts.netloc}",
                    clear=new,
                    session_id=session_id,
                )
            )
            (profile_dir / TENANCY).write_text(SETTLED)
        else:
            await _prepare(login, profile_dir)
            started: list[StartedChrome] = []
            stack.push_async_callback(
                lambda: login.settle(started[0].process.exit_status if started else None)
            )
            running = await stack.enter_async_context(
                open_browser(
                    browser,
                    profile_dir=profile_dir,
                    temp_dir=sessions_dir / session_id / "tmp",
                    session_id=session_id,
                    sandbox=bool(sandbox),
                    cache_bytes=settings.profile.cache_limit // 2,
                    listening=settings.browser.transport == "websocket",
                    extra_args=settings.browser.extra_args,
                    proxy=proxy,
                    cgroup=None
                    if cgroups is None
                    else cgroups.make(session_id, settings.browser.memory_limit),
                )
            )
            started.append(running)
            chrome = running
        yield chrome


async def _prepare(login: Login, profile_dir: Path) -> None:
    """Put the profile right; raises BrowserUnavailable where the disk does not take a browser's files."""
    try:
        free = shutil.disk_usage(profile_dir).free
        if free >= LEAST_FREE_BYTES:
            await login.prepare()
            return
    except OSError as error:
        raise BrowserUnavailable(
            f"The profile {profile_dir} cannot be used: {error.strerror}.",
            "Check the owner and the permissions of the directory, and the space left.",
        ) from error
    raise BrowserUnavailable(
        f"The disk of {profile_dir} is full: {free // 1024} KiB are left.", "Free space on that disk."
    )


def _claim(profile_dir: Path, endpoint: str, sessions_dir: Path) -> bool:
    """Make a browser elsewhere this session's, and return whether the session is new to it.

    Raises:
        BrowserUnavailable: it is another session's.
    """
    own = profile_dir / TENANCY
    others = [path for path in sessions_dir.glob(f"*/profile/{TENANCY}") if path != own]
    if others and SESSION_PLACE not in endpoint:
        raise BrowserUnavailable(
            f"The browser of [browser] endpoint is that of session {others[0].parts[-3]}.",
            f"Give each session its own, with {SESSION_PLACE} in the place of its id in [browser] "
            "endpoint; or delete that session.",
        )
    if not own.exists():
        own.write_text(CLAIMED)
    return own.read_text() != SETTLED

"""Chrome's own sandbox: on or off, and what to do where it cannot be had.

Reads what the kernel says; the last word is Chrome's, when it starts.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog
from attrs import frozen

from supervisors.chrome.errors import BrowserUnavailable

if TYPE_CHECKING:
    from supervisors.chrome.locate import Browser

log = structlog.get_logger(__name__)

NO_SANDBOX_ACTION: Final = (
    "Allow user namespaces to the daemon's user (sysctl user.max_user_namespaces > 0, "
    "kernel.unprivileged_userns_clone=1 where it exists, an AppArmor profile with `userns` for the browser "
    "where kernel.apparmor_restrict_unprivileged_userns=1, no RestrictNamespaces=yes in the unit, in a "
    "container a seccomp profile that permits it), or set [browser] sandbox = false and accept that a "
    "hostile page could act as the daemon's user."
)
ROOT_ACTION: Final = (
    "Run the daemon as an ordinary user, as its systemd unit does, or set [browser] sandbox to auto or false."
)


@frozen
class Kernel:
    """What the kernel says about user namespaces for ordinary users; None where it has no such switch."""

    max_user_namespaces: int | None
    unprivileged_userns_clone: int | None
    apparmor_restricts: int | None


def read_kernel(sysctl: Path = Path("/proc/sys")) -> Kernel:
    """Read the switches that decide whether an ordinary user may create user namespaces."""
    return Kernel(
        max_user_namespaces=_number(sysctl / "user/max_user_namespaces"),
        unprivileged_userns_clone=_number(sysctl / "kernel/unprivileged_userns_clone"),
        apparmor_restricts=_number(sysctl / "kernel/apparmor_restrict_unprivileged_userns"),
    )


def decide(
    setting: Literal["auto"] | bool, browser: Browser, *, uid: int | None = None, kernel: Kernel | None = None
) -> bool:
    """Return whether to start the browser with its sandbox on.

    Args:
        setting: `[browser] sandbox`. "auto": on, but off as root, with a warning, because Chrome refuses to.
        browser: what will run.
        uid: who will run it; None: this process's effective user.
        kernel: what the kernel allows; None: look.

    Raises:
        BrowserUnavailable: it is wanted but cannot be had.

    A kernel that hides its refusal (a seccomp filter, AppArmor) shows only when Chrome starts:
    `refused_by_chrome` recognises that.
    """
    if setting is False:
        log.warning("browser_sandbox_disabled", reason="configuration")
        return False
    if (os.geteuid() if uid is None else uid) == 0:
        if setting == "auto":
            log.warning("browser_sandbox_disabled", reason="root")
            return False
        raise BrowserUnavailable("Chrome refuses to run as root with its sandbox on.", ROOT_ACTION)
    kernel = read_kernel() if kernel is None else kernel
    if _forbidden(kernel) and not _has_setuid_helper(browser.path.parent / "chrome-sandbox"):
        raise BrowserUnavailable("The kernel lets ordinary users have no user namespaces.", NO_SANDBOX_ACTION)
    if kernel.apparmor_restricts:
        log.info("browser_sandbox_restricted", reason="apparmor_restrict_unprivileged_userns")
    return True


def refused_by_chrome(last_words: str) -> bool:
    """Tell whether the browser ended for want of a sandbox.

    Source: content/browser/zygote_host/zygote_host_impl_linux.cc and sandbox/linux/services/credentials.cc
    (Chromium 156).
    """
    return any(words in last_words for words in REFUSALS)


REFUSALS: Final = (
    "No usable sandbox!",
    "Failed to move to new namespace",
    "Running as root without --no-sandbox is not supported",
    "The SUID sandbox helper binary was found, but is not configured correctly",
)


def _forbidden(kernel: Kernel) -> bool:
    return kernel.max_user_namespaces == 0 or kernel.unprivileged_userns_clone == 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _has_setuid_helper(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == 0 and bool(status.st_mode & stat.S_ISUID)

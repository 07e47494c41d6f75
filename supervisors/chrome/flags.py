"""The browser's command line: what every flag is for.

Pure but for a look at the size of /dev/shm, which the caller may pass in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from supervisors.chrome.identity import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from supervisors.chrome.locate import Browser

SHM_MIN_BYTES: Final = 256 << 20
"""Below it (containers have 64 MiB) pages crash for want of shared memory: Chrome is told to use files."""

QUIET: Final = (
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--no-service-autorun",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-crash-reporter",
    # Without it a full browser starts two crash handlers, each in a session of its own, that outlive it.
    "--disable-crashpad-for-testing",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-field-trial-config",
    "--disable-search-engine-choice-screen",
    "--disable-sync",
    "--metrics-recording-only",
    "--safebrowsing-disable-auto-update",
)
LIVELY: Final = (
    # A session is never looked at, yet its timers and sockets must run as if it were.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-hang-monitor",  # a hung page is recovered by whoever supervises it, not by a dialog
    "--disable-prompt-on-repost",
)
LEAN: Final = (
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--mute-audio",
)
PLAIN: Final = (
    "--password-store=basic",  # no desktop keyring to wait for
    "--lang=en-US",
    f"--accept-lang={LANGUAGES}",
    "--window-size=1280,800",
    "--hide-scrollbars",
)
FEATURES_OFF: Final = (
    # Two hidden pages of the address bar are the largest single cost of a full browser.
    "SpareRendererForSitePerProcess",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "Translate",
    "MediaRouter",
    "OptimizationHints",
    "OptimizationGuideModelDownloading",
    "CertificateTransparencyComponentUpdater",
    "AutofillServerCommunication",
    "DialMediaRouteProvider",
    "InterestFeedContentSuggestions",
    "NetworkTimeServiceQuerying",
)
FEATURES_ON: Final = ("NetworkServiceInProcess2",)

BLOCKED_HOSTS: Final = (
    # Chrome calls its maker for accounts, updates, safe browsing and hints even where the flags above say no.
    # None of these serves WhatsApp (web.whatsapp.com, *.whatsapp.net, *.whatsapp.com, *.fbcdn.net).
    "google.com",
    "*.google.com",
    "*.googleapis.com",
    "*.gstatic.com",
    "*.googleusercontent.com",
    "*.gvt1.com",
    "*.gvt2.com",
    "*.google-analytics.com",
    "*.googletagmanager.com",
    "*.doubleclick.net",
    "*.youtube.com",
)

PROXY_SWITCHES: Final = (
    "--no-proxy-server",
    "--proxy-auto-detect",
    "--proxy-bypass-list",
    "--proxy-pac-url",
    "--proxy-server",
)
RESOLVER: Final = "--host-resolver-rules"
OFF: Final = "--disable-features"
ON: Final = "--enable-features"
FORBIDDEN: Final = (
    "--remote-debugging-port",
    "--remote-debugging-address",
    "--remote-debugging-pipe",
    "--remote-allow-origins",
    "--user-data-dir",
    "--single-process",
)


def arguments(
    browser: Browser,
    profile_dir: Path,
    *,
    sandbox: bool,
    user_agent: str,
    cache_bytes: int = 64 << 20,
    listening: bool = False,
    extra_args: Sequence[str] = (),
    proxy: str | None = None,
    shm_bytes: int | None = None,
) -> list[str]:
    """Return the whole command line, the binary first.

    Args:
        browser: what will run.
        profile_dir: its profile.
        sandbox: whether Chrome's own sandbox is on.
        user_agent: what the browser calls itself.
        cache_bytes: how much its HTTP cache may take of the disk.
        listening: whether it is spoken to on a loopback port of its own choice, not through pipes.
        extra_args: the administrator's; of switches that Chrome takes once, lists are joined with ours and
            other values replace ours. Resolver rules of the administrator come first and so win.
        proxy: what all connections go through, without credentials: any user can read a command line.
        shm_bytes: the size of /dev/shm; None: look.

    Raises:
        ValueError: `extra_args` holds something that is not a switch, or one that only the daemon may set.
    """
    extra = check(extra_args)
    if proxy is not None:
        # What is blocked goes past the proxy, for only then do the resolver rules hold for it.
        extra = [switch for switch in extra if _name(switch) not in PROXY_SWITCHES]
        extra += [f"--proxy-server={proxy}", f"--proxy-bypass-list={';'.join(BLOCKED_HOSTS)}"]
    own = [
        "--headless" if browser.headless_shell else "--headless=new",
        "--remote-debugging-port=0" if listening else "--remote-debugging-pipe",
        f"--user-data-dir={profile_dir}",
        f"--user-agent={user_agent}",
        *QUIET,
        *LIVELY,
        *LEAN,
        f"--disk-cache-size={cache_bytes}",
        *PLAIN,
    ]
    if not sandbox:
        own.append("--no-sandbox")
    if (shm_size() if shm_bytes is None else shm_bytes) < SHM_MIN_BYTES:
        own.append("--disable-dev-shm-usage")
    replaced = {_name(switch) for switch in extra}
    wanted_on = _values(extra, ON)
    joined = {
        RESOLVER: [*_values(extra, RESOLVER), *(f"MAP {host} ~NOTFOUND" for host in BLOCKED_HOSTS)],
        OFF: _union(_values(extra, OFF), (name for name in FEATURES_OFF if name not in wanted_on)),
        ON: _union(wanted_on, (name for name in FEATURES_ON if name not in _values(extra, OFF))),
    }
    return [
        str(browser.path),
        *(switch for switch in own if _name(switch) not in replaced),
        *(switch for switch in extra if _name(switch) not in joined),
        *(f"{name}={','.join(values)}" for name, values in joined.items()),
        "about:blank",
    ]


def shm_size() -> int:
    """Return the size of /dev/shm in bytes; 0 if there is none."""
    try:
        status = os.statvfs("/dev/shm")  # noqa: S108  # looked at, not written to
    except OSError:
        return 0
    return status.f_frsize * status.f_blocks


def check(extra_args: Sequence[str]) -> Sequence[str]:
    """Return the administrator's switches; raises ValueError as `arguments` does."""
    for switch in extra_args:
        if not switch.startswith("--") or _name(switch) == "--":
            raise ValueError(f"{switch!r} is not a switch such as --name or --name=value")
        if _name(switch) in FORBIDDEN:
            raise ValueError(f"{_name(switch)} cannot be set")
    return extra_args


def _name(switch: str) -> str:
    return switch.partition("=")[0]


def _values(switches: Iterable[str], name: str) -> list[str]:
    """Return the values of every occurrence of a switch that takes a list."""
    lists = (switch.partition("=")[2] for switch in switches if _name(switch) == name)
    return [value.strip() for text in lists for value in text.split(",") if value.strip()]


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))

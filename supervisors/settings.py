"""What an administrator may set about the supervisors: plain frozen data, checked where it is read.

Names and defaults are those of the configuration file's tables of the same name; durations are seconds.
"""

from typing import Final, Literal

import attrs

SESSION_PLACE: Final = "{session}"
"""Where a session's id belongs in `[browser] endpoint`."""


@attrs.frozen(kw_only=True)
class RestartSettings:
    """`[restart]`: how often a dead browser or page is started again."""

    max_restarts: int = 3
    window: float = 120.0
    cooldown: float = 30.0
    settle: float = 2.0
    revive_after: float = 900.0  # 0 = never


@attrs.frozen(kw_only=True)
class LivenessSettings:
    """`[liveness]`: how long a page may be silent."""

    connect_timeout: float = 90.0
    probe_interval: float = 15.0
    probe_timeout: float = 10.0


@attrs.frozen(kw_only=True)
class BrowserSettings:
    """`[browser]`: which Chrome, and how it is run."""

    path: str = "auto"
    sandbox: Literal["auto"] | bool = "auto"  # auto: on, but for root
    extra_args: tuple[str, ...] = ()
    transport: Literal["pipe", "websocket"] = "pipe"
    endpoint: str = ""  # of a browser that runs elsewhere; "" = start one
    launch_concurrency: int = 0  # 0 = as many as there are cores
    memory_limit: int = 0  # bytes a session; 0 = none
    memory_reserve: int = 256 << 20


@attrs.frozen(kw_only=True)
class ProfileSettings:
    """`[profile]`: what is kept of each session's Chrome on the disk; `cache_limit` in bytes."""

    cache_limit: int = 128 << 20
    snapshots: int = 3  # 0 = none
    snapshot_interval: float = 21_600.0


@attrs.frozen(kw_only=True)
class WhatsAppSettings:
    """`[whatsapp]`: the page and the library that is injected into it."""

    url: str = "https://web.whatsapp.com/"
    page_library: str = "auto"  # a path, or the pinned one
    conflict: Literal["takeover", "yield"] = "takeover"


@attrs.frozen(kw_only=True)
class SupervisorSettings:
    """All of the above."""

    restart: RestartSettings = attrs.Factory(RestartSettings)
    liveness: LivenessSettings = attrs.Factory(LivenessSettings)
    browser: BrowserSettings = attrs.Factory(BrowserSettings)
    profile: ProfileSettings = attrs.Factory(ProfileSettings)
    whatsapp: WhatsAppSettings = attrs.Factory(WhatsAppSettings)

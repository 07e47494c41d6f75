"""From `session.start` to a code, and to a connection with a stored login."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .browsers import (
    CHROMIUM,
    CONNECTED,
    QR,
    SHELL,
    Sessions,
    browser,
    chromedriver,
    copies,
    missing,
    sessions,
    simulated,
    whatsapp_web_js,
    work,
)
from .frame import Comparison, Target, interleaved, skipped
from .processes import measured, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PHONE: Final = "+491701234567"
_FLOOR: Final = Target(bound="at most", ratio=1.05)
_SELENIUM: Final = Target(bound="at most", ratio=0.65)
_LIBRARY: Final = Target(bound="at most", ratio=1)
_JS_CANNOT: Final = {
    "connected": "it waits for the page to have synchronised, which the simulator's has before it listens"
}
"""whatsapp-web.js 1.34.7, Client.js: `Socket.on('change:hasSynced')`, not asking `hasSynced` itself."""


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` times each."""
    rows = []
    for path, label in ((SHELL, "headless-shell"), (CHROMIUM, "chromium")):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name:
            directory = Path(name)
            with simulated(directory) as page, sessions(directory / "daemon", page, path) as mine:
                found = browser(path)
                mine.create("new")
                mine.start("new", until=QR[0])  # a profile that was used before is warm
                mine.link("linked", _PHONE, page.control)
                mine.stop("new", "linked")
                for session, (event, until), to, how in (
                    ("new", QR, "the code", "code"),
                    ("linked", CONNECTED, "connected", "connected"),
                ):
                    profile = copies(mine.profile(session), directory / to.replace(" ", "-"))
                    subjects: dict[str, Callable[[], Mapping[str, float]]] = {
                        "product": partial(_start, mine, session, event),
                        "floor": partial(
                            measured,
                            "floors.browser",
                            "start",
                            given=work(found, [profile("f")], page, until),
                        ),
                    }
                    if path == SHELL and not _skip(missing() or _JS_CANNOT.get(to), f"whatsapp-web.js, {to}"):
                        subjects["js"] = partial(printed, whatsapp_web_js(found, [profile("js")], page, "qr"))
                    if path == CHROMIUM and not _skip(missing(selenium=True), f"selenium, {to}"):
                        for other, waits in (("selenium", how), ("selenium, bridge", "bridge")):
                            subjects[other] = partial(
                                measured,
                                "peers.driver",
                                str(chromedriver()),
                                waits,
                                given=work(found, [profile(other)], page, until, bridge=waits == "bridge"),
                            )
                    times = interleaved(rounds, subjects)
                    for other, named, target in (
                        ("floor", "minimal trio client", _FLOOR),
                        ("js", "whatsapp-web.js", _LIBRARY),
                        ("selenium", "selenium, chromedriver, wa-js", _SELENIUM),
                        ("selenium, bridge", "the same with what the product injects", None),
                    ):
                        if other in times:
                            rows.append(
                                Comparison(
                                    what=f"session.start to {to}, {label}",
                                    unit="s",
                                    product=times["product"]["seconds"],
                                    floor=times[other]["seconds"],
                                    floor_is=named,
                                    target=target,
                                )
                            )
    return rows


def _start(mine: Sessions, session: str, event: str) -> dict[str, float]:
    seconds = mine.start(session, until=event)
    mine.stop(session)
    return {"seconds": seconds}


def _skip(reason: str | None, what: str) -> bool:
    """Say what is skipped and why."""
    if reason is not None:
        skipped(what, reason)
    return reason is not None

"""The private memory of ten sessions that show a code, beside Chrome as it comes and whatsapp-web.js."""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from .browsers import (
    CHROMIUM,
    QR,
    SHELL,
    Sessions,
    Simulated,
    browser,
    missing,
    plain,
    private_bytes,
    sessions,
    simulated,
    whatsapp_web_js,
    work,
)
from .frame import Comparison, Target, interleaved, skipped
from .processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SESSIONS: Final = 10
_MOST_ROUNDS: Final = 3
_REST_S: Final = 5.0
"""How long they rest before they are measured."""

_MIB: Final = 2**20


def run(rounds: int) -> list[Comparison]:
    """Measure; at most three times each, as it differs little."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name, simulated(Path(name)) as page:
        directory = Path(name)
        names = [f"s{number}" for number in range(_SESSIONS)]
        with (
            sessions(directory / "shell", page) as shell,
            sessions(directory / "full", page, CHROMIUM) as full,
        ):
            shell.create(*names)
            full.create(*names)
            subjects: dict[str, Callable[[], Mapping[str, float]]] = {
                "shell": partial(_product, shell, names),
                "full": partial(_product, full, names),
                "plain shell": partial(_plain, directory, page, SHELL),
                "plain full": partial(_plain, directory, page, CHROMIUM),
            }
            if (reason := missing()) is None:
                subjects["js"] = partial(_library, directory, page)
            else:
                skipped("private memory beside whatsapp-web.js", reason)
            found = interleaved(min(rounds, _MOST_ROUNDS), subjects)
    return [
        Comparison(
            what=f"private memory a session, {which}",
            unit="MiB",
            product=found[subject]["mib"],
            floor=found[other]["mib"],
            floor_is=named,
            target=None if most is None else Target(bound="at most", ratio=most),
        )
        for which, subject, other, named, most in (
            ("headless-shell (auto)", "shell", "plain full", "chromium, plain headless flags", 0.55),
            ("headless-shell (auto)", "shell", "plain shell", "headless-shell, plain flags", None),
            ("headless-shell (auto)", "shell", "js", "whatsapp-web.js' defaults, chromium", 0.6),
            ("chromium", "full", "plain full", "chromium, plain headless flags", 0.55),
            ("chromium", "full", "js", "whatsapp-web.js' defaults, chromium", 0.6),
        )
        if other in found
    ]


def _product(mine: Sessions, names: list[str]) -> dict[str, float]:
    mine.start(*names, until=QR[0])
    time.sleep(_REST_S)
    found = _each(private_bytes(mine.browser(name) for name in names))
    mine.stop(*names)
    return found


def _plain(directory: Path, page: Simulated, path: str) -> dict[str, float]:
    found = browser(path)
    given = work(found, _profiles(directory), page, QR[1], arguments=plain(found, page))
    return _held([sys.executable, "-m", "benchmarks.floors.browser", "hold"], given)


def _library(directory: Path, page: Simulated) -> dict[str, float]:
    return _held(whatsapp_web_js(browser(CHROMIUM), _profiles(directory), page, "qr", hold=True), b"")


def _held(command: list[str], given: bytes) -> dict[str, float]:
    with running(command, given=given) as pid:
        time.sleep(_REST_S)
        return _each(private_bytes(psutil.Process(pid).children()))


def _profiles(directory: Path) -> list[Path]:
    return [Path(tempfile.mkdtemp(dir=directory, prefix="p")) / "profile" for _ in range(_SESSIONS)]


def _each(total: int) -> dict[str, float]:
    return {"mib": total / _SESSIONS / _MIB}

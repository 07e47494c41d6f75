"""Twenty sessions started at once: with the limit on launches, beside all of them at the same time."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .browsers import QR, Sessions, sessions, simulated
from .frame import Comparison, Target, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

_SESSIONS: Final = 20
_MOST_ROUNDS: Final = 3


def run(rounds: int) -> list[Comparison]:
    """Measure; at most three times each."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name, ExitStack() as stack:
        directory = Path(name)
        page = stack.enter_context(simulated(directory))
        names = [f"s{number}" for number in range(_SESSIONS)]
        subjects: dict[str, Callable[[], dict[str, float]]] = {}
        for which, settings in (("limit", ""), ("none", f"browser.launch_concurrency = {_SESSIONS}")):
            log: list[bytes] = []
            mine = stack.enter_context(sessions(directory / which, page, settings=settings, log=log))
            mine.create(*names)
            subjects[which] = partial(_start, mine, names, log)
            subjects[which]()  # from now on the profiles are warm
        found = interleaved(min(rounds, _MOST_ROUNDS), subjects)
    return [
        Comparison(
            what=f"20 started at once: {what}",
            unit="s",
            product=found["limit"][figure],
            floor=found["none"][figure],
            floor_is="without a limit",
            target=Target(bound="at most", ratio=most),
        )
        for what, figure, most in (
            ("all show a code", "all_s", 0.85),
            ("the longest launch of one", "worst_s", 0.2),
        )
    ]


def _start(mine: Sessions, names: list[str], log: list[bytes]) -> dict[str, float]:
    before = len(log)
    all_s = mine.start(*names, until=QR[0])
    mine.stop(*names)
    times: dict[str, dict[str, datetime]] = {"launch_began": {}, "launch_ended": {}}
    for line in log[before:]:
        entry = json.loads(line)
        if entry["event"] in times:
            times[entry["event"]][entry["session_id"]] = datetime.fromisoformat(entry["timestamp"])
    launches = [times["launch_ended"][name] - times["launch_began"][name] for name in names]
    return {"all_s": all_s, "worst_s": max(launches).total_seconds()}

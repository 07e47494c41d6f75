"""What each of Chrome's switches is worth: four browsers that are connected, with all switches but one.

Not one of those that `python -m benchmarks` runs: it takes an hour, and prints a table of its own, for
docs/browser.md. Figures are of one browser: its private memory and processes, the processor's time that its
threads have taken when it is connected, and at rest. Lines with all switches show what comes by chance.
"""

import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import psutil

from supervisors.chrome import flags
from supervisors.chrome.locate import Browser

from .browsers import (
    CHROMIUM,
    CONNECTED,
    SHELL,
    Simulated,
    browser,
    copies,
    cpu_s,
    private_bytes,
    sessions,
    simulated,
    usual,
    work,
)
from .processes import running

_BROWSERS: Final = 4
_SETTLE_S: Final = 3.0
_REST_S: Final = 10.0
_LONGEST_S: Final = 90
_AGAIN: Final = 8
"""After so many others all switches are measured again."""

OTHERS: Final = (
    "--js-flags=--lite-mode",
    "--js-flags=--optimize-for-size",
    "--js-flags=--max-lazy",
    "--js-flags=--single-threaded",
    "--enable-low-end-device-mode",
    "--disable-dev-shm-usage",
    "--disable-features=StorageServiceOutOfProcess",
    "--disable-features=AudioServiceOutOfProcess",
    "--disable-features=BackForwardCache",
    "--disable-site-isolation-trials",
    "--process-per-site",
    "--disable-3d-apis",
    "--disable-remote-fonts",
    "--disable-threaded-compositing",
    "--disable-speech-api",
    "--num-raster-threads=1",
    "--blink-settings=imagesEnabled=false",
    "--window-size=800,600",
    "--in-process-gpu",
    "--no-zygote",
)
"""Switches that are not the product's."""

Arguments = Callable[[Path], list[str]]


@attrs.frozen
class Cost:
    """What one browser takes."""

    mib: float
    processes: float
    launch_s: float
    rest_ms: float

    def __str__(self) -> str:
        return f"{self.mib:.1f} | {self.processes:g} | {self.launch_s:.2f} | {self.rest_ms:.0f}"


def run(rounds: int, only: Sequence[str] = ()) -> None:
    """Measure, `rounds` times each, and print the table.

    With `only` no variants but those whose name holds one of these words.
    """
    for path, label in ((SHELL, "headless-shell"), (CHROMIUM, "chromium")):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="b") as name, simulated(Path(name)) as page:
            found = browser(path)
            profiles = _linked(Path(name), page, path)

            def all_of_them(profile: Path, found: Browser = found, page: Simulated = page) -> list[str]:
                return usual(found, profile, page)

            print(f"\n| {label}, without | MiB | processes | launch, s | at rest, ms a minute |")
            print("|---|---|---|---|---|")
            chosen = [
                (what, variant)
                for what, variant in variants(all_of_them)
                if not only or any(word in what for word in only)
            ]
            for number, (what, variant) in enumerate(chosen):
                if number % _AGAIN == 0:
                    _print("(nothing: all switches)", rounds, found, page, profiles, all_of_them)
                _print(what, rounds, found, page, profiles, variant)


def variants(whole: Arguments) -> Iterator[tuple[str, Arguments]]:
    """Yield what is measured: all switches but one, and then all with one more."""
    for switch in (*flags.QUIET, *flags.LIVELY, *flags.LEAN, *flags.PLAIN):
        yield f"`{switch}`", partial(_without, whole, switch)
    for switch, features in ((flags.OFF, flags.FEATURES_OFF), (flags.ON, flags.FEATURES_ON)):
        for feature in features:
            yield f"`{switch}={feature}`", partial(_without_feature, whole, switch, feature)
    for switch in OTHERS:
        yield f"(nothing, with `{switch}`)", partial(_with, whole, switch)


def _without(whole: Arguments, switch: str, profile: Path) -> list[str]:
    return [each for each in whole(profile) if each != switch]


def _without_feature(whole: Arguments, switch: str, feature: str, profile: Path) -> list[str]:
    return [
        re.sub(rf"(?<=[=,]){feature}(,|$)", "", each) if each.startswith(f"{switch}=") else each
        for each in whole(profile)
    ]


def _with(whole: Arguments, switch: str, profile: Path) -> list[str]:
    name, _, value = switch.partition("=")
    given = whole(profile)
    if name == flags.OFF:
        return [f"{each},{value}" if each.startswith(f"{name}=") else each for each in given]
    return [*(each for each in given[:-1] if each.partition("=")[0] != name), switch, given[-1]]


def _linked(directory: Path, page: Simulated, path: str) -> list[Path]:
    """Return profiles of as many accounts as there are browsers."""
    profiles = []
    with sessions(directory / "daemon", page, path) as mine:
        for number in range(_BROWSERS):
            name = f"s{number}"
            mine.link(name, f"+4917000000{number:02}", page.control)
            mine.stop(name)
            profiles.append(copies(mine.profile(name), directory)(f"p{number}"))
    return profiles


def _print(
    what: str,
    rounds: int,
    found: Browser,
    page: Simulated,
    profiles: list[Path],
    variant: Arguments,
) -> None:
    given = work(found, profiles, page, CONNECTED[1], arguments=variant)
    signal.alarm(_LONGEST_S * rounds)
    try:
        costs = [_measure(given) for _ in range(rounds)]
    except TimeoutError:
        print(f"| {what} | never connected | | | |", flush=True)
        return
    finally:
        signal.alarm(0)
    middle = [statistics.median(values) for values in zip(*map(attrs.astuple, costs), strict=True)]
    print(f"| {what} | {Cost(*middle)} |", flush=True)


def _measure(given: bytes) -> Cost:
    with running([sys.executable, "-m", "benchmarks.floors.browser", "hold"], given=given) as pid:
        roots = psutil.Process(pid).children()
        launch_s = cpu_s(roots)
        time.sleep(_SETTLE_S)
        before = cpu_s(roots)
        time.sleep(_REST_S)
        return Cost(
            mib=private_bytes(roots) / _BROWSERS / 2**20,
            processes=sum(1 + len(root.children(recursive=True)) for root in roots) / _BROWSERS,
            launch_s=launch_s / _BROWSERS,
            rest_ms=(cpu_s(roots) - before) / _BROWSERS / _REST_S * 60_000,
        )

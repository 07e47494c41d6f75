"""What is counted as it happens, since the daemon started: for `daemon.metrics`. Costs next to nothing.

What is known beforehand is there from the start, as 0: Prometheus takes a counter that appears as 1 for one
that has not increased, and would not tell of the first.
"""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import Final

from protocol.methods import METHODS
from supervisors.machine import Publish

REQUEST_BOUNDS_S: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
MESSAGE_BOUNDS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

DEATHS: Final = (
    *("BROWSER_CRASHED", "BROWSER_EXITED", "BROWSER_HUNG", "BROWSER_UNAVAILABLE", "PROFILE_IN_USE"),
    *("PROFILE_CORRUPT", "PAGE_CRASHED", "OUT_OF_MEMORY", "PAGE_HUNG", "PAGE_CLOSED", "PAGE_FAILED"),
    *("NAVIGATED_AWAY", "LIBRARY_MISSING", "LIBRARY_NOT_READY", "UPDATE_WANTED", "MEMORY_LIMIT"),
    "INTERNAL_ERROR",
)
"""The causes of docs/incidents.md."""

DISCONNECTS: Final = (
    *DEATHS,
    *("NETWORK", "PAGE_RELOADED", "CONFLICT", "LOGGED_OUT", "BANNED", "TOS_BLOCK", "DEPRECATED_VERSION"),
    "PAGE_NOT_STORED",
    *("PROXYBLOCK", "PHONE_NUMBER_IN_USE", "RESTART_LIMIT_EXCEEDED"),
)

_UNKNOWN: Final = "unknown"
"""What requests for methods that do not exist are counted as: names that callers make up are no labels."""


class Histogram:
    """How often a duration, in seconds, lay within each bound."""

    __slots__ = ("_bounds", "_counts", "sum_s")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one; a clock that was set back makes it 0."""
        if seconds < 0:
            seconds = 0.0
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return each bound with how many did not exceed it, as OpenMetrics has them."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        return found


class Tallies:
    """The counts. Requests by method and error; what became of browsers; how long messages took."""

    def __init__(self) -> None:
        self.requests: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(REQUEST_BOUNDS_S))
        self.errors = Counter({(name, "INTERNAL_ERROR"): 0 for name in (*METHODS, _UNKNOWN)})
        self.deaths = Counter(dict.fromkeys(DEATHS, 0))
        self.restarts = 0
        self.given_up = 0
        self.disconnects = Counter(dict.fromkeys(DISCONNECTS, 0))
        self.sent = Histogram(MESSAGE_BOUNDS_S)
        self.delivered = Histogram(MESSAGE_BOUNDS_S)

    def answered(self, method: str, began: float, error: str | None) -> None:
        """Count a request; `began` is of `time.perf_counter`, `error` the code of its error."""
        if method not in METHODS:
            method = _UNKNOWN
        self.requests[method].observe(time.perf_counter() - began)
        if error is not None:
            self.errors[method, error] += 1

    def happened(self, event: Publish) -> None:
        """Count what a session's supervisor tells."""
        reason = str(event.data.get("reason"))
        match event.type:
            case "session.restarting":
                self.deaths[reason] += 1
                self.restarts += 1
            case "session.restart_limit":
                self.deaths[reason] += 1
                self.given_up += 1
            case "session.disconnected":
                self.disconnects[reason] += 1
                if event.data.get("cause") == reason:  # given up without an attempt
                    self.deaths[reason] += 1
                    self.given_up += 1

    def acknowledged(self, status: str, seconds: float) -> None:
        """Count how long after it was accepted a message had come so far."""
        if status == "sent":
            self.sent.observe(seconds)
        elif status == "delivered":
            self.delivered.observe(seconds)

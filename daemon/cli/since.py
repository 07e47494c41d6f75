"""`--since` and `--until`: a time or a span; and a number, where a place in the event log is meant."""

import re
from datetime import datetime
from typing import Final

from protocol.client.blocking import Client
from protocol.times import parse, rfc3339

from .failures import UsageError
from .invocation import QUERY_S

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Since = int | float
"""The seq of an event; or, as a float, seconds since 1970."""


def parse_since(text: str, now: float) -> Since:
    """Return what the text says; a time without a zone is local. Raises UsageError for anything else."""
    if text.isascii() and text.isdigit():
        return int(text)
    return _moment(text, now, "a number, a time")


def parse_time(text: str, now: float) -> str:
    """Return a time, or a span back from now, as the channel writes it. Raises UsageError for others."""
    try:
        return rfc3339(int(_moment(text, now, "a time") * 1000))
    except OverflowError:
        raise UsageError(f'"{text}" is before all calendars.') from None


def _moment(text: str, now: float, what: str) -> float:
    if found := _SPAN.fullmatch(text):
        return now - float(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f'"{text}" is no time: give {what} as 2026-11-21T10:00, or a span as 15m.') from None


def cursor_at(client: Client, since: Since) -> int:
    """Return the seq after which the events begin that are meant; asks for a few events to find a time."""
    if isinstance(since, int):
        return since
    log = client.call("events.list", limit=1, within_s=QUERY_S)
    low, high = max(log["oldest"] - 1, 0), log["latest"]  # what follows `high` is later, or there is nothing
    while low < high:
        middle = (low + high) // 2
        page = client.call("events.list", after=middle, limit=1, within_s=QUERY_S)["events"]
        if page and parse(page[0]["timestamp"]) / 1000 < since:
            low = page[0]["seq"]
        else:
            high = middle
    return int(low)

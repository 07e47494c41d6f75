"""When a delivery is tried again, and when it is given up. Pure: times are arguments."""

import re
from datetime import UTC
from typing import Final

FIRST_S: Final = 5.0
LONGEST_S: Final = 3600.0
LONGEST_ASKED_S: Final = 86_400.0
"""How long a receiver may make the daemon wait (Retry-After)."""

AFTER_GIVING_UP_S: Final = 1.0
"""The pause between the end of one event and the first attempt of the next, while a receiver fails."""


def delay_s(failures: int, chance: float, retry_after_s: float | None = None) -> float:
    """Return how long to wait after so many failures in a row: 5 s doubled up to an hour, by half random.

    Args:
        failures: 1 after the first.
        chance: from 0 to 1; spreads those that failed together.
        retry_after_s: what the receiver asked for; never less than that, up to a day.
    """
    full = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 32))
    return max(full * (0.5 + chance / 2), min(retry_after_s or 0.0, LONGEST_ASKED_S))


def is_over(now_ms: int, event_ms: int, failing_since_ms: int, retry_for_s: float) -> bool:
    """Whether an event whose attempt has just failed is given up.

    Both it and the failure must be old: what waited behind a receiver that failed for days, or while the
    daemon was down, gets its attempt.
    """
    return now_ms - max(event_ms, failing_since_ms) >= retry_for_s * 1000


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds that a Retry-After asks for (a number or a date, RFC 9110, 10.2.3), None if none."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip(), re.ASCII):
        return float(header)
    import email.utils  # which few receivers make necessary

    try:
        date = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now_s)

"""Times as the channel writes them: RFC 3339, UTC, milliseconds."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(epoch_ms: int) -> str:
    """Return e.g. `2026-11-21T10:00:00.000Z` for milliseconds since 1970, years 1 to 9999."""
    seconds, ms = divmod(epoch_ms, 1000)
    return f"{_second(seconds)}.{ms:03}Z"


@lru_cache(maxsize=1024)  # what is told together happened together
def _second(epoch_s: int) -> str:
    return (_EPOCH + timedelta(seconds=epoch_s)).isoformat()


def parse(text: str) -> int:
    """Return milliseconds since 1970 for an RFC 3339 time of any offset; smaller fractions are cut off.

    Raises ValueError, with a sentence that says what was expected.
    """
    expected = f"Expected an RFC 3339 time such as 2026-11-21T10:00:00.000Z, got {text[:100]!r}"
    if not _RFC3339.fullmatch(text):
        raise ValueError(expected)
    try:
        utc = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(expected) from None
    return (utc.replace(tzinfo=None) - _EPOCH) // _MS

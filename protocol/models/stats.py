"""What `session.stats` takes and answers."""

from typing import Annotated

from msgspec import Meta

from .base import Params, Record, SessionRef


class SessionStatsParams(Params, frozen=True, kw_only=True):
    """What session.stats is given: how many days back."""

    session_id: SessionRef
    days: Annotated[int, Meta(ge=1, le=36_500)] = 30


class DayStats(Record, frozen=True, kw_only=True):
    """A day's messages, by UTC date."""

    sent: int
    received: int


class Stats(Record, frozen=True, kw_only=True):
    """The messages of the time asked for; `by_type` and `by_day` leave out what there was none of."""

    total: int
    sent: int
    received: int
    failed: int
    by_type: dict[str, int]
    by_day: dict[str, DayStats]


class Performance(Record, frozen=True, kw_only=True):
    """How it went in that time, or since the session was created: percents from 0 to 100.

    `average_response_time` is in seconds, from a message that came to the answer that followed it in its
    chat; None where there was none. `uptime` is the time connected, `error_rate` what failed of what was to
    be sent.
    """

    average_response_time: float | None
    uptime: float
    messages_per_hour: float
    error_rate: float


class SessionStatsResult(Record, frozen=True, kw_only=True):
    """A session's figures."""

    stats: Stats
    performance: Performance

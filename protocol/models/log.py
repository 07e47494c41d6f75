"""The daemon's log about one session, as the channel has it."""

from typing import Annotated, Literal

from msgspec import Meta

from .base import MOST_NUMBER, Limit, Params, Record, SessionRef, Time

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogPlace = Annotated[int, Meta(ge=0, le=MOST_NUMBER, description="The seq of a line; 0: all that is kept")]


class SessionLogParams(Params, frozen=True, kw_only=True):
    """What session.log is given; what it answers comes after the line `after`."""

    session_id: SessionRef
    after: LogPlace = 0
    limit: Limit = 100


class LogRecord(Record, frozen=True, kw_only=True):
    """A line of the daemon's log about a session: `event` is a fixed word, `data` what it is about.

    `seq` rises, over restarts of the daemon too. docs/log-messages.md lists the words.
    """

    seq: int
    timestamp: Time
    level: LogLevel
    event: str
    data: dict[str, bool | int | float | str | None]


class SessionLogResult(Record, frozen=True, kw_only=True):
    """The last lines about a session, oldest first: of what was logged since the daemon began."""

    records: tuple[LogRecord, ...]

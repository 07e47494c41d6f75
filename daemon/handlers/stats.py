"""session.stats, session.incidents and session.log: how it went."""

import apsw

from daemon.dispatch import Call
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import incidents as happened
from daemon.store import sessions
from daemon.store import stats as table
from protocol.models import (
    DayStats,
    Performance,
    SessionIncidentsParams,
    SessionIncidentsResult,
    SessionLogParams,
    SessionLogResult,
    SessionStatsParams,
    SessionStatsResult,
    Stats,
)

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


async def stats(service: Service, _call: Call, params: SessionStatsParams) -> SessionStatsResult:
    session = service.session(params.session_id)
    now = now_ms()

    def query(db: apsw.Connection) -> tuple[table.Figures, float | None, int]:
        since = max(sessions.get(db, session.id).created_at, now - params.days * _DAY_MS)
        found = table.figures(db, session.id, now - params.days * _DAY_MS)
        return found, table.uptime_percent(db, session.id, since, now), since

    found, uptime, since = await service.store.read(query)
    hours = max(now - since, 1) / _HOUR_MS
    tried = found.sent + found.failed
    return SessionStatsResult(
        stats=Stats(
            total=found.total,
            sent=found.sent,
            received=found.received,
            failed=found.failed,
            by_type=found.by_type,
            by_day={day: DayStats(sent=out, received=came) for day, (out, came) in found.by_day.items()},
        ),
        performance=Performance(
            average_response_time=_rounded(found.average_response_s),
            uptime=round(uptime or 0.0, 3),
            messages_per_hour=round(found.total / max(hours, 1.0), 3),
            error_rate=round(100 * found.failed / tried, 3) if tried else 0.0,
        ),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


async def incidents(service: Service, _call: Call, params: SessionIncidentsParams) -> SessionIncidentsResult:
    session = service.session(params.session_id)
    found = await service.store.read(lambda db: happened.latest(db, session.id, params.limit))
    return SessionIncidentsResult(incidents=tuple(found))


def log(service: Service, _call: Call, params: SessionLogParams) -> SessionLogResult:
    session = service.session(params.session_id)
    found = service.log.latest(session.id, after=params.after, limit=params.limit)
    return SessionLogResult(records=tuple(found))

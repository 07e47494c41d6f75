"""Webhooks in figures, for a monitoring system: how requests went, and how far behind each webhook is."""

from collections.abc import Iterator

import apsw
import attrs
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from daemon.store import webhooks as table
from daemon.store.events import bounds
from daemon.store.webhooks import Hook, State

from .hooks import Webhooks

__all__ = ["Figures", "metrics", "read"]


@attrs.frozen(kw_only=True)
class Figures:
    """How far a webhook is behind, in events and in seconds, and how many dead letters it has."""

    lag_events: int
    lag_s: float
    dead_letters: int


def read(db: apsw.Connection, hooks: list[tuple[Hook, State]], now_ms: int) -> dict[str, Figures]:
    """Return the figures of each webhook; the seconds are the age of the oldest event it was not told of."""
    _, latest = bounds(db)
    letters = table.count_dead_letters(db, [hook.id for hook, _ in hooks])
    return {
        hook.id: Figures(
            lag_events=max(0, latest - min([state.cursor, *(lane.cursor for lane in state.lanes)])),
            lag_s=max(0, now_ms - (_waiting_since(db, state) or now_ms)) / 1000,
            dead_letters=letters.get(hook.id, 0),
        )
        for hook, state in hooks
    }


def _waiting_since(db: apsw.Connection, state: State) -> int | None:
    times = [
        db.execute(
            "SELECT at FROM events WHERE seq > ? AND session_id IS ? ORDER BY seq LIMIT 1",
            (lane.cursor, lane.session),
        ).get
        for lane in state.lanes
    ]
    times.append(db.execute("SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1", (state.cursor,)).get)
    return min((at for at in times if at is not None), default=None)


def metrics(webhooks: Webhooks, figures: dict[str, Figures]) -> Iterator[Metric]:
    """Yield the metrics of the webhooks that there are figures of."""
    requests = CounterMetricFamily(
        "wasup_webhook_requests",
        "Requests of a webhook since the daemon started",
        labels=["webhook", "result"],
    )
    for hook_id in figures.keys() & webhooks.requests.keys():
        counts = webhooks.requests[hook_id]
        for result in ("delivered", "failed"):
            requests.add_metric([hook_id, result], counts[result])
    yield requests
    behind = GaugeMetricFamily(
        "wasup_webhook_lag_events", "Events of the log that a webhook has not passed", labels=["webhook"]
    )
    age = GaugeMetricFamily(
        "wasup_webhook_lag", "Age of the oldest event that a webhook was not told of",
        labels=["webhook"], unit="seconds",
    )  # fmt: skip
    dead = GaugeMetricFamily(
        "wasup_webhook_dead_letters", "Events that were given up for a webhook", labels=["webhook"]
    )
    disabled = GaugeMetricFamily(
        "wasup_webhook_disabled", "1 for a webhook that gets no events any more", labels=["webhook"]
    )
    for hook, state in webhooks:
        found = figures.get(hook.id)
        if found is not None:
            behind.add_metric([hook.id], found.lag_events)
            age.add_metric([hook.id], found.lag_s)
            dead.add_metric([hook.id], found.dead_letters)
            disabled.add_metric([hook.id], state.disabled is not None)
    yield from (behind, age, dead, disabled)

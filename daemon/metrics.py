"""The daemon in figures, for a monitoring system: OpenMetrics text."""

from collections import Counter
from collections.abc import Iterable, Iterator

import apsw
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from daemon import figures
from daemon.access import Peer
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import SessionRow, sessions
from daemon.webhooks import figures as webhooks
from protocol.models import SESSION_STATUSES, ProcessFigures


async def text(service: Service, peer: Peer) -> str:
    """Return what the caller may know, as OpenMetrics text. Reads the store, and /proc for each browser."""
    hidden = service.visibility.hidden(peer)

    hooks = [each for each in service.webhooks if service.visibility.sees(peer, each[0].session_id)]

    def query(db: apsw.Connection) -> tuple[list[SessionRow], int, int, dict[str, webhooks.Figures]]:
        stored: int = db.execute("SELECT count(*) FROM messages").get
        behind = webhooks.read(db, hooks, now_ms())
        return sessions.list_(db, hidden=hidden)[0], stored, service.store.log.latest, behind

    rows, stored, latest, behind = await service.store.read(query)
    processes: dict[str, ProcessFigures] = {}
    for session in service.seen_by(peer):
        if session.life is not None and session.life.pid is not None:
            found = await figures.of_tree(session.life.pid)
            if found is not None:
                processes[session.id] = found
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(_metrics(service, peer, rows, stored, latest, processes)))
    registry.register(_Reading(webhooks.metrics(service.webhooks, behind)))
    exposition: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # it has no annotations
    return exposition.decode()


class _Reading(Collector):
    """One reading, for one exposition."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _metrics(
    service: Service,
    peer: Peer,
    rows: list[SessionRow],
    stored: int,
    latest: int,
    processes: dict[str, ProcessFigures],
) -> Iterator[Metric]:
    statuses = Counter(session.told.status for session in service.seen_by(peer))
    by_status = GaugeMetricFamily("wasup_sessions", "Sessions by status", labels=["status"])
    for status in SESSION_STATUSES:
        by_status.add_metric([status], statuses[status])
    yield by_status
    messages = CounterMetricFamily(
        "wasup_messages", "Messages of a session since it was created", labels=["session", "result"]
    )
    queued = GaugeMetricFamily("wasup_messages_queued", "Messages that wait to be sent", labels=["session"])
    for row in rows:
        for result, count in (("sent", row.sent), ("received", row.received), ("failed", row.failed)):
            messages.add_metric([row.id, result], count)
        queued.add_metric([row.id], row.queued)
    yield messages
    yield queued
    restarts = GaugeMetricFamily("wasup_session_restarts", "Restarts within the window", labels=["session"])
    for session in service.seen_by(peer):
        restarts.add_metric([session.id], len(session.restarts_ms()))
    yield restarts
    memory = GaugeMetricFamily(
        "wasup_session_memory", "Memory of a session's browser, shared parts by share (PSS)",
        labels=["session"], unit="bytes",
    )  # fmt: skip
    cpu = CounterMetricFamily(
        "wasup_session_cpu", "CPU time of a session's browser", labels=["session"], unit="seconds"
    )
    for session_id, figure in processes.items():
        memory.add_metric([session_id], figure.pss_bytes or 0)
        cpu.add_metric([session_id], figure.cpu_seconds or 0)
    yield memory
    yield cpu
    yield GaugeMetricFamily("wasup_stored_messages", "Messages on record", value=stored)
    yield CounterMetricFamily("wasup_events", "Events ever logged", value=latest)
    yield GaugeMetricFamily(
        "wasup_store_waiting", "Writes that wait for the disk", value=service.store.waiting
    )

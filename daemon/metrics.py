"""The daemon in figures, for a monitoring system: OpenMetrics text.

A label is a session's id, a status, a method's name or a word of the protocol: never what a client or the
page made up. docs/monitoring.md says what is worth an alert.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import apsw
import attrs
import psutil
import trio
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from daemon.access import Peer
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import SessionRow, messages, sessions
from daemon.tallies import Tallies
from daemon.webhooks import figures as webhooks
from protocol.models import SESSION_STATUSES, ProcessFigures

CONTENT_TYPE: str = CONTENT_TYPE_LATEST


@attrs.frozen(eq=False)
class _Reading(Collector):
    """One reading, for one exposition."""

    metrics: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


async def text(service: Service, peer: Peer | None) -> str:
    """Return what the caller may know, as OpenMetrics text; None: somebody of whom nothing is known.

    Reads the store, and /proc for each browser.
    """
    hidden = service.visibility.hidden(peer)
    hooks = [each for each in service.webhooks if service.visibility.sees(peer, each[0].session_id)]

    def query(db: apsw.Connection) -> tuple[list[SessionRow], int, dict[str, webhooks.Figures]]:
        rows, _ = sessions.list_(db, hidden=hidden)
        return rows, messages.count(db), webhooks.read(db, hooks, now_ms())

    rows, stored, behind = await service.store.read(query)
    pids = {each.id: each.life.pid for each in service.seen_by(peer) if each.life and each.life.pid}
    found = await service.browsers.of([*pids.values()])
    processes = {session_id: found[pid] for session_id, pid in pids.items() if pid in found}
    size, free = await trio.to_thread.run_sync(service.store.sizes)
    registry = CollectorRegistry(auto_describe=False)
    for metrics in (
        _sessions(service, peer, rows),
        _browsers(service.tallies, processes),
        _messages(service.tallies, rows),
        _store(service, size=size, free=free, stored=stored),
        _channel(service),
        webhooks.metrics(service.webhooks, behind),
        _daemon(service),
    ):
        registry.register(_Reading([*metrics]))
    exposition: bytes = await trio.to_thread.run_sync(generate_latest, registry)  # of hundreds it takes 20 ms
    return exposition.decode()


def _sessions(service: Service, peer: Peer | None, rows: list[SessionRow]) -> Iterator[Metric]:
    seen = service.seen_by(peer)
    statuses = Counter(session.told.status for session in seen)
    by_status = GaugeMetricFamily("wasup_sessions", "Sessions by status", labels=["status"])
    for status in SESSION_STATUSES:
        by_status.add_metric([status], statuses[status])
    yield by_status
    wanted = GaugeMetricFamily("wasup_session_wanted", "1: it is to run", labels=["session"])
    connected = GaugeMetricFamily("wasup_session_connected", "1: it is connected", labels=["session"])
    restarts = GaugeMetricFamily("wasup_session_restarts", "Restarts within the window", labels=["session"])
    for session in seen:
        wanted.add_metric([session.id], session.told.desired == "running")
        connected.add_metric([session.id], session.told.status == "connected")
        restarts.add_metric([session.id], len(session.restarts_ms()))
    yield from (wanted, connected, restarts)
    counted = CounterMetricFamily(
        "wasup_messages", "Messages of a session since it was created", labels=["session", "result"]
    )
    for row in rows:
        for result, count in (("sent", row.sent), ("received", row.received), ("failed", row.failed)):
            counted.add_metric([row.id, result], count)
    yield counted


def _browsers(tallies: Tallies, processes: dict[str, ProcessFigures]) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "wasup_session_memory", "Memory of a session's browser, shared parts by share (PSS)",
        labels=["session"], unit="bytes",
    )  # fmt: skip
    cpu = CounterMetricFamily(
        "wasup_session_cpu", "CPU time of a session's browser", labels=["session"], unit="seconds"
    )
    counted = GaugeMetricFamily(
        "wasup_session_cgroup_memory", "Memory of a browser's control group, file caches included",
        labels=["session"], unit="bytes",
    )  # fmt: skip
    for session_id, figure in processes.items():
        memory.add_metric([session_id], figure.pss_bytes or 0)
        if figure.memory_bytes is not None:
            counted.add_metric([session_id], figure.memory_bytes)
        cpu.add_metric([session_id], figure.cpu_seconds or 0)
    yield from (memory, counted, cpu)
    yield _by(
        "wasup_browser_deaths",
        "Deaths of browsers and of pages",
        "cause",
        tallies.deaths,
    )
    yield CounterMetricFamily(
        "wasup_browser_restarts", "Restarts of browsers and pages", value=tallies.restarts
    )
    yield CounterMetricFamily(
        "wasup_browser_given_up", "Deaths after which a session was given up", value=tallies.given_up
    )
    yield _by("wasup_session_disconnects", "Sessions that became disconnected", "reason", tallies.disconnects)


def _by(name: str, purpose: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, purpose, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _messages(tallies: Tallies, rows: list[SessionRow]) -> Iterator[Metric]:
    queued = GaugeMetricFamily("wasup_messages_queued", "Messages that wait to be sent", labels=["session"])
    for row in rows:
        queued.add_metric([row.id], row.queued)
    yield queued
    for name, purpose, histogram in (
        ("sent", "From accepting a message to WhatsApp's server having it", tallies.sent),
        ("delivered", "From accepting a message to the recipient's phone having it", tallies.delivered),
    ):
        yield HistogramMetricFamily(
            f"wasup_message_{name}", purpose, unit="seconds",
            buckets=histogram.buckets(), sum_value=histogram.sum_s,
        )  # fmt: skip


def _store(service: Service, *, size: int, free: int, stored: int) -> Iterator[Metric]:
    log = service.store.log
    yield GaugeMetricFamily("wasup_store", "Size of the store", unit="bytes", value=size)
    yield GaugeMetricFamily("wasup_store_free", "Room on the store's disk", unit="bytes", value=free)
    yield GaugeMetricFamily("wasup_store_waiting", "Writes that are queued", value=service.store.waiting)
    yield GaugeMetricFamily(
        "wasup_store_refused", "1: the disk takes no records", value=service.store.trouble is not None
    )
    yield GaugeMetricFamily("wasup_stored_messages", "Messages on record", value=stored)
    yield CounterMetricFamily("wasup_events", "Events ever logged", value=log.latest)
    yield GaugeMetricFamily("wasup_events_oldest_seq", "The oldest event that is kept", value=log.oldest)
    yield GaugeMetricFamily("wasup_event_readers", "Who follows the event log", value=log.readers)
    yield GaugeMetricFamily(
        "wasup_event_lag_events", "Events that the slowest of them has still to take", value=log.lag
    )
    if service.backups.last_ms is not None:
        yield GaugeMetricFamily(
            "wasup_backup_last_timestamp", "When the store was last copied",
            unit="seconds", value=service.backups.last_ms / 1000,
        )  # fmt: skip


def _channel(service: Service) -> Iterator[Metric]:
    yield GaugeMetricFamily("wasup_connections", "Clients on the socket", value=service.connections())
    yield GaugeMetricFamily(
        "wasup_connections_limit", "How many there may be", value=service.config.rpc.max_connections
    )
    durations = HistogramMetricFamily(
        "wasup_rpc_duration", "Requests by method, and how long they took", labels=["method"], unit="seconds"
    )
    for method, histogram in service.tallies.requests.items():
        durations.add_metric([method], buckets=histogram.buckets(), sum_value=histogram.sum_s)
    yield durations
    errors = CounterMetricFamily(
        "wasup_rpc_errors", "Requests that were answered with an error", labels=["method", "code"]
    )
    for (method, code), count in service.tallies.errors.items():
        errors.add_metric([method, code], count)
    yield errors


def _daemon(service: Service) -> Iterator[Metric]:
    me = psutil.Process()
    times = me.cpu_times()
    yield InfoMetricFamily("wasup_build", "The daemon", value={"version": service.version})
    yield GaugeMetricFamily(
        "process_start_time", "When the daemon started", unit="seconds", value=me.create_time()
    )
    yield CounterMetricFamily(
        "process_cpu", "CPU time of the daemon itself", unit="seconds", value=times.user + times.system
    )
    yield GaugeMetricFamily(
        "process_resident_memory", "Memory of the daemon itself", unit="bytes", value=me.memory_info().rss
    )
    yield GaugeMetricFamily("process_open_fds", "Open files of the daemon", value=me.num_fds())

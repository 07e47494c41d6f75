"""The daemon in figures: what is counted, and what is served over HTTP to whom."""

import json
import re
import socket
import threading
from pathlib import Path

import httpx
import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from daemon import metrics
from daemon.config import ConfigError, parse
from daemon.tallies import Histogram, Tallies
from protocol.client.aio import Client
from protocol.errors import RpcError
from supervisors.machine import Publish
from tests.daemon.inprocess import daemon_in

MONITORING = Path(__file__).parents[2] / "docs/monitoring"


async def samples(client: Client) -> dict[str, float]:
    """Every sample, by its name and the values of its labels."""
    return values((await client.call("daemon.metrics"))["text"])


def values(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no annotations
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_sessions_requests_and_the_store_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", name="Shop", id="shop")
        await client.call("session.start", sessionId="shop", wait=True)
        await client.call("message.send", sessionId="shop", to="+4915112345678", text="Hello")
        with pytest.raises(RpcError):
            await client.call("session.get", sessionId="none")
        with pytest.raises(RpcError):
            await client.call("session.fly")
        found = await samples(client)
        assert found["wasup_sessions connected"] == 1
        assert (found["wasup_session_wanted shop"], found["wasup_session_connected shop"]) == (1, 1)
        assert found["wasup_messages_queued shop"] == 1
        assert found["wasup_rpc_duration_seconds_count session.create"] == 1
        assert found["wasup_rpc_duration_seconds_bucket +Inf session.create"] == 1
        assert found["wasup_rpc_errors_total SESSION_NOT_FOUND session.get"] == 1
        assert found["wasup_rpc_errors_total METHOD_NOT_FOUND unknown"] == 1
        assert found["wasup_connections"] == 1
        assert found["wasup_stored_messages"] == 1
        assert found["wasup_store_bytes"] > 0
        async with client.subscribe():
            assert (await samples(client))["wasup_event_readers"] == found["wasup_event_readers"] + 1


async def test_others_are_answered_while_figures_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answered = trio.Event(), threading.Event()

    def generate(_registry: object) -> bytes:
        trio.from_thread.run_sync(begun.set)
        assert answered.wait(10)
        return b"# EOF\n"

    monkeypatch.setattr(metrics, "generate_latest", generate)
    async with (
        daemon_in(tmp_path, monkeypatch) as daemon,
        daemon.as_user(0) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.call, "daemon.metrics")
        await begun.wait()
        await client.call("daemon.whoami")
        answered.set()


def test_deaths_are_counted_by_their_cause() -> None:
    tallies = Tallies()
    for type_, data in (
        ("session.disconnected", {"reason": "PAGE_HUNG"}),
        ("session.restarting", {"reason": "PAGE_HUNG"}),
        ("session.disconnected", {"reason": "RESTART_LIMIT_EXCEEDED", "cause": "BROWSER_CRASHED"}),
        ("session.restart_limit", {"reason": "BROWSER_CRASHED"}),
        ("session.disconnected", {"reason": "BROWSER_UNAVAILABLE", "cause": "BROWSER_UNAVAILABLE"}),
        ("session.disconnected", {"reason": "NETWORK"}),
    ):
        tallies.happened(Publish(type_, data))
    assert +tallies.deaths == {"PAGE_HUNG": 1, "BROWSER_CRASHED": 1, "BROWSER_UNAVAILABLE": 1}
    assert (tallies.restarts, tallies.given_up) == (1, 2)
    assert tallies.disconnects["NETWORK"] == 1


def test_what_can_befall_a_session_is_there_before_it_does() -> None:
    """As 0: what appears as 1 has, for Prometheus, not increased."""
    table = re.compile(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", re.MULTILINE)
    kinds = re.findall(r"`(\w+)`", " ".join(table.findall((MONITORING.parent / "incidents.md").read_text())))
    actions = {"LOOP_ENDED", "RELOADED", "NEW_PAGE", "NEW_BROWSER", "GIVEN_UP", "NONE"}
    tallies = Tallies()
    assert set(kinds) - actions - {"GPU_CRASHED"} <= tallies.disconnects.keys()
    assert tallies.deaths.keys() <= set(kinds)
    assert tallies.errors["session.start", "INTERNAL_ERROR"] == 0
    assert ("session.start", "INTERNAL_ERROR") in tallies.errors


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.1, 0.5, 7.0, -3.0):
        histogram.observe(seconds)
    assert histogram.buckets() == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    assert histogram.sum_s == pytest.approx(7.6)


async def test_prometheus_asks_a_port_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = f'[metrics]\nlisten = "127.0.0.1:{port}"'
    async with (
        daemon_in(tmp_path, monkeypatch, settings) as daemon,
        daemon.as_user(0) as client,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        await client.call("session.create", name="Open", id="open")
        await client.call("session.create", name="Hidden", id="hidden", settings={"allowedUids": [200]})
        told = await http.get("/metrics")
        assert told.status_code == 200
        assert told.headers["content-type"].startswith("application/openmetrics-text")
        assert values(told.text)["wasup_session_wanted open"] == 0
        assert "hidden" not in told.text
        head = await http.head("/metrics")
        assert (head.status_code, head.text) == (200, "")
        assert (await http.get("/")).status_code == 404
        refused = await http.post("/metrics")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        for rubbish in (b"GET /metrics\r\n\r\n", b"\0\xff" * 9000, b"GET /metrics HTTP/1.1\r\n"):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                with trio.fail_after(20):
                    await stream.send_all(rubbish)
                    await stream.send_eof()
                    assert (await stream.receive_some()).startswith(b"HTTP/1.1 400 ")
        assert (await http.get("/metrics")).status_code == 200


async def test_the_unix_socket_knows_its_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.sock"
    settings = f'[access]\nreader = [300]\n[metrics]\nlisten = "unix:{path}"'
    async with (
        daemon_in(tmp_path, monkeypatch, settings) as daemon,
        daemon.as_user(0) as client,
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as http,
    ):
        await client.call("session.create", name="Hidden", id="hidden", settings={"allowedUids": [200]})
        assert path.stat().st_mode & 0o777 == 0o660
        daemon.next_is(0)
        assert "hidden" in (await http.get("http://wasup/metrics")).text
        daemon.next_is(300)
        assert "hidden" not in (await http.get("http://wasup/metrics")).text
        daemon.next_is(400)
        assert (await http.get("http://wasup/metrics")).status_code == 403
    assert not path.exists()


@pytest.mark.parametrize("place", ["0.0.0.0:9464", "9464", "localhost:9464", "unix:metrics", "127.0.0.1:0"])
def test_only_this_machine_can_ask(place: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.listen"):
        parse(f'[metrics]\nlisten = "{place}"', {"HOME": "/nowhere"})


async def test_dashboard_and_alerts_name_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        text = (await client.call("daemon.metrics"))["text"]
    parsed = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no annotations
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    exist = {family.name + end for family in parsed for end in suffixes.get(family.type, ("",))}
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += re.findall(r"expr: (.*)", (MONITORING / "alerts.yml").read_text())
    named = {name for each in expressions for name in re.findall(r"\b(?:wasup|process)_\w+", each)}
    assert len(expressions) > 30
    assert named <= exist
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])

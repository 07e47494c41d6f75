"""The alert rules and the dashboard, by a real Prometheus that asks a daemon: where one is installed."""

import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from daemon.tallies import DEATHS
from protocol.errors import RpcError
from tests.daemon.inprocess import daemon_in

MONITORING = Path(__file__).parents[2] / "docs/monitoring"
EVENTS = Path(__file__).with_name("alerts.test.yml")
pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None, reason="there is no Prometheus"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def test_alerts_tell_what_they_are_for(tmp_path: Path) -> None:
    for file in (MONITORING / "alerts.yml", EVENTS):
        shutil.copy(file, tmp_path)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", EVENTS.name]):
        done = subprocess.run(
            ["promtool", *command],  # noqa: S607
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A running one, which asks the daemon every second."""

    def __init__(self, port: int) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False)

    async def ask(self, path: str, **params: str) -> Any:
        answer = (await self._http.get(path, params=params)).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    async def query(self, expression: str) -> dict[str, float]:
        """The values, by those of their labels."""
        found = (await self.ask("/query", query=expression))["result"]
        return {
            " ".join(
                v for k, v in sorted(each["metric"].items()) if k not in ("__name__", "instance", "job")
            ): (float(each["value"][1]))
            for each in found
        }

    async def until(self, expression: str) -> dict[str, float]:
        """Ask until there is something."""
        with trio.fail_after(60):
            while not (found := await self.query(expression)):
                pass
            return found

    async def ready(self) -> None:
        """Wait until it answers."""
        with trio.fail_after(60):
            while True:
                try:
                    if (await self._http.get("/status/buildinfo")).is_success:
                        return
                except httpx.TransportError:
                    await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def prometheus(directory: Path, target: int) -> AsyncIterator[Prometheus]:
    port = free_port()
    shutil.copy(MONITORING / "alerts.yml", directory)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {"job_name": "wasup", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]},
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = await trio.lowlevel.open_process(command)
    client = Prometheus(port)
    try:
        await client.ready()
        yield client
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await client.aclose()
            await process.wait()


async def test_every_panel_and_every_alert_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = free_port()
    settings = f'[metrics]\nlisten = "127.0.0.1:{target}"'
    async with (
        daemon_in(tmp_path, monkeypatch, settings) as daemon,
        daemon.as_user(0) as client,
        prometheus(tmp_path, target) as asked,
    ):
        await client.call("session.create", name="Shop", id="shop")
        await client.call("session.start", sessionId="shop", wait=True)
        await client.call(
            "webhook.create", sessionId="shop", url="http://127.0.0.1:9/", events=["call.received"]
        )
        assert await asked.until('wasup_session_connected{session="shop"} == 1')
        with pytest.raises(RpcError):
            await client.call("session.get", sessionId="none")
        assert await asked.until('wasup_rpc_errors_total{code="SESSION_NOT_FOUND"} == 1')
        assert await asked.query("up") == {"": 1}
        assert (await asked.query("wasup_browser_deaths_total")).keys() == set(DEATHS)
        (told,) = (await asked.ask("/targets"))["activeTargets"]
        assert (told["health"], told["lastError"]) == ("up", "")

        panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
        empty = {
            target["expr"]
            for panel in panels
            for target in panel["targets"]
            if not await asked.query(target["expr"])
        }
        # Of browsers there are none here, and nothing has gone wrong.
        assert {each for each in empty if "> 0" not in each and "==" not in each} <= {
            "wasup_session_memory_bytes",
            "rate(wasup_session_cpu_seconds_total[5m])",
        }
        with trio.fail_after(60):
            while True:
                groups = (await asked.ask("/rules"))["groups"]
                rules = [rule for group in groups for rule in group["rules"]]
                if all(rule["health"] != "unknown" for rule in rules):
                    break
        assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
        assert len(rules) > 10
        assert (await asked.ask("/alerts"))["alerts"] == []

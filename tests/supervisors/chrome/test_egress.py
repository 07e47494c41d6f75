"""Nobody but the host that a page is loaded from hears of the browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import trio

from supervisors.chrome.tab import attach_tab

if TYPE_CHECKING:
    from pathlib import Path

    from supervisors.chrome.locate import Browser

    from .conftest import Opener, Site

LOOKED_UP = {"DNS_TRANSACTION", "HOST_RESOLVER_SYSTEM_TASK", "HOST_RESOLVER_MANAGER_JOB"}
NAMED = {"host", "hostname"}
CONNECTED = "TCP_CONNECT_ATTEMPT"


def read_log(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a net log, whose last line a browser may not have finished."""
    constants, _, *lines = path.read_text().splitlines()
    names = json.loads(constants.removesuffix(",") + "}")["constants"]["logEventTypes"]
    of_number = {number: name for name, number in names.items()}
    events = []
    for line in lines:
        try:
            event = json.loads(line.removesuffix(",").removesuffix("]}"))
        except json.JSONDecodeError:
            continue
        events.append((of_number[event["type"]], event.get("params", {})))
    return events


@pytest.mark.chrome
async def test_only_the_navigated_host_is_contacted(
    browser: Browser, opener: Opener, site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "net.json"
    with trio.fail_after(60):
        async with opener(browser, extra_args=[f"--log-net-log={log}"]) as chrome:
            tab = await attach_tab(chrome)
            await tab.navigate(site.url())
            await tab.evaluate("new Promise(done => setTimeout(done, 4000))")
    events = read_log(log)
    names = {str(params[key]) for name, params in events for key in NAMED & set(params) if name in LOOKED_UP}
    assert all("localhost" in name for name in names)
    connected = {params["address"] for name, params in events if name == CONNECTED and "address" in params}
    assert connected
    assert connected <= {f"127.0.0.1:{site.port}", f"[::1]:{site.port}"}
    assert "UDP_BYTES_SENT" not in {name for name, _ in events}

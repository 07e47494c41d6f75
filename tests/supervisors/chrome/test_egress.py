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

RESOLVED = ("DNS_TRANSACTION", "HOST_RESOLVER_SYSTEM_TASK", "HOST_RESOLVER_MANAGER_JOB")
SENT = ("UDP_BYTES_SENT", "SOCKET_BYTES_SENT")


def read_log(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a net log, whose last line a browser may not have finished."""
    constants, *lines = path.read_text().splitlines()[0:1] + path.read_text().splitlines()[2:]
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
    own = f"localhost:{site.port}"
    resolved = [
        text
        for name, params in events
        if name in RESOLVED
        for text in (str(params.get("host", "")), str(params.get("hostname", "")))
        if text and "localhost" not in text
    ]
    assert resolved == []
    connected = {params["address"] for name, params in events if name == "TCP_CONNECT_ATTEMPT" and params}
    assert connected
    assert all(address in (f"127.0.0.1:{site.port}", f"[::1]:{site.port}") for address in connected)
    sent = [params for name, params in events if name == "UDP_BYTES_SENT"]
    assert sent == []
    assert own in json.dumps(events)

"""What the browser says that it is, by the algorithm and to a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from supervisors.chrome.identity import user_agent, user_agent_override
from supervisors.chrome.locate import Browser
from supervisors.chrome.tab import attach_tab

if TYPE_CHECKING:
    from .conftest import Opener, Site

WORKER = """
self.onmessage = async event => {
  const high = await navigator.userAgentData.getHighEntropyValues(["fullVersionList", "platformVersion"]);
  await fetch("/from-" + self.constructor.name);
  (event.source || self).postMessage({ua: navigator.userAgent, high});
};
"""
ASK = """(async () => {
  const high = await navigator.userAgentData.getHighEntropyValues(["fullVersionList", "platformVersion"]);
  const worker = new Worker("/worker.js");
  const fromWorker = await new Promise(done => {
    worker.onmessage = event => done(event.data); worker.postMessage(1);
  });
  const registration = await navigator.serviceWorker.register("/service.js");
  await navigator.serviceWorker.ready;
  const fromService = await new Promise(done => {
    navigator.serviceWorker.onmessage = event => done(event.data); registration.active.postMessage(1);
  });
  return {page: {ua: navigator.userAgent, high}, fromWorker, fromService, languages: navigator.languages};
})()"""


def brands(version: str, *, branded: bool) -> list[str]:
    browser = Browser(Path("/b"), version, headless_shell=False, branded=branded)
    metadata = user_agent_override(browser)["userAgentMetadata"]
    return [f"{entry['brand']} {entry['version']}" for entry in metadata["brands"]]


def test_brands_are_those_of_real_versions() -> None:
    # 156 as Debian's build says it; 120 and 121 as Google Chrome did.
    assert brands("156.0.8078.79", branded=False) == ["Not:A-Brand 8", "Chromium 156"]
    assert brands("120.0.6099.71", branded=True) == ["Not_A Brand 8", "Chromium 120", "Google Chrome 120"]
    assert brands("121.0.6167.85", branded=True) == ["Not A(Brand 99", "Google Chrome 121", "Chromium 121"]


def test_the_user_agent_is_reduced() -> None:
    browser = Browser(Path("/b"), "156.0.8078.79", headless_shell=True)
    assert user_agent(browser).endswith("Chrome/156.0.0.0 Safari/537.36")


@pytest.mark.chrome
async def test_nothing_says_headless(browser: Browser, opener: Opener, site: Site) -> None:
    site.pages["/worker.js"] = site.pages["/service.js"] = ("text/javascript", WORKER)
    with trio.fail_after(30):
        async with opener(browser) as chrome:
            tab = await attach_tab(chrome)
            await tab.navigate(site.url())
            told: dict[str, Any] = await tab.evaluate(ASK)
            again: dict[str, Any] = await tab.evaluate(ASK)
    assert "Headless" not in json.dumps([told, again, site.requests])
    assert told["languages"] == ["en-US", "en"]
    expected = user_agent_override(browser)["userAgentMetadata"]
    for who in ("page", "fromWorker", "fromService"):
        assert told[who]["ua"] == user_agent(browser)
        assert told[who]["high"]["brands"] == expected["brands"], who
        assert told[who]["high"]["fullVersionList"] == expected["fullVersionList"], who
    asked = dict(site.requests)
    assert {"/from-DedicatedWorkerGlobalScope", "/from-ServiceWorkerGlobalScope"} <= set(asked)
    assert all(headers["User-Agent"] == user_agent(browser) for headers in asked.values())
    assert '"Chromium";v="156"'.replace("156", str(browser.major)) in asked["/"]["sec-ch-ua"]
    assert asked["/"]["Accept-Language"] == "en-US,en;q=0.9"

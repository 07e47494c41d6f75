"""The command line."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from supervisors.chrome.flags import BLOCKED_HOSTS, SHM_MIN_BYTES, arguments
from supervisors.chrome.locate import Browser

SHELL = Browser(Path("/b/chromium-headless-shell"), "156.0.8078.79", headless_shell=True)
FULL = Browser(Path("/b/chromium"), "156.0.8078.79", headless_shell=False)


def build(
    *extra: str, browser: Browser = FULL, sandbox: bool = True, shm_bytes: int = SHM_MIN_BYTES
) -> list[str]:
    return arguments(
        browser, Path("/p"), sandbox=sandbox, user_agent="UA", extra_args=extra, shm_bytes=shm_bytes
    )


def value(line: list[str], name: str) -> str:
    found = [switch.partition("=")[2] for switch in line if switch.partition("=")[0] == name]
    assert len(found) == 1, "Chrome would take the last alone"
    return found[0]


def test_what_is_always_there() -> None:
    line = build()
    assert line[0] == "/b/chromium"
    assert line[-1] == "about:blank"
    assert {"--headless=new", "--remote-debugging-pipe", "--user-data-dir=/p", "--user-agent=UA"} <= set(line)
    assert "--headless" in build(browser=SHELL)


def test_what_is_never_there() -> None:
    switches = {switch.partition("=")[0] for switch in build(sandbox=True)}
    assert not switches & {
        "--no-sandbox",
        "--single-process",
        "--disable-web-security",
        "--ignore-certificate-errors",
        "--enable-automation",
        "--disable-dev-shm-usage",
        "--remote-debugging-port",
    }


def test_a_port_instead_of_pipes() -> None:
    line = arguments(FULL, Path("/p"), sandbox=True, user_agent="UA", listening=True)
    assert "--remote-debugging-port=0" in line
    assert "--remote-debugging-pipe" not in line
    assert not any(switch.startswith("--remote-debugging-address") for switch in line)


def test_the_sandbox_and_small_shared_memory() -> None:
    assert "--no-sandbox" in build(sandbox=False)
    assert "--disable-dev-shm-usage" in build(shm_bytes=64 << 20)


def test_lists_of_the_administrator_are_joined_with_ours() -> None:
    line = build(
        "--host-resolver-rules=MAP a 1.2.3.4, EXCLUDE b",
        "--disable-features=Mine,Translate",
        "--enable-features=OptimizationHints,Other",
        "--disable-features=NetworkServiceInProcess2",
    )
    assert value(line, "--host-resolver-rules").startswith("MAP a 1.2.3.4,EXCLUDE b,MAP google.com ~NOTFOUND")
    off = value(line, "--disable-features").split(",")
    assert off[:3] == ["Mine", "Translate", "NetworkServiceInProcess2"]
    assert off.count("Translate") == 1
    assert "OptimizationHints" not in off
    assert value(line, "--enable-features") == "OptimizationHints,Other"


def test_other_values_of_the_administrator_replace_ours() -> None:
    assert value(build("--lang=pt-BR"), "--lang") == "pt-BR"
    assert "--proxy-server=http://p:1" in build("--proxy-server=http://p:1")


@pytest.mark.parametrize(
    "switch", ["about:blank", "-x", "--", "--remote-debugging-port=1", "--user-data-dir=/x"]
)
def test_what_the_administrator_cannot_set(switch: str) -> None:
    with pytest.raises(ValueError, match=switch.partition("=")[0]):
        build(switch)


@pytest.mark.parametrize(
    "host",
    [
        "web.whatsapp.com",
        "whatsapp.com",
        "mmg.whatsapp.net",
        "media.cdn.whatsapp.net",
        "scontent.xx.fbcdn.net",
    ],
)
def test_no_host_of_whatsapp_is_blocked(host: str) -> None:
    assert not any(fnmatch.fnmatch(host, pattern) for pattern in BLOCKED_HOSTS)

"""A small daemon: launches a browser, prints its pid, and ends when its standard input does."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import structlog
import trio

from supervisors.chrome.launch import open_browser
from supervisors.chrome.locate import Browser
from supervisors.chrome.tab import attach_tab


async def main(*arguments: str) -> None:
    """Run a browser; sandboxed, the page first shows that it works."""
    mode, path, directory = arguments
    browser = Browser(Path(path), "156.0.0.0", headless_shell="headless" in path)
    async with open_browser(
        browser,
        profile_dir=Path(directory) / "profile",
        temp_dir=Path(directory) / "tmp",
        session_id="child",
        sandbox=mode == "sandboxed" or os.geteuid() != 0,
    ) as chrome:
        tab = await attach_tab(chrome)
        assert await tab.evaluate("1 + 1") == 2
        sys.stdout.write(f"{chrome.process.pid}\n")
        sys.stdout.flush()
        await trio.lowlevel.wait_readable(0)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if sys.argv[1] == "sandboxed" and os.geteuid() == 0:
        # Everything is imported by now: the ordinary user may not be able to read this installation.
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    trio.run(main, *sys.argv[1:])

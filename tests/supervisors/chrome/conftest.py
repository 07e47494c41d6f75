"""Real browsers, a loopback server and a look for leaks."""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from attrs import define, field

from supervisors.chrome import processes
from supervisors.chrome.errors import BrowserUnavailable
from supervisors.chrome.launch import open_browser
from supervisors.chrome.locate import Browser, locate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from supervisors.chrome.launch import StartedChrome

HEADLESS_SHELL = Path("/usr/bin/chromium-headless-shell")
FULL = Path("/usr/bin/chromium")


@pytest.fixture(params=[HEADLESS_SHELL, FULL], ids=["shell", "full"])
async def browser(request: pytest.FixtureRequest) -> Browser:
    """Each browser that is installed."""
    return await installed(request.param)


async def installed(path: Path) -> Browser:
    try:
        return await locate(str(path))
    except BrowserUnavailable as error:
        pytest.skip(error.reason)


@pytest.fixture
async def shell() -> Browser:
    """The lighter browser, for what does not depend on which."""
    return await installed(HEADLESS_SHELL)


class Opener(Protocol):
    """`open_browser` on a profile in the test's directory."""

    def __call__(self, browser: Browser, **options: Any) -> AbstractAsyncContextManager[StartedChrome]: ...


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    """`open_browser` on a profile in the test's directory."""

    def open_here(browser: Browser, **options: Any) -> AbstractAsyncContextManager[StartedChrome]:
        return open_browser(
            browser,
            profile_dir=tmp_path / "profile",
            temp_dir=tmp_path / "tmp",
            session_id="test",
            sandbox=os.geteuid() != 0,
            **options,
        )

    return open_here


def open_fds() -> set[str]:
    """Return this process's open fds with what they lead to, but for those of trio's own that stay."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(f"{entry.name} -> {entry.readlink()}")
    return found


def processes_of(directory: Path) -> list[int]:
    """Return the living processes that were started with temporary files or a profile below a directory."""
    found = []
    for process in processes.table():
        if process.state in processes.GONE or process.pid == os.getpid():
            continue
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                if os.fsencode(directory) in (processes.PROC / str(process.pid) / name).read_bytes():
                    found.append(process.pid)
    return found


@define
class Site:
    """A loopback server: pages by path, and what was asked of it."""

    pages: dict[str, tuple[str, str]] = field(factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(factory=list)
    port: int = 0

    def url(self, path: str = "/") -> str:
        """Return the address of a page."""
        return f"http://localhost:{self.port}{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    """A loopback web server with an empty page at /."""
    site = Site(pages={"/": ("text/html", "<!doctype html><title>test</title>")})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append((self.path, dict(self.headers)))
            kind, body = site.pages.get(self.path.partition("?")[0], ("text/plain", ""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.send_header("Accept-CH", "Sec-CH-UA-Full-Version-List, Sec-CH-UA-Platform-Version")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()

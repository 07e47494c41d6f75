"""A browser that somebody else runs, for as long as a block lasts: connected to, and left as it was found.

One such browser serves one session: its pages and its storage are that session's alone. What it was started
with (proxy, resolver rules, profile, sandbox) is the business of whoever started it.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from supervisors.chrome.devtools import Connection
from supervisors.chrome.errors import BrowserUnreachable, CallTimeout, ChromeError, ConnectionClosed
from supervisors.chrome.identity import user_agent_override
from supervisors.chrome.launch import Attendants, Chrome, bare_error, greet
from supervisors.chrome.locate import Browser
from supervisors.chrome.websocket import dial, find_socket, origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

log = structlog.get_logger(__name__)

NEW_PAGE: Final = {"url": "about:blank", "background": True}
OPEN_TIMEOUT_S: Final = 5.0
HEADLESS: Final = "Headless"
"""What a browser without a window calls itself, unless it was told not to."""


@contextlib.asynccontextmanager
async def connect_browser(
    endpoint: str,
    *,
    site: str,
    clear: bool,
    session_id: str,
    connect_timeout_s: float = 30.0,
    leave_s: float = 3.0,
) -> AsyncIterator[Chrome]:
    """Use a browser that runs elsewhere while the block lasts.

    Args:
        endpoint: its WebSocket, or its debugging port; see `websocket.find_socket`.
        site: scheme and host, such as "https://web.whatsapp.com". Pages of it that are open are closed first:
            an earlier daemon left them.
        clear: whether to remove, before anything else, all that the site has stored in the browser.
        session_id: for the log.
        connect_timeout_s: seconds until the browser must have answered.
        leave_s: seconds for closing the page on the way out.

    Raises:
        BrowserUnreachable: it does not answer, or not in time.
        BrowserUnavailable: whoever answers is no browser, or refuses.

    Leaving the block closes the page that was used and nothing else; it takes `leave_s` plus a second at most
    and is not cancellable. The browser's end does not end the block: calls then raise ConnectionClosed, and
    `Connection.ended` returns.
    """
    place = origin(endpoint)
    with bare_error():
        async with trio.open_nursery() as nursery:
            attendants = Attendants(nursery)
            chrome: Chrome | None = None
            connection: Connection | None = None
            target_id: str | None = None
            try:
                with trio.move_on_after(connect_timeout_s):
                    transport = await dial(await find_socket(endpoint))
                    attendants.start(transport.run)
                    await transport.opened()
                    connection = Connection(transport)
                    attendants.start(connection.run)
                    try:
                        version = await greet(connection)
                        target_id = await _open_page(connection)
                        await _tidy(connection, target_id, site, clear=clear)
                    except ConnectionClosed:
                        raise BrowserUnreachable(place, "it hung up") from None
                    except CallTimeout as error:
                        raise BrowserUnreachable(place, str(error)) from None
                    chrome = Chrome(
                        connection=connection,
                        product=version["product"],
                        user_agent_override=_override(version),
                        target_id=target_id,
                    )
                if chrome is None:
                    raise BrowserUnreachable(place, f"no answer within {connect_timeout_s:g} s")
                log.info(
                    "remote_browser_connected", session_id=session_id, place=place, product=chrome.product
                )
                yield chrome
            finally:
                if connection is not None:
                    with trio.move_on_after(leave_s, shield=True), contextlib.suppress(ChromeError):
                        if target_id is not None:
                            await _close_page(connection, target_id)
                    with trio.move_on_after(1, shield=True):
                        await connection.aclose()
                attendants.dismiss()


async def _open_page(connection: Connection) -> str:
    with trio.CancelScope(shield=True):  # a page that is opened must be known, to be closed
        reply = await connection.call("Target.createTarget", NEW_PAGE, timeout_s=OPEN_TIMEOUT_S)
    target_id: str = reply["targetId"]
    return target_id


async def _tidy(connection: Connection, target_id: str, site: str, *, clear: bool) -> None:
    for page in await _pages(connection):
        if page["targetId"] != target_id and f"{page['url']}/".startswith(f"{site}/"):
            await connection.call("Target.closeTarget", {"targetId": page["targetId"]}, timeout_s=math.inf)
            log.info("left_over_page_closed", target_id=page["targetId"])
    if clear:
        await _clear(connection, target_id, site)


async def _clear(connection: Connection, target_id: str, site: str) -> None:
    attached = await connection.call(
        "Target.attachToTarget", {"targetId": target_id, "flatten": True}, timeout_s=math.inf
    )
    session_id = attached["sessionId"]
    params = {"origin": site, "storageTypes": "all"}
    await connection.call("Storage.clearDataForOrigin", params, session_id=session_id, timeout_s=math.inf)
    await connection.call("Target.detachFromTarget", {"sessionId": session_id}, timeout_s=math.inf)


async def _close_page(connection: Connection, target_id: str) -> None:
    """Close our page; some browsers end with their last one, which therefore gets a successor."""
    if all(page["targetId"] == target_id for page in await _pages(connection)):
        await connection.call("Target.createTarget", NEW_PAGE)
    await connection.call("Target.closeTarget", {"targetId": target_id})


async def _pages(connection: Connection) -> list[dict[str, Any]]:
    reply = await connection.call("Target.getTargets", timeout_s=math.inf)
    return [target for target in reply["targetInfos"] if target["type"] == "page"]


def _override(version: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what a browser without a window shall call itself; one with a window is left as it is."""
    if HEADLESS not in version["userAgent"]:
        return None
    number = version["product"].partition("/")[2]
    return user_agent_override(Browser(Path(), number, headless_shell=True))

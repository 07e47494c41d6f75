"""The bridge in a real Chrome, without a session around it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from supervisors.chrome.launch import open_browser
from supervisors.chrome.locate import locate
from supervisors.chrome.tab import PreloadScript, Tab, attach_tab
from supervisors.whatsapp.library import BINDING, Library
from supervisors.whatsapp.page import WhatsAppPage

if TYPE_CHECKING:
    from supervisors.whatsapp.page_pin import PagePin


@asynccontextmanager
async def bridged(
    directory: Path, library: Library, extra_args: list[str] | None = None
) -> AsyncIterator[tuple[Tab, WhatsAppPage]]:
    """Give a tab of a new browser, whose pages will have the library and the bridge; none is loaded yet."""
    chrome = open_browser(
        await locate("auto"),
        profile_dir=directory / "profile",
        temp_dir=directory / "tmp",
        session_id="test",
        sandbox=os.geteuid() != 0,
        extra_args=extra_args or [],
    )
    async with chrome as browser:
        tab = await attach_tab(browser, PreloadScript(library.injection("wasup"), BINDING))
        yield tab, WhatsAppPage(tab, cast("PagePin", None))

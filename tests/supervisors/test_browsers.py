"""Whose a browser elsewhere is, and what a session finds in it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisors.browsers import browser_of
from supervisors.chrome import remote
from supervisors.chrome.errors import BrowserUnavailable, BrowserUnreachable
from supervisors.login import Login
from supervisors.settings import BrowserSettings, SupervisorSettings, WhatsAppSettings

ALONE, EACH = "ws://browsers:1/x", "ws://browsers:1/{session}/x"


class Elsewhere:
    """Stands in for the browsers: notes who connects, and how."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self.there = True

    @asynccontextmanager
    async def connect(self, endpoint: str, *, site: str, clear: bool, **_more: Any) -> AsyncIterator[None]:
        self.asked.append((endpoint, site, clear))
        if not self.there:
            raise BrowserUnreachable("ws://browsers:1", "gone")
        yield


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    elsewhere = Elsewhere()
    monkeypatch.setattr(remote, "connect_browser", elsewhere.connect)
    return elsewhere


async def live(session_id: str, endpoint: str, sessions_dir: Path) -> None:
    settings = SupervisorSettings(
        browser=BrowserSettings(transport="websocket", endpoint=endpoint),
        whatsapp=WhatsAppSettings(url="https://web.whatsapp.com:8443/page?x"),
    )
    login = Login(session_id, sessions_dir / session_id, settings.profile, print, print)
    async with browser_of(
        session_id,
        settings=settings,
        browser=None,
        sandbox=None,
        sessions_dir=sessions_dir,
        login=login,
    ):
        pass


async def test_what_was_stored_is_cleared_once(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.there = False
    with pytest.raises(BrowserUnreachable):
        await live("shop", ALONE, tmp_path)
    elsewhere.there = True
    for _ in range(3):
        await live("shop", ALONE, tmp_path)
    site = "https://web.whatsapp.com:8443"
    assert elsewhere.asked == [(ALONE, site, clear) for clear in (True, True, False, False)]
    shutil.rmtree(tmp_path / "shop" / "profile")  # as clearing the login does
    await live("shop", ALONE, tmp_path)
    assert elsewhere.asked[-1] == (ALONE, site, True)


async def test_one_browser_is_for_one_session(elsewhere: Elsewhere, tmp_path: Path) -> None:
    await live("shop", ALONE, tmp_path)
    with pytest.raises(BrowserUnavailable, match="that of session shop") as caught:
        await live("desk", ALONE, tmp_path)
    assert "{session}" in caught.value.action
    shutil.rmtree(tmp_path / "shop")
    await live("desk", ALONE, tmp_path)
    assert [clear for _, _, clear in elsewhere.asked] == [True, True]


async def test_with_its_id_in_the_address_each_session_has_its_own(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    await live("shop", EACH, tmp_path)
    await live("desk", EACH, tmp_path)
    await live("shop", EACH, tmp_path)
    assert [(endpoint, clear) for endpoint, _, clear in elsewhere.asked] == [
        ("ws://browsers:1/shop/x", True),
        ("ws://browsers:1/desk/x", True),
        ("ws://browsers:1/shop/x", False),
    ]

"""page.save and page.update: the newest page is taken in one session for one caller at a time."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from daemon.handlers import pages
from protocol.errors import RpcError
from protocol.models import PageSessionParams
from supervisors.whatsapp.page_pin import PagePin


class Loading:
    """A session that loads its page for as long as the test lasts."""

    id = "shop"

    def __init__(self) -> None:
        tab: Any = None
        stored: Any = None
        self.state = self.told = SimpleNamespace(status="connecting", repair=None)
        self.life = SimpleNamespace(page=SimpleNamespace(pin=PagePin(tab, stored)))
        self.reloads = 0

    def give(self, _command: object) -> None:
        self.reloads += 1

    async def until(self, _condition: object) -> None:
        await trio.sleep_forever()


async def test_another_caller_does_not_take_it_away(nursery: trio.Nursery) -> None:
    session = Loading()
    liveness = SimpleNamespace(connect_timeout=90.0)
    service: Any = SimpleNamespace(
        session=lambda _id: session,
        config=SimpleNamespace(supervisor=SimpleNamespace(liveness=liveness)),
    )
    call: Any = None
    params = PageSessionParams(session_id="shop")
    nursery.start_soon(pages.save, service, call, params)
    await wait_all_tasks_blocked()
    with pytest.raises(RpcError, match="SESSION_BUSY"):
        await pages.update(service, call, params)
    assert session.reloads == 1
    nursery.cancel_scope.cancel()

"""Answers of the page to actions, where the page is not what it should be."""

from types import SimpleNamespace
from typing import Any

import pytest

from daemon.handlers import page_actions
from protocol import models as m
from protocol.errors import RpcError


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([{"id": "49@c.us", "t": 10**30}], "PAGE_ERROR"),
        ([{"t": 1}], "PAGE_ERROR"),
        ([None], "PAGE_ERROR"),
        (None, "PAGE_ERROR"),
    ],
    ids=["an hour far away", "nobody", "nothing in it", "nothing"],
)
async def test_an_answer_that_is_none_is_the_pages_error(answer: Any, code: str) -> None:
    async def ask(*_args: object, **_options: object) -> Any:
        return answer

    session = SimpleNamespace(connected_page=lambda: SimpleNamespace(ask=ask))
    service: Any = SimpleNamespace(session=lambda _id: session)
    call: Any = None
    params = m.GroupParams(session_id="shop", group_id="1@g.us")
    with pytest.raises(RpcError, match=code):
        await page_actions._act("group.requests", service, call, params)

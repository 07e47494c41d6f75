"""What a client is told when the page's answer is lost."""

from typing import TYPE_CHECKING, Any, cast

import pytest

from protocol.errors import RpcError
from supervisors.chrome.errors import CallTimeout, ChromeError
from supervisors.whatsapp.page import WhatsAppPage

if TYPE_CHECKING:
    from supervisors.chrome.tab import Tab
    from supervisors.whatsapp.page_pin import PagePin


class _Tab:
    """Gives one answer, or none."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def evaluate(self, _expression: str, *, timeout_s: float) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def _refusal(code: str) -> dict[str, Any]:
    return {"error": {"name": "Error", "message": "no", "code": code}}


@pytest.mark.parametrize(
    ("answer", "once", "code"),
    [
        (CallTimeout("evaluate", 1), False, "PAGE_TIMEOUT"),
        (CallTimeout("evaluate", 1), True, "OUTCOME_UNKNOWN"),
        (ChromeError("gone"), False, "SESSION_NOT_CONNECTED"),
        (ChromeError("gone"), True, "OUTCOME_UNKNOWN"),
        (_refusal("NOT_READY"), True, "SESSION_NOT_CONNECTED"),
        (_refusal("group_you_are_not_admin"), True, "PAGE_ERROR"),
    ],
)
async def test_what_is_known_of_it(answer: Any, once: bool, code: str) -> None:
    page = WhatsAppPage(cast("Tab", _Tab(answer)), cast("PagePin", None))
    with pytest.raises(RpcError) as refusal:
        await page.ask("act", {}, once=once)
    assert refusal.value.code == code

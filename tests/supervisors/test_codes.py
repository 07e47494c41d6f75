"""The codes of a page, with a page that shows what the test has it show."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from supervisors.chrome.errors import CallTimeout
from supervisors.codes import REFRESH_AGAIN_S, Codes
from supervisors.whatsapp.page import Failure


def test_the_first_code_of_a_row_is_valid_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, int]] = []

    def show_qr(code: str, expires_at_ms: int) -> None:
        shown.append((code, expires_at_ms))

    monkeypatch.setattr("supervisors.codes.time.time", lambda: 1000)
    session: Any = SimpleNamespace(show_qr=show_qr, hide_qr=lambda: shown.append(("", 0)))
    page: Any = None
    codes = Codes(session, page)
    codes.take_qr("1")
    codes.take_qr("2")
    codes.take_qr(None)
    codes.over()
    codes.take_qr("3")
    assert shown == [("1", 1_060_000), ("2", 1_020_000), ("", 0), ("3", 1_060_000)]


@pytest.mark.parametrize(
    ("asked", "qr", "status"),
    [
        (3, None, "qr_generated"),  # until the page does as it is asked to
        (1, "2@", "qr_generated"),  # it shows one all the same
        (1, None, "connected"),  # no code is wanted any more
    ],
)
async def test_an_idle_page_is_asked_until_codes_are_there(
    asked: int, qr: str | None, status: str, autojump_clock: trio.testing.MockClock
) -> None:
    answers = iter([Failure(name="Error", message="", code=None), CallTimeout("Runtime.evaluate", 10), None])
    times = 0

    async def refresh_qr() -> Failure | None:
        nonlocal times
        times += 1
        match next(answers):
            case CallTimeout() as error:
                raise error
            case answer:
                return answer

    session: Any = SimpleNamespace(id="shop", qr=qr, state=SimpleNamespace(status=status))
    page: Any = SimpleNamespace(refresh_qr=refresh_qr)
    await Codes(session, page).refresh()
    assert times == asked
    assert trio.current_time() >= REFRESH_AGAIN_S * min(asked, 2)

"""Whether the sandbox is on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from supervisors.chrome.errors import BrowserUnavailable
from supervisors.chrome.locate import Browser
from supervisors.chrome.sandbox import Kernel, decide, read_kernel, refused_by_chrome

FREE = Kernel(max_user_namespaces=1000, unprivileged_userns_clone=None, apparmor_restricts=None)
BROWSER = Browser(Path("/nowhere/chromium"), "1.2.3.4", headless_shell=False)


def test_an_ordinary_user_has_it() -> None:
    assert decide("auto", BROWSER, uid=1000, kernel=FREE)
    assert decide(True, BROWSER, uid=1000, kernel=FREE)


def test_it_can_be_switched_off() -> None:
    assert not decide(False, BROWSER, uid=1000, kernel=FREE)


def test_root_has_none_and_may_not_demand_it() -> None:
    assert not decide("auto", BROWSER, uid=0, kernel=FREE)
    with pytest.raises(BrowserUnavailable, match="ordinary user"):
        decide(True, BROWSER, uid=0, kernel=FREE)


@pytest.mark.parametrize("kernel", [Kernel(0, None, None), Kernel(1000, 0, None)])
def test_without_user_namespaces_it_says_what_to_do(kernel: Kernel) -> None:
    settings: tuple[Literal["auto", True], ...] = ("auto", True)
    for setting in settings:
        with pytest.raises(BrowserUnavailable, match="user namespaces") as caught:
            decide(setting, BROWSER, uid=1000, kernel=kernel)
        assert "sandbox = false" in caught.value.action


def test_apparmor_is_left_to_chrome_to_try() -> None:
    assert decide("auto", BROWSER, uid=1000, kernel=Kernel(1000, 1, 1))


def test_the_kernels_switches_are_read(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("0\n")
    assert read_kernel(tmp_path) == Kernel(0, None, None)
    assert read_kernel().max_user_namespaces is not None


def test_chromes_own_refusal_is_recognised() -> None:
    assert refused_by_chrome("[1:1:FATAL:zygote_host_impl_linux.cc(128)] No usable sandbox! ...")
    assert not refused_by_chrome("something else")

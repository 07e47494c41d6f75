"""What the browser says that it is: the same as with a window, never "Headless".

The words are those of the very same build with a window: Chromium calls itself Chromium, Google Chrome
calls itself Google Chrome. The switch `--user-agent` covers the header and `navigator.userAgent` everywhere;
the client hints (`Sec-CH-UA*`, `navigator.userAgentData`) need an override on the page, which covers its
dedicated workers, and another on every service worker.

Source: components/embedder_support/user_agent_utils.cc (Chromium 156).
"""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from supervisors.chrome.locate import Browser

LANGUAGES: Final = "en-US,en"

GREASE_CHARACTERS: Final = (" ", "(", ":", "-", ".", "/", ")", ";", "=", "?", "_")
GREASE_VERSIONS: Final = ("8", "99", "24")
ORDERS: Final = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
ARCHITECTURES: Final = {"x86_64": ("x86", "64"), "i686": ("x86", "32"), "aarch64": ("arm", "64")}


def user_agent(browser: Browser) -> str:
    """Return the User-Agent, reduced to the major version as every Chrome's is."""
    return (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{browser.major}.0.0.0 Safari/537.36"
    )


def user_agent_override(browser: Browser) -> dict[str, Any]:
    """Return the parameters of `Emulation.setUserAgentOverride`: User-Agent, languages and client hints."""
    architecture, bitness = ARCHITECTURES.get(platform.machine(), ("", ""))
    release = re.match(r"\d+(\.\d+)*", platform.release())
    return {
        "userAgent": user_agent(browser),
        "acceptLanguage": LANGUAGES,
        "userAgentMetadata": {
            "brands": _brands(browser, full=False),
            "fullVersionList": _brands(browser, full=True),
            "fullVersion": browser.version,
            "platform": "Linux",
            "platformVersion": release[0] if release else "",
            "architecture": architecture,
            "bitness": bitness,
            "model": "",
            "mobile": False,
            "wow64": False,
            "formFactors": ["Desktop"],
        },
    }


def _brands(browser: Browser, *, full: bool) -> list[dict[str, str]]:
    """Return the brands in the order, and with the nonsense among them, that belong to the major version."""
    seed = browser.major
    characters = [GREASE_CHARACTERS[(seed + step) % len(GREASE_CHARACTERS)] for step in (0, 1)]
    grease_version = GREASE_VERSIONS[seed % len(GREASE_VERSIONS)]
    version = browser.version if full else str(browser.major)
    brands = [
        ("Not{}A{}Brand".format(*characters), f"{grease_version}.0.0.0" if full else grease_version),
        ("Chromium", version),
    ]
    if browser.branded:
        brands.append(("Google Chrome", version))
    order = ORDERS[seed % len(ORDERS)] if browser.branded else (seed % 2, (seed + 1) % 2)
    placed = sorted(zip(order, brands, strict=True))
    return [{"brand": brand, "version": number} for _, (brand, number) in placed]

"""What the browser says that it is: the same as with a window, never "Headless".

The words are those of the very same build with a window: Chromium calls itself Chromium, Google Chrome
calls itself Google Chrome.

Source: components/embedder_support/user_agent_utils.cc (Chromium 156).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisors.chrome.locate import Browser


def user_agent(browser: Browser) -> str:
    """Return the User-Agent, reduced to the major version as every Chrome's is since 101."""
    return (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{browser.major}.0.0.0 Safari/537.36"
    )

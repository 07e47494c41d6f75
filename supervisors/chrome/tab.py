"""One page of a browser: navigated, evaluated in, listened to.

Must not know which page it is.
"""

from __future__ import annotations

from typing import Final

ATTACH_TIMEOUT_S: Final = 30.0
EVALUATE_TIMEOUT_S: Final = 30.0
NAVIGATE_TIMEOUT_S: Final = 60.0

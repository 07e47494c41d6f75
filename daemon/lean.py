"""Keeps structlog from loading rich, to be imported before it: 4 MiB and a tenth of the start.

structlog 26 imports rich wherever it is installed, for tracebacks in colour; the daemon's have none. The one
module that does something when it is imported.
"""

import sys

if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import fails, which structlog allows for
    import structlog

    del sys.modules["rich"]
    __all__ = ["structlog"]

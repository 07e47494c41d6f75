"""Keeps structlog from loading rich and asyncio, to be imported before it: 6 MiB and a fifth of the start.

structlog 26 imports rich wherever it is installed, for tracebacks in colour; the daemon's have none. It also
imports asyncio, for methods that asyncio programs await; should one be called after all, it is loaded then.
The one module that does something when it is imported.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

if "structlog" not in sys.modules:
    later = ModuleType("asyncio")
    later.__getattr__ = lambda name: getattr(import_module("asyncio"), name)  # type: ignore[method-assign]
    # Of a None the import fails, which structlog allows for.
    stands_in: dict[str, Any] = {"rich": None, "asyncio": later}
    stands_in = {name: module for name, module in stands_in.items() if name not in sys.modules}
    sys.modules.update(stands_in)
    import structlog

    for name in stands_in:
        del sys.modules[name]
    __all__ = ["structlog"]

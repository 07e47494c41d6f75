"""The page library (wa-js): where it is, and what is injected into the page.

The version is pinned in package.json beside this file, its integrity in package-lock.json; `npm ci` fetches
it there and checks it. Nothing of it is committed.
"""

import functools
import re
from pathlib import Path

import attrs
import msgspec

from supervisors.whatsapp.needs import NAMES, REPLACED

_HERE = Path(__file__).parent
_PINNED = _HERE / "node_modules" / "@wppconnect" / "wa-js" / "dist" / "wppconnect-wa.js"
NAME = "wa-js"
BINDING = "wasupTell"
_PARTS = (
    "send",
    "messages",
    "reach",
    "code",
    "link",
    "verify",
    "settle",
)  # in this order: later ones use what earlier ones define

# The defaults of wa-js 4.6.0 call third parties: link previews go to servers of its authors (every link that
# is sent), and Google Analytics is told of every start. All of it is off before the library runs.
# https://github.com/wppconnect-team/wa-js/blob/v4.6.0/src/config/index.ts
_QUIET: dict[str, object] = {
    "disableGoogleAnalytics": True,
    "googleAnalyticsId": None,
    "linkPreviewApiServers": [],
    "poweredBy": None,
}

# What `Date` is to the library, and to nobody else: see bridge/settle.js. It is the page's own in all but
# `now`, so that dates are of one class on both sides.
_CLOCK = """\
const libraryClock = { aheadMs: 0 };
libraryClock.now = () => Date.now() + libraryClock.aheadMs;
libraryClock.date = new Proxy(Date, {
  get: (date, name) => (name === 'now' ? libraryClock.now : Reflect.get(date, name)),
});
"""


class LibraryMissingError(Exception):
    """The page library is not where it should be; `action` says what to do."""

    def __init__(self, message: str, action: str) -> None:
        super().__init__(message)
        self.action = action


@attrs.frozen
class Library:
    """The page library's source; `path` says where it came from."""

    path: Path
    source: str = attrs.field(repr=False)

    @property
    def version(self) -> str | None:
        """The version that the bundle's own banner gives."""
        banner = re.search(r"wa-js v([\w.-]+)", self.source[:1000])
        return None if banner is None else banner[1]

    def injection(self, device_name: str) -> str:
        """Return the script to evaluate at the start of every document of the page.

        It does nothing in frames, nor when the library is there already: evaluating the bundle twice would
        replace `WPP` and lose every listener. `device_name` is what the phone lists the linked device as.
        """
        return _script(self.source, device_name)


@functools.lru_cache(maxsize=16)  # half a megabyte, and every session has one for as long as it lives
def _script(source: str, device_name: str) -> str:
    config = msgspec.json.encode({**_QUIET, "deviceName": device_name}).decode()
    parts = "\n".join((_HERE / "bridge" / f"{part}.js").read_text() for part in _PARTS)
    bridge = (_HERE / "bridge.js").read_text().replace("// BRIDGE_PARTS", parts)
    bridge = bridge.replace("WPP_BINDING", BINDING)
    bridge = bridge.replace("BRIDGE_NEEDS", msgspec.json.encode(NAMES).decode())
    bridge = bridge.replace("BRIDGE_REPLACED", msgspec.json.encode(REPLACED).decode())
    return (
        "if (window === window.top && !window.WPP) {\n"
        f"window.WPPConfig = {config};\n"
        f"{_CLOCK}"
        f"((Date) => {{\n{source}\n}})(libraryClock.date);\n"
        f"{bridge}\n"
        "}"
    )


def load(setting: str) -> Library:
    """Read the page library; `setting` is a path, or "auto" for the pinned one.

    Raises:
        LibraryMissingError: there is no such file; the text says what to do.
    """
    path = _PINNED if setting == "auto" else Path(setting)
    try:
        return Library(path, path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryMissingError(
            f"The page library {path} cannot be read ({error}).",
            "Run `make setup`, or install a wheel of `make dist`."
            if setting == "auto"
            else "Correct [whatsapp] page_library.",
        ) from None

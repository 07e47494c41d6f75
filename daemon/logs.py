"""The daemon's own log: structured lines on standard error.

Owns the shape of a line and what may not be in one. The event is a fixed snake_case string in the past tense;
data goes in keys. What people write to each other, what logs an account in and telephone numbers in full are
taken out here even where a caller forgets; that is the second line of defence, not the first.
"""

import contextlib
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

_SECRET_KEYS: Final = frozenset(
    {
        *(
            "apikey",
            "authorization",
            "cookie",
            "encryptionkey",
            "passphrase",
            "password",
            "privatekey",
            "proxy",
        ),
        *("secret", "token", "webhooksecret"),
        *("pairingcode", "qr", "qrcode", "qrtext"),
        *("body", "caption", "data", "params", "text"),
    }
)
"""Keys that are dropped, wherever in a line they stand; compared without case, `_` and `-`."""

_PHONE_KEYS: Final = frozenset(
    {
        *("author", "contact", "from", "participant", "phone", "phonenumber", "recipient", "sender", "to"),
        *("chat", "chatid", "wid"),
    }
)
"""Keys whose text is shortened by `masked` where it holds a number; states too have a `from` and a `to`."""

_SHORTEST_NUMBER_DIGITS: Final = 7
_NUMBER: Final = re.compile(r"(\d\D{0,2}){7}")


def configure(log_level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Set up the log of this process; may be called again, and then replaces what it set up.

    Args:
        log_level: debug, info, warning or error: the least grave that is written.
        log_format: `json`, an object a line; `console`, for people, in colour on a terminal; `auto`, console
            on a terminal and json elsewhere.
        stream: where lines go; standard error by default. A line that cannot be written is lost: a full disk
            or a closed terminal must not stop the service.
    """
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    level = logging.getLevelNamesMapping()[log_level.upper()]
    human = log_format == "console" or (log_format == "auto" and terminal)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]
    rendered: list[Any] = (
        [_console(colors=terminal)]
        if human
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,  # so that a new level reaches every logger
    )
    _adopt_foreign(out, level, shared, rendered)


def redact(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out of one line what must not be logged; a structlog processor."""
    return _redacted(event_dict)


def masked(phone: str) -> str:
    """Shorten a telephone number, or the number in a chat id, to what tells accounts apart: `+49…789`."""
    number, at, domain = phone.partition("@")
    digits = re.sub(r"\D", "", number)
    if len(digits) < _SHORTEST_NUMBER_DIGITS:
        return f"…{at}{domain}"
    return f"{'+' if number.lstrip().startswith('+') else ''}{digits[:2]}…{digits[-3:]}{at}{domain}"


class _Lines:
    """What structlog writes to: one line a call, at whatever level."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    # The pretty formatters of tracebacks print local variables: messages and keys among them.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("_", "").replace("-", "").casefold()
        if name in _SECRET_KEYS:
            continue
        if name in _PHONE_KEYS and isinstance(value, str) and _NUMBER.search(value):
            clean[key] = masked(value)
        elif isinstance(value, Mapping):
            clean[key] = _redacted(value)
        elif isinstance(value, (list, tuple)):
            clean[key] = [_redacted(item) if isinstance(item, Mapping) else item for item in value]
        else:
            clean[key] = value
    return clean


def _adopt_foreign(out: TextIO, level: int, shared: list[Any], rendered: list[Any]) -> None:
    """Have what libraries log by way of `logging` come out in the same shape, from warnings up."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
    )
    handler = _ForeignHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _ForeignHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))


class _ForeignHandler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` finds it; like `_Lines`, it loses what it cannot write."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

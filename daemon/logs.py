"""The daemon's own log: structured lines on standard error, or entries of the journal.

Owns the shape of a line and what may not be in one. The event is a fixed snake_case string in the past tense;
data goes in keys. What people write to each other, what logs an account in and telephone numbers in full are
taken out here even where a caller forgets; that is the second line of defence, not the first.
"""

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, TextIO

import structlog

from daemon import journald
from daemon.session_log import SessionLog

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

session_names: Final[ContextVar[Mapping[str, str]]] = ContextVar("session_names")
"""What sessions are called, by their ids: for those who read the journal."""

session_log: Final[ContextVar[SessionLog]] = ContextVar("session_log")
"""Where lines about sessions are kept for `session.log`."""

_SHORTEST_NUMBER_DIGITS: Final = 7
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER: Final = re.compile(r"(\d\D{0,2}){7}")


def configure(log_level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Set up the log of this process; may be called again, and then replaces what it set up.

    Args:
        log_level: debug, info, warning or error: the least grave that is written.
        log_format: `json`, an object a line; `console`, for people, in colour on a terminal; `journal`,
            entries with fields; `auto`, journal where standard error leads there, console on a terminal, json
            elsewhere.
        stream: where lines go; standard error by default. A line that cannot be written is lost: a full disk
            or a closed terminal must not stop the service.
    """
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    level = logging.getLevelNamesMapping()[log_level.upper()]
    if log_format == "auto":
        log_format = "journal" if journald.is_behind(out) else "console" if terminal else "json"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
        _keep,
    ]
    write: Callable[[Any], None]
    rendered: list[Any]
    if log_format == "journal":
        rendered = [structlog.processors.format_exc_info, _entry]
        write = journald.Journal().send
    elif log_format == "json":
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        write = _Lines(out)
    else:
        rendered = [_escaped, _console(colors=terminal)]
        write = _Lines(out)
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Writer(write),
        cache_logger_on_first_use=False,  # so that a new level reaches every logger
    )
    _adopt_foreign(level)


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


class _Writer:
    """What structlog writes to: one line a call, at whatever level."""

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.msg = write
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.log = write


class _Lines:
    """Writes lines to a stream; one that cannot be written is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()


def _keep(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (kept := session_log.get(None)) is not None:
        kept.keep(event_dict)
    return event_dict


def _entry(
    _logger: Any, _method: str, event_dict: MutableMapping[str, Any]
) -> tuple[tuple[Any], dict[str, Any]]:
    return (journald.fields(event_dict, session_names.get({})),), {}


def _escaped(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Have a page, a browser or a caller command no terminal."""
    for key, value in event_dict.items():
        if isinstance(value, str) and key != "exception":
            event_dict[key] = _CONTROL.sub(lambda found: repr(found[0])[1:-1], value)
    return event_dict


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


def _adopt_foreign(level: int) -> None:
    """Have what libraries log by way of `logging` come out in the same shape, from warnings up."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _ForeignHandler)]:
        root.removeHandler(old)
    root.addHandler(_ForeignHandler())
    root.setLevel(max(level, logging.WARNING))


class _ForeignHandler(logging.Handler):
    """Ours, so that a second `configure` finds it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit
            event = str(record.msg)
        structlog.get_logger().log(record.levelno, event, exc_info=record.exc_info)

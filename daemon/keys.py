"""The one table of configuration keys: what each accepts, its default, and what it is for.

Feeds the checks of `daemon.config` and the file `config.example.toml`
(`python -m daemon.keys > config.example.toml`).
"""

import ipaddress
import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from protocol.models import EVENT_TYPES
from supervisors.settings import SESSION_PLACE

_DAY_S: Final = 86_400
_YEAR_S: Final = 365 * _DAY_S


@attrs.frozen
class Kind:
    """A set of values: in words, and as a check."""

    expected: str
    accepts: Callable[[object], bool]


@attrs.frozen
class Key:
    """One key: `table.name`, its values, its default as TOML would give it, and its purpose."""

    path: str
    kind: Kind
    default: Any
    purpose: str
    shown: str | None = None
    """What the example file shows in place of the default, where that depends on the machine."""
    confidential: bool = False
    """Whether its value is not to be shown in an error."""


def _integer(low: int, high: int) -> Kind:
    return Kind(
        f"an integer from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
    )


def _seconds(low: float, high: float = _YEAR_S) -> Kind:
    return Kind(
        f"a number of seconds from {low} to {high}",
        lambda value: type(value) in (int, float) and low <= value <= high,  # type: ignore[operator]  # checked
    )


def _choice(*words: str) -> Kind:
    return Kind("one of " + ", ".join(f'"{word}"' for word in words), lambda value: value in words)


def _text(expected: str, accepts: Callable[[str], bool] = bool) -> Kind:
    return Kind(expected, lambda value: isinstance(value, str) and "\0" not in value and accepts(value))


def _texts(expected: str, accepts: Callable[[str], bool]) -> Kind:
    one = _text(expected, accepts)
    return Kind(expected, lambda value: isinstance(value, list) and all(map(one.accepts, value)))


def _is_url(value: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


def _is_endpoint(value: str) -> bool:
    filled = value.replace(SESSION_PLACE, "x")
    return not value or (_is_url(filled, ("ws", "wss", "http", "https")) and not set(filled) & set("{} "))


def _is_metrics_place(value: str) -> bool:
    if value.startswith("unix:"):
        return value.startswith("unix:/")
    host, _, port = value.rpartition(":")
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return not value
    return address.is_loopback and port.isascii() and port.isdigit() and 0 < int(port) < 65_536


def _is_secret_file(value: str) -> bool:
    return value.startswith(("/", "~/")) or "/" not in value


def _is_account(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.removeprefix("@")) and "\0" not in value
    return type(value) is int and 0 <= value < 2**32 - 1


_PATH = _text("an absolute path (or one from ~/)", lambda value: value.startswith(("/", "~/")))
_ACCOUNTS = Kind(
    'a list of user names, "@group" names or ids',
    lambda value: isinstance(value, list) and all(map(_is_account, value)),
)

TABLES: Final = {
    "daemon": "The daemon itself.",
    "rpc": "The Unix socket on which programs speak to the daemon (JSON-RPC 2.0, a message a line).",
    "access": (
        'Who may do what: lists of user names, of group names written "@group", or of ids. Whoever is in no '
        "list may do nothing; root and the daemon's own user are admin always. The socket's own mode (0660) "
        "comes first."
    ),
    "sessions": "How many WhatsApp sessions there may be.",
    "browser": "The Chrome that each session runs.",
    "whatsapp": "The page, and the library that is put into it.",
    "restart": "How often a dead browser or page is started again. Durations in seconds.",
    "profile": (
        "What each session's Chrome keeps on the disk. The login is copied while it works, and put back when "
        "the profile turns out to be damaged: docs/profiles.md."
    ),
    "startup": "What becomes of logins when the daemon starts.",
    "liveness": "How long a page may be silent before it counts as hung. Durations in seconds.",
    "messages": "Messages on their way out.",
    "events": "The log of events, which clients read and follow.",
    "webhooks": (
        "Events POSTed to programs elsewhere, signed as Standard Webhooks ask. Here stand one webhook for "
        "everything and the rules for all; sessions have theirs (webhookUrl), and webhook.create makes more."
    ),
    "backup": (
        "Copies of the store (sessions, messages, events; no logins, no kept pages) that are made by "
        "themselves, into backups/ of the state directory. docs/backup.md says how one is put back."
    ),
    "metrics": "The daemon in figures, for Prometheus; clients have them by daemon.metrics as well.",
    "encryption": (
        "Messages and their files, encrypted on disk for the sessions whose enableEncryption is true. "
        "docs/encryption.md says how; SIGHUP reads the keys again."
    ),
    "log": "The daemon's own log, on standard error or in the journal.",
}
"""Every table, in the order of the example file, and what it is about."""

KEYS: Final = (
    Key(
        "daemon.state_dir",
        _PATH,
        "",
        "Where sessions, logins and messages are kept. Default: $STATE_DIRECTORY under systemd, else "
        "$XDG_STATE_HOME/wasup, else ~/.local/state/wasup.",
        shown='"/var/lib/wasup"',
    ),
    Key(
        "rpc.socket",
        _PATH,
        "",
        "The socket's path, at most 107 bytes. Default: wasup.sock in $RUNTIME_DIRECTORY under systemd, else "
        "$XDG_RUNTIME_DIR/wasup/wasup.sock, else for root /run/wasup/wasup.sock, else wasup.sock in the "
        "state directory.",
        shown='"/run/wasup/wasup.sock"',
    ),
    Key(
        "rpc.max_message_bytes",
        _integer(1024, 2**30),
        32 * 2**20,
        "The longest request; media travels in it as base64. A longer one is refused, its connection closed.",
    ),
    Key("rpc.max_connections", _integer(1, 65_536), 50, "How many clients may be connected at once."),
    Key(
        "rpc.max_in_flight",
        _integer(1, 65_536),
        1024,
        "How many requests of one client may be under way; further ones are not read until some are done.",
    ),
    Key("access.admin", _ACCOUNTS, [], "May do everything."),
    Key(
        "access.operator",
        _ACCOUNTS,
        [],
        "May look, and create, link, start, stop and clear sessions, send messages, call the page.",
    ),
    Key("access.reader", _ACCOUNTS, [], "May look: sessions, messages, events, health, metrics."),
    Key("sessions.max", _integer(1, 100_000), 500, "How many sessions may exist."),
    Key(
        "sessions.max_per_uid",
        _integer(0, 100_000),
        0,
        "How many of them one user's programs may create; 0: no limit of its own.",
    ),
    Key(
        "browser.path",
        _text('"auto" or the path of a Chrome'),
        "auto",
        'The program: a Chrome, Chromium or chrome-headless-shell; "auto" takes the first that is installed.',
    ),
    Key(
        "browser.sandbox",
        Kind('"auto", true or false', lambda value: value == "auto" or type(value) is bool),
        "auto",
        'Chrome\'s own sandbox. "auto": on, but off as root, where Chrome has none. Keep it on.',
    ),
    Key(
        "browser.extra_args",
        _texts("a list of switches that begin with --", lambda value: value.startswith("--")),
        [],
        'Switches added to Chrome\'s command line, such as "--proxy-server=socks5://127.0.0.1:1080".',
    ),
    Key(
        "browser.transport",
        _choice("pipe", "websocket"),
        "pipe",
        "How the daemon speaks to Chrome. pipe: nobody else can, and Chrome ends when the daemon does. "
        "websocket: on a port of 127.0.0.1, which every user of this machine can open, and through it read "
        "and send the session's messages; and a Chrome whose daemon was killed runs on until its session is "
        "started again.",
    ),
    Key(
        "browser.endpoint",
        _text('"" or a ws, wss, http or https URL; of {…} only {session} is known', _is_endpoint),
        "",
        'With transport = "websocket": use a Chrome that runs elsewhere instead of starting one. http://… is '
        "its debugging port, which is asked for the socket and stays the same when it starts anew; ws://… is "
        "one socket. One Chrome is for one session: with several, write {session} where each one's id "
        'belongs, such as "wss://browsers.example/{session}". The login lives there, not in the state '
        "directory or its backups, and lasts as long as that Chrome keeps its profile. What the page has "
        "stored there before a session first uses it is removed. Its switches are the business of whoever "
        "starts it. Whoever reaches the address can read and send the session's messages.",
    ),
    Key(
        "browser.launch_concurrency",
        _integer(0, 1024),
        0,
        "How many browsers may be starting at the same time; 0: as many as the machine has cores.",
    ),
    Key(
        "browser.memory_limit",
        _integer(0, 2**50),
        0,
        "How many bytes the browser of a session may take; 0: no limit. Under systemd each browser is in a "
        "control group of its own, and the kernel ends processes of this browser, and of no other; elsewhere "
        "the daemon looks every [liveness] probe_interval, and starts one that is beyond it again. At nine "
        "tenths of it there is a session.alert, and the browser is restarted when nothing is being sent.",
    ),
    Key(
        "browser.memory_reserve",
        _integer(0, 2**50),
        256 * 2**20,
        "How many bytes of memory must be left beside a new browser; while they are not, starts wait, with "
        "the reason WAITING_FOR_MEMORY.",
    ),
    Key("whatsapp.url", _text("an http or https URL", _is_url), "https://web.whatsapp.com/", "The page."),
    Key(
        "whatsapp.page_library",
        _text('"auto" or a path'),
        "auto",
        'The wa-js bundle; "auto" is the version that the product pins.',
    ),
    Key(
        "whatsapp.conflict",
        _choice("takeover", "yield"),
        "takeover",
        "When another browser takes the connection of a session's login (CONFLICT). takeover: it is taken "
        "back by the reconnect schedule, for a session of a server is to be up, and whoever holds a copy of "
        "its login is the stranger. yield: the session stays disconnected, with an alert, until it is "
        "started.",
    ),
    Key(
        "restart.max_restarts",
        _integer(0, 10_000),
        3,
        "How many restarts may lie within `window`; when they are used up the session gives up, with "
        "RESTART_LIMIT_EXCEEDED. 0: never start again.",
    ),
    Key("restart.window", _seconds(0), 120, "How long a restart counts."),
    Key("restart.cooldown", _seconds(0), 30, "The least time between two restarts."),
    Key("restart.settle", _seconds(0), 2, "The pause between the end of a browser and the next start."),
    Key(
        "restart.revive_after",
        _seconds(0),
        900,
        "After giving up, when a new budget of restarts begins; 0: only when someone starts the session.",
    ),
    Key(
        "profile.cache_limit",
        _integer(2**20, 2**40),
        128 * 2**20,
        "How many bytes of caches a session may have: Chrome is given half of it for its HTTP cache, and "
        "when all caches together exceed it they are removed before the next start. The login is no cache.",
    ),
    Key("profile.snapshots", _integer(0, 100), 3, "How many copies of each login are kept; 0: none."),
    Key(
        "profile.snapshot_interval",
        _seconds(1),
        21_600,
        "How often the login of a connected session is copied, in seconds, besides when its Chrome closes.",
    ),
    Key(
        "startup.mode",
        _choice("recover", "fresh"),
        "recover",
        "recover: every session that was started comes back with its login. fresh: every login is backed up "
        "and wiped at each start of the daemon, so that sessions show a QR code; messages stay.",
    ),
    Key(
        "liveness.connect_timeout",
        _seconds(0.1),
        90,
        "How long a started session may take to show a QR code or to be connected.",
    ),
    Key("liveness.probe_interval", _seconds(0.1), 15, "How often the page is asked whether it lives."),
    Key("liveness.probe_timeout", _seconds(0.1), 10, "How long it may take to answer."),
    Key(
        "messages.queue_limit",
        _integer(1, 10_000_000),
        1000,
        "How many messages of one session may wait to be sent; further ones are refused with QUEUE_FULL.",
    ),
    Key(
        "messages.retry_limit",
        _integer(0, 1000),
        5,
        "How often a message that WhatsApp has no encryption keys for is tried again, with growing pauses.",
    ),
    Key(
        "messages.rate_per_minute",
        _integer(0, 1_000_000),
        0,
        "How many messages of one session are accepted within a minute; further ones are refused with "
        "RATE_LIMITED. 0: no limit.",
    ),
    Key(
        "messages.max_media_bytes",
        _integer(1024, 2**31),
        100 * 2**20,
        "The largest file that is sent or downloaded. As base64 it must fit into `rpc.max_message_bytes` "
        "too; a larger one can be given by its path.",
    ),
    Key(
        "messages.media_dirs",
        _texts("a list of absolute paths", lambda value: value.startswith("/")),
        [],
        "The directories from which clients may send files by `path`; the daemon reads them as its own user. "
        "Empty: from none.",
    ),
    Key("events.retain_days", _integer(0, 36_500), 30, "How long events are kept; 0: for ever."),
    Key(
        "webhooks.url",
        _text('"" or an http or https URL', lambda value: not value or _is_url(value)),
        "",
        "Where the events of every session, and of the daemon, are POSTed to.",
    ),
    Key(
        "webhooks.secret",
        _text("a text", lambda _: True),
        "",
        "What they are signed with: whsec_ and base64, or any other text, which is taken as its bytes; "
        "several with spaces between while it is changed. Empty: not signed.",
        confidential=True,
    ),
    Key(
        "webhooks.secret_file",
        _text('"", an absolute path (or one from ~/), or the name of a credential', _is_secret_file),
        "",
        "Instead of `secret`: a file that holds it, which only the daemon's user or root may read; or the "
        "name of a systemd credential (LoadCredential=). Read at the start and at each reload.",
    ),
    Key(
        "webhooks.events",
        _texts("a list of event types", lambda value: value in EVENT_TYPES),
        [],
        'Which events, such as "message.received"; empty: all.',
    ),
    Key(
        "webhooks.retry_for",
        _seconds(0),
        259_200,
        "How long an event that is not taken is tried again, in seconds; then it is a dead letter.",
    ),
    Key(
        "webhooks.allow_http",
        Kind("true or false", lambda value: type(value) is bool),
        False,
        "Whether webhooks may go to other machines without TLS. To this machine they always may.",
    ),
    Key(
        "webhooks.allow_addresses",
        _texts("a list of addresses or networks", _is_network),
        [],
        "Link-local addresses and those of a cloud's metadata that webhooks may go to all the same, such as "
        '"169.254.10.0/24".',
    ),
    Key(
        "backup.interval_hours",
        Kind("a number of hours from 0 to 8760", lambda v: type(v) in (int, float) and 0 <= v <= 8760),  # type: ignore[operator]  # checked
        0,
        "How often a copy is made; 0: never by itself.",
    ),
    Key(
        "backup.keep",
        _integer(1, 10_000),
        7,
        "How many of these copies are kept; the oldest ones go. Copies made on request are never removed.",
    ),
    Key(
        "metrics.listen",
        _text(
            '"", unix: and an absolute path, or an address of this machine such as "127.0.0.1:9464"',
            _is_metrics_place,
        ),
        "",
        "Where they are served over HTTP, as /metrics. On a Unix socket callers need a role, as on the "
        "channel; a port can be asked by every program of this machine, so sessions with allowedUids or "
        "allowedGids are left out there. Empty: nowhere.",
    ),
    Key(
        "encryption.key_file",
        _PATH,
        "",
        "The keys, a line each: the first encrypts, all decrypt. `wasupd --new-key FILE` makes one. Mode "
        "0600, owned by root or the daemon's user. Default: the systemd credential wasup-key, if any.",
        shown='"/etc/wasup/key"',
    ),
    Key(
        "log.level",
        _choice("debug", "info", "warning", "error"),
        "info",
        "The least grave that is logged: debug, info, warning or error.",
    ),
    Key(
        "log.format",
        _choice("auto", "journal", "json", "console"),
        "auto",
        "journal: entries with fields for journalctl; json: an object a line; console: for people; auto: "
        "journal where standard error leads there, console on a terminal, else json.",
    ),
)
"""Every key that the daemon implements, by table."""


def example() -> str:
    """The text of `config.example.toml`: every key explained, commented out with its default."""
    return "\n".join(_example_lines()) + "\n"


def _example_lines() -> Iterator[str]:
    yield "# The configuration of wasupd, with every key at its default: uncomment what you change."
    yield "# Looked for at --config, then $WASUP_CONFIG, then /etc/wasup/config.toml."
    for table, purpose in TABLES.items():
        yield ""
        yield from _comment(purpose)
        yield f"[{table}]"
        for key in KEYS:
            if key.path.startswith(f"{table}."):
                yield ""
                yield from _comment(key.purpose)
                yield f"#{key.path.removeprefix(f'{table}.')} = {key.shown or toml(key.default)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def toml(value: object) -> str:
    """Return a default as TOML has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case float() if not math.isfinite(value):
            raise ValueError("not a value that a default may have")
        case _:
            return str(value)


if __name__ == "__main__":
    sys.stdout.write(example())

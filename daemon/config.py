"""The configuration: a TOML file becomes frozen data, or one message that says what is wrong with it.

Owns finding the file, its errors and the places of what it leaves out; the keys themselves stand in
`daemon.keys`. Reads no other file but secrets that it names, and changes nothing.
"""

import os
import pwd
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from daemon.access import Access, Principals, UnknownName, resolve
from daemon.keys import KEYS, TABLES
from daemon.secret_files import read_secret
from daemon.webhooks import guard, signature
from protocol.client.locate import socket_candidates
from supervisors.chrome import flags
from supervisors.settings import (
    BrowserSettings,
    LivenessSettings,
    ProfileSettings,
    RestartSettings,
    SupervisorSettings,
    WhatsAppSettings,
)

SYSTEM_FILE: Final = Path("/etc/wasup/config.toml")
MOST_SOCKET_PATH_BYTES: Final = 107
"""sun_path of unix(7) has 108 bytes, the last of which ends the string."""

EXIT_CODE: Final = 78
"""EX_CONFIG of sysexits.h: what the daemon exits with when it refuses its configuration."""

_BY_PATH: Final = {key.path: key for key in KEYS}
_Settings = TypeVar("_Settings")


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, line, key and what was expected."""


@attrs.frozen(kw_only=True)
class RpcSettings:
    """`[rpc]`: the socket, and what one connection may take up."""

    socket: Path
    max_message_bytes: int
    max_connections: int
    max_in_flight: int


@attrs.frozen(kw_only=True)
class SessionsSettings:
    """`[sessions]`: how many there may be; `max_per_uid` 0 = no limit."""

    max: int
    max_per_uid: int


@attrs.frozen(kw_only=True)
class StartupSettings:
    """`[startup]`: `mode` is "recover" or "fresh"."""

    mode: str


@attrs.frozen(kw_only=True)
class MessagesSettings:
    """`[messages]`: the outbox of a session."""

    queue_limit: int
    retry_limit: int
    rate_per_minute: int
    max_media_bytes: int
    media_dirs: list[str]


@attrs.frozen(kw_only=True)
class EventsSettings:
    """`[events]`: the event log; `retain_days` 0 = for ever."""

    retain_days: int


@attrs.frozen(kw_only=True)
class WebhooksSettings:
    """`[webhooks]`: a hook for everything (`url` "": none), and what all hooks may do.

    `retry_for` is in seconds; `events` empty: all.
    """

    url: str
    secret: str = attrs.field(repr=False)
    secret_file: str
    events: list[str]
    retry_for: float
    allow_http: bool
    allow_addresses: list[str]


@attrs.frozen(kw_only=True)
class BackupSettings:
    """`[backup]`: copies of the store that are made by themselves; `interval_hours` 0 = none."""

    interval_hours: float
    keep: int


@attrs.frozen(kw_only=True)
class MetricsSettings:
    """`[metrics]`: where they are served over HTTP; `listen` "": nowhere."""

    listen: str


@attrs.frozen(kw_only=True)
class EncryptionSettings:
    """`[encryption]`: the file with the keys; None: the systemd credential, where there is one."""

    key_file: Path | None


@attrs.frozen(kw_only=True)
class LogSettings:
    """`[log]`: what is logged, and how it is written."""

    level: str
    format: str


@attrs.frozen(kw_only=True)
class Config:
    """Everything an administrator may set; `file` is None where built-in defaults stand."""

    file: Path | None
    state_dir: Path
    rpc: RpcSettings
    access: Access
    sessions: SessionsSettings
    supervisor: SupervisorSettings
    startup: StartupSettings
    messages: MessagesSettings
    events: EventsSettings
    webhooks: WebhooksSettings
    backup: BackupSettings
    metrics: MetricsSettings
    encryption: EncryptionSettings
    log: LogSettings


def load(path: Path | None, env: Mapping[str, str], *, system_file: Path = SYSTEM_FILE) -> Config:
    """Find, read and check the configuration.

    Args:
        path: the file of `--config`; None looks at `$WASUP_CONFIG`, then at `system_file`.
        env: the environment, which also decides the default places.
        system_file: the file that may be missing: then everything has its default.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or holds what the daemon does not accept.
    """
    if path is None:
        path = Path(env["WASUP_CONFIG"]) if env.get("WASUP_CONFIG") else None
    optional = path is None
    path = path or system_file
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return parse("", env)
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8, at byte {error.start}") from error
    return parse(text, env, file=path)


def parse(text: str, env: Mapping[str, str], *, file: Path | None = None) -> Config:
    """Check the text of a configuration file and complete it with defaults; `file` is named in errors.

    Raises:
        ConfigError: see `load`.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise ConfigError(_syntax_error(file, text, str(error))) from error
    except RecursionError as error:
        raise ConfigError(f"{file}: nested too deeply") from error
    source = _Source(file=file, text=text)
    values = {key.path: key.default for key in KEYS}
    for path, value in _flatten(document):
        key = _BY_PATH.get(path)
        if key is None:
            raise source.error(path, _unknown(path, value))
        if not key.kind.accepts(value):
            got = "something else" if key.confidential else _shown(value)
            raise source.error(path, f"expected {key.kind.expected}, got {got}")
        values[path] = value
    return _build(values, env, source)


@attrs.frozen(kw_only=True)
class _Source:
    file: Path | None
    text: str

    def error(self, path: str, problem: str) -> ConfigError:
        """An error about one key, with its line where the text shows it plainly."""
        if self.file is None:
            return ConfigError(f"{path}: {problem}")
        line = _line_of(self.text, path)
        return ConfigError(f"{self.file}{f':{line}' if line else ''}: {path}: {problem}")


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (`table.key`, value); an unknown or misused table yields itself."""
    for name, content in document.items():
        if name in TABLES and isinstance(content, dict):
            yield from ((f"{name}.{key}", value) for key, value in content.items())
        else:
            yield name, content


def _unknown(path: str, value: object) -> str:
    if path in TABLES:
        return f"expected a table [{path}], got {_shown(value)}"
    import difflib

    table, _, name = path.rpartition(".")
    if not table and isinstance(value, dict):
        return f"unknown table; the nearest known one is [{_nearest(path, list(TABLES))}]"
    elsewhere = [known for known in _BY_PATH if known.endswith(f".{name}")]
    siblings = [known for known in _BY_PATH if known.startswith(f"{table}.")] if table else []
    close = difflib.get_close_matches(path, siblings, n=1)
    nearest = (elsewhere or close or [_nearest(path, siblings or list(_BY_PATH))])[0]
    return f"unknown key; the nearest known one is {nearest}"


def _nearest(word: str, known: list[str]) -> str:
    import difflib  # for a refusal only

    return difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'
        case int() | float():
            return str(value)
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case _:
            return f"a {type(value).__name__}"


def _syntax_error(file: Path | None, text: str, message: str) -> str:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if place is None:
        return f"{file}:{len(text.splitlines())}: not TOML: {message}"
    return f"{file}:{place[1]}:{place[2]}: not TOML: {message[: place.start()]}"


def _line_of(text: str, path: str) -> int | None:
    """The line where a key is set, or a table opened, if it is written in one of the usual ways."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[{1,2}\s*([\w.\s\"'-]+?)\s*\]", line)
        assigned = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = header[1].strip("\"'")
            here = table
        elif assigned:
            here = ".".join(filter(None, (table, assigned[1].replace('"', "").replace("'", ""))))
        else:
            continue
        if here == path or here.startswith(f"{path}."):
            return number
    return None


def _build(values: dict[str, Any], env: Mapping[str, str], source: _Source) -> Config:
    state_dir = _place(values["daemon.state_dir"], env) or default_state_dir(env)
    socket = _place(values["rpc.socket"], env) or _default_socket(env, state_dir)
    size = len(os.fsencode(socket))
    if size > MOST_SOCKET_PATH_BYTES:
        raise source.error(
            "rpc.socket",
            f"expected a path of at most {MOST_SOCKET_PATH_BYTES} bytes, "
            f"as the kernel allows for a socket; {socket} has {size}",
        )
    browser = _table(BrowserSettings, "browser", values)
    try:
        flags.check(browser.extra_args)
    except ValueError as error:
        raise source.error("browser.extra_args", str(error)) from error
    if browser.endpoint and browser.transport != "websocket":
        raise source.error("browser.endpoint", 'goes with transport = "websocket" only')
    if browser.endpoint and browser.extra_args:
        raise source.error("browser.extra_args", "a Chrome that runs elsewhere gets its switches there")
    return Config(
        file=source.file,
        state_dir=state_dir,
        rpc=attrs.evolve(_table(RpcSettings, "rpc", values), socket=socket),
        access=_access(values, source),
        sessions=_table(SessionsSettings, "sessions", values),
        supervisor=SupervisorSettings(
            restart=_table(RestartSettings, "restart", values),
            liveness=_table(LivenessSettings, "liveness", values),
            profile=_table(ProfileSettings, "profile", values),
            browser=attrs.evolve(browser, extra_args=tuple(browser.extra_args)),
            whatsapp=_table(WhatsAppSettings, "whatsapp", values),
        ),
        startup=_table(StartupSettings, "startup", values),
        messages=_table(MessagesSettings, "messages", values),
        events=_table(EventsSettings, "events", values),
        webhooks=_webhooks(values, env, source),
        backup=_table(BackupSettings, "backup", values),
        metrics=_table(MetricsSettings, "metrics", values),
        encryption=EncryptionSettings(key_file=_place(values["encryption.key_file"], env)),
        log=_table(LogSettings, "log", values),
    )


def _table(settings: type[_Settings], table: str, values: Mapping[str, Any]) -> _Settings:
    prefix = f"{table}."
    return settings(**{path.removeprefix(prefix): v for path, v in values.items() if path.startswith(prefix)})


def _webhooks(values: Mapping[str, Any], env: Mapping[str, str], source: _Source) -> WebhooksSettings:
    settings = _table(WebhooksSettings, "webhooks", values)
    policy = guard.Policy(
        allow_http=settings.allow_http, allow_addresses=guard.networks(settings.allow_addresses)
    )
    try:
        if settings.url:
            guard.check_url(settings.url, policy)
    except guard.Refused as error:
        raise source.error("webhooks.url", str(error)) from error
    if settings.secret and settings.secret_file:
        raise source.error("webhooks.secret_file", "goes without webhooks.secret only")
    key = "webhooks.secret_file" if settings.secret_file else "webhooks.secret"
    try:
        if settings.secret_file:
            place = _place(settings.secret_file, env)
            settings = attrs.evolve(settings, secret=read_secret(str(place), env))
        if settings.secret:
            signature.keys(settings.secret)
    except ValueError as error:
        raise source.error(key, str(error)) from error
    return settings


def _access(values: Mapping[str, Any], source: _Source) -> Access:
    def accounts(role: str) -> Principals:
        try:
            return resolve(values[f"access.{role}"])
        except UnknownName as error:
            raise source.error(f"access.{role}", str(error)) from error

    return Access(admin=accounts("admin"), operator=accounts("operator"), reader=accounts("reader"))


def default_state_dir(env: Mapping[str, str]) -> Path:
    """`$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/wasup`, else `~/.local/state/wasup`."""
    if given := env.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    xdg = Path(env.get("XDG_STATE_HOME", ""))  # the XDG specification has relative paths ignored
    return (xdg if xdg.is_absolute() else _home(env) / ".local/state") / "wasup"


def _default_socket(env: Mapping[str, str], state_dir: Path) -> Path:
    if env.get("RUNTIME_DIRECTORY") or env.get("XDG_RUNTIME_DIR") or os.geteuid() == 0:
        unnamed = {name: value for name, value in env.items() if name != "WASUP_SOCKET"}
        return Path(socket_candidates(None, unnamed)[0])
    return state_dir / "wasup.sock"


def _place(value: str, env: Mapping[str, str]) -> Path | None:
    if value.startswith("~/"):
        return _home(env) / value[2:]
    return Path(value) if value else None


def _home(env: Mapping[str, str]) -> Path:
    if env.get("HOME"):
        return Path(env["HOME"])
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:  # an account that only a container's number knows
        return Path("/")

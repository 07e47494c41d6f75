"""The configuration file: what is accepted, what is refused and in which words, and where things go."""

import os
import tomllib
from pathlib import Path

import attrs
import pytest

from daemon.config import Config, ConfigError, load, parse
from daemon.keys import KEYS, TABLES, example
from supervisors.settings import SupervisorSettings

_EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
_ENV = {"HOME": "/home/someone"}


def _refused(text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, _ENV if env is None else env, file=Path("/w.toml"))
    return str(caught.value)


def test_nothing_set_gives_the_documented_defaults() -> None:
    config = parse("", _ENV)
    assert config.file is None
    assert config.state_dir == Path("/home/someone/.local/state/wasup")
    assert (config.rpc.max_message_bytes, config.rpc.max_connections, config.rpc.max_in_flight) == (
        33554432,
        50,
        1024,
    )
    assert (config.sessions.max, config.sessions.max_per_uid) == (500, 0)
    assert config.messages.queue_limit == 1000
    assert config.events.retain_days == 30
    assert (config.log.level, config.log.format) == ("info", "auto")
    assert not config.access.reader.uids
    assert config.supervisor == SupervisorSettings()


def test_every_key_of_the_supervisors_is_a_key_of_the_file() -> None:
    known = {key.path for key in KEYS}
    for table in attrs.fields(SupervisorSettings):
        for field in attrs.fields(type(getattr(SupervisorSettings(), table.name))):
            assert f"{table.name}.{field.name}" in known


def test_what_is_set_is_taken() -> None:
    config = parse(
        """
        daemon.state_dir = "/srv/wasup"
        [rpc]
        socket = "~/s.sock"
        max_in_flight = 7
        [access]
        admin = ["root", 12]
        operator = ["@root", "4000000"]
        reader = ["@4000001"]
        [sessions]
        max = 3
        [browser]
        sandbox = false
        extra_args = ["--lang=de"]
        [restart]
        window = 1
        cooldown = 0.5
        [whatsapp]
        url = "http://127.0.0.1:8080/"
        [log]
        level = "debug"
        """,
        _ENV,
    )
    assert config.state_dir == Path("/srv/wasup")
    assert config.rpc.socket == Path("/home/someone/s.sock")
    assert config.rpc.max_in_flight == 7
    assert config.access.admin.uids == {0, 12}
    assert config.access.operator.uids == {4000000}
    assert config.access.operator.gids == {0}
    assert config.access.reader.gids == {4000001}
    assert config.sessions.max == 3
    assert config.supervisor.browser.sandbox is False
    assert config.supervisor.browser.extra_args == ("--lang=de",)
    assert (config.supervisor.restart.window, config.supervisor.restart.cooldown) == (1, 0.5)
    assert config.supervisor.whatsapp.url == "http://127.0.0.1:8080/"
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[restart]\nmax_restart = 1",
            "/w.toml:2: restart.max_restart: unknown key; the nearest known one is restart.max_restarts",
        ),
        (
            "\n[restarts]\nwindow = 1",
            "/w.toml:2: restarts: unknown table; the nearest known one is [restart]",
        ),
        ("sockt = 1", "/w.toml:1: sockt: unknown key; the nearest known one is rpc.socket"),
        (
            "[daemon]\nsocket = '/s'",
            "/w.toml:2: daemon.socket: unknown key; the nearest known one is rpc.socket",
        ),
        ("restart.zzz = 1", "/w.toml:1: restart.zzz: unknown key; the nearest known one is restart."),
        ("restart = 3", "/w.toml:1: restart: expected a table [restart], got 3"),
        ("[[restart]]\nwindow = 1", "/w.toml:1: restart: expected a table [restart], got a list"),
        ("[rpc.socket]\nx = 1", "/w.toml:1: rpc.socket: expected an absolute path"),
        (
            "[restart]\n\n'max_restarts' = 'three'",
            '/w.toml:3: restart.max_restarts: expected an integer from 0 to 10000, got "three"',
        ),
        (
            "[restart]\nmax_restarts = true",
            "restart.max_restarts: expected an integer from 0 to 10000, got true",
        ),
        ("[restart]\nmax_restarts = -1", "got -1"),
        ("[restart]\nmax_restarts = 2.0", "got 2.0"),
        (
            "[restart]\nwindow = nan",
            "restart.window: expected a number of seconds from 0 to 31536000, got nan",
        ),
        ("[restart]\nwindow = inf", "got inf"),
        ("[liveness]\nprobe_timeout = 0", "liveness.probe_timeout: expected a number of seconds from 0.1 to"),
        (
            "[rpc]\nsocket = 'here.sock'",
            'rpc.socket: expected an absolute path (or one from ~/), got "here.sock"',
        ),
        ("[rpc]\nmax_connections = 0", "expected an integer from 1 to 65536, got 0"),
        ("[browser]\ntransport = 'tcp'", 'browser.transport: expected one of "pipe", "websocket", got "tcp"'),
        (
            "[browser]\nendpoint = 'ws://h:1/'",
            '/w.toml:2: browser.endpoint: goes with transport = "websocket" only',
        ),
        (
            "[browser]\ntransport = 'websocket'\nendpoint = 'ftp://h/'",
            'browser.endpoint: expected "" or a ws, wss, http or https URL',
        ),
        ("[browser]\ntransport = 'websocket'\nendpoint = 'ws://h/{id}'", "only {session} is known"),
        (
            "[browser]\nextra_args = ['--x']\ntransport = 'websocket'\nendpoint = 'ws://h/{session}'",
            "/w.toml:2: browser.extra_args: a Chrome that runs elsewhere",
        ),
        ("[browser]\nsandbox = 'off'", 'browser.sandbox: expected "auto", true or false, got "off"'),
        (
            "[browser]\nextra_args = ['x']",
            "browser.extra_args: expected a list of switches that begin with --",
        ),
        ("[whatsapp]\nurl = 'ftp://x/'", "whatsapp.url: expected an http or https URL"),
        ("[whatsapp]\nurl = 'http://[x/'", "whatsapp.url: expected an http or https URL"),
        ("[access]\nadmin = 'root'", "access.admin: expected a list of user names"),
        ("[access]\nadmin = [-1]", "access.admin: expected a list of user names"),
        (
            "[access]\nreader = ['no-such-user-x']",
            '/w.toml:2: access.reader: there is no user "no-such-user-x"',
        ),
        ("[access]\nreader = ['@no-such-group-x']", 'access.reader: there is no group "no-such-group-x"'),
        (
            "[log]\nlevel = 'loud'",
            'log.level: expected one of "debug", "info", "warning", "error", got "loud"',
        ),
        ("[log]\nformat = 1979-05-27", "got a date"),
        ("[rpc]\nsocket = \n", "/w.toml:2:10: not TOML: "),
        ("[log]\n\n[rpc", "/w.toml:3: not TOML: Expected ']'"),
        ("[rpc]\nsocket =", "/w.toml:2: not TOML: "),
        ("x = " + "1" * 5000, "/w.toml:1: not TOML: "),
        ("[rpc]\nsocket = '/a'\nsocket = '/b'\n", "/w.toml:3:"),
    ],
)
def test_what_is_wrong_is_refused_in_plain_words(text: str, said: str) -> None:
    assert said in _refused(text)


def test_a_socket_path_that_the_kernel_would_refuse_is_refused_first() -> None:
    fits = "/" + "x" * 106
    assert parse(f"[rpc]\nsocket = '{fits}'", _ENV).rpc.socket == Path(fits)
    said = _refused(f"[rpc]\nsocket = '{fits}x'")
    assert "/w.toml:2: rpc.socket: expected a path of at most 107 bytes" in said
    assert "rpc.socket" in _refused("", {"XDG_RUNTIME_DIR": "/" + "ö" * 60})


@pytest.mark.parametrize(
    ("env", "state_dir"),
    [
        ({"STATE_DIRECTORY": "/var/lib/wasup", "XDG_STATE_HOME": "/x"}, "/var/lib/wasup"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/wasup"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/wasup"),
        ({"HOME": "/h"}, "/h/.local/state/wasup"),
    ],
)
def test_the_state_directory(env: dict[str, str], state_dir: str) -> None:
    assert parse("", env).state_dir == Path(state_dir)


def test_the_socket_by_default() -> None:
    assert parse("", {"RUNTIME_DIRECTORY": "/run/wasup", "XDG_RUNTIME_DIR": "/r"}).rpc.socket == Path(
        "/run/wasup/wasup.sock"
    )
    assert parse("", {"XDG_RUNTIME_DIR": "/r"}).rpc.socket == Path("/r/wasup/wasup.sock")


def test_the_socket_with_no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert parse("", _ENV).rpc.socket == Path("/run/wasup/wasup.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    config = parse("[daemon]\nstate_dir = '/srv/w'", _ENV)
    assert config.rpc.socket == Path("/srv/w/wasup.sock")


def test_the_file_is_looked_for_in_order(tmp_path: Path) -> None:
    def write(name: str, number: int) -> Path:
        file = tmp_path / name
        file.write_text(f"[sessions]\nmax = {number}\n")
        return file

    given, system = write("given.toml", 1), write("system.toml", 3)
    env = {**_ENV, "WASUP_CONFIG": str(write("env.toml", 2))}
    assert load(given, env, system_file=system).sessions.max == 1
    assert load(None, env, system_file=system).sessions.max == 2
    assert load(None, {**_ENV, "WASUP_CONFIG": ""}, system_file=system).sessions.max == 3
    assert load(None, _ENV, system_file=system).file == system
    assert load(None, _ENV, system_file=tmp_path / "none.toml").sessions.max == 500


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.toml", tmp_path / "binary.toml"
    binary.write_bytes(b"\xff")
    for path, said in ((missing, "No such file"), (tmp_path, "directory"), (binary, "not UTF-8, at byte 0")):
        with pytest.raises(ConfigError, match=said) as caught:
            load(path, _ENV)
        assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ConfigError, match="No such file"):
        load(None, {"WASUP_CONFIG": str(missing)})


def test_the_example_is_what_the_keys_say() -> None:
    assert _EXAMPLE.read_text() == example(), "run: python -m daemon.keys > config.example.toml"


def test_the_example_changes_nothing() -> None:
    for env in (_ENV, {"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0"}):
        assert attrs.evolve(load(_EXAMPLE, env), file=None) == parse("", env)


def test_the_example_names_every_key_with_its_default() -> None:
    document = tomllib.loads(_uncommented(_EXAMPLE.read_text()))
    assert list(document) == list(TABLES)
    for key in KEYS:
        table, name = key.path.split(".")
        assert key.kind.accepts(document[table][name]), key.path
        if key.shown is None:
            assert document[table][name] == key.default


def test_the_example_uncommented_is_a_valid_file() -> None:
    config: Config = parse(_uncommented(_EXAMPLE.read_text()), _ENV)
    assert config.supervisor == SupervisorSettings()


def _uncommented(text: str) -> str:
    lines = (line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in text.splitlines())
    return "\n".join(lines)


def test_switches_that_only_the_daemon_may_set_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"browser\.extra_args.*cannot be set"):
        parse('[browser]\nextra_args = ["--user-data-dir=/tmp/x"]\n', {})

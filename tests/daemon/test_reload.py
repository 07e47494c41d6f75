"""A configuration that is read again: what applies at once does, the rest is named."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from daemon.config import parse
from daemon.keys import KEYS
from daemon.reload import TABLES, merge, values
from protocol.errors import RpcError
from tests.daemon.inprocess import Daemon, daemon_in

ENV = {"HOME": "/nowhere"}


def test_every_key_is_known_to_it() -> None:
    assert {key for key, _ in values(parse("", ENV))} == {key.path for key in KEYS}
    assert set(TABLES) <= {key.path.partition(".")[0] for key in KEYS}


def test_what_applies_is_told_from_what_does_not() -> None:
    old = parse("[messages]\nqueue_limit = 5\n", ENV)
    text = "[messages]\nqueue_limit = 7\n[rpc]\nmax_connections = 9\n[restart]\nwindow = 9\n"
    text += '[browser]\npath = "/x"\n'
    outcome = merge(old, parse(text, ENV))
    assert set(outcome.applied) == {"messages.queue_limit", "restart.window"}
    assert set(outcome.needs_restart) == {"rpc.max_connections", "browser.path"}
    assert outcome.config.messages.queue_limit == 7
    assert outcome.config.supervisor.restart.window == 9
    assert outcome.config.supervisor.browser.path == "auto"
    assert outcome.config.rpc.max_connections == 50
    assert merge(outcome.config, parse(text, ENV)).needs_restart == outcome.needs_restart


@pytest.fixture
async def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    async with daemon_in(tmp_path, monkeypatch, "[restart]\nmax_restarts = 3") as running:
        yield running


async def reloaded(daemon: Daemon, client: Any, text: str) -> Any:
    assert daemon.config.file is not None
    daemon.config.file.write_text(daemon.config.file.read_text() + text)
    return await client.call("daemon.reloadConfig")


async def test_limits_apply_to_what_is_there(daemon: Daemon) -> None:
    async with daemon.as_user(0) as client:
        await client.call("session.create", name="a", id="a")
        told = await reloaded(
            daemon,
            client,
            "cooldown = 7\n[messages]\nqueue_limit = 1\n[sessions]\nmax = 1\n[metrics]\nlisten = 'unix:/x'\n",
        )
        assert set(told["applied"]) == {"restart.cooldown", "messages.queue_limit", "sessions.max"}
        assert told["needsRestart"] == ["metrics.listen"]
        assert (await client.call("session.get", sessionId="a"))["restarts"]["cooldown"] == 7
        with pytest.raises(RpcError) as refusal:
            await client.call("session.create", name="b")
        assert refusal.value.code == "SESSION_LIMIT"
        message = {"sessionId": "a", "to": "+4915112345678", "text": "Hello"}
        await client.call("message.send", message)
        with pytest.raises(RpcError) as refusal:
            await client.call("message.send", message)
        assert refusal.value.code == "QUEUE_FULL"
        again = await reloaded(daemon, client, "")
        assert (again["applied"], again["needsRestart"]) == ([], ["metrics.listen"])


async def test_copies_begin_and_end(daemon: Daemon, tmp_path: Path) -> None:
    async with daemon.as_user(0) as client, client.subscribe() as _events:
        assert (await client.call("daemon.health"))["lastBackup"] is None
        await reloaded(daemon, client, "[backup]\ninterval_hours = 1\n")
        with trio.fail_after(20):
            while (await client.call("daemon.health"))["lastBackup"] is None:
                await trio.lowlevel.checkpoint()
        assert list((tmp_path / "state" / "backups").glob("scheduled-*"))

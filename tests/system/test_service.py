"""The daemon as a service: its configuration, its only instance, its end by request."""

import pytest
import trio

from protocol.errors import RpcError
from tests.system.wasupd import PROGRAM, Caller, Wasupd


async def test_a_shutdown_by_request(wasupd: Wasupd) -> None:
    async with wasupd.client() as call:
        assert await call("daemon.shutdown") == {"stopping": True}
    assert wasupd.process is not None
    with trio.fail_after(30):
        assert await wasupd.process.wait() == 0
    wasupd.process = None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[restart]\nmax_restart = 3\n", "restart.max_restarts"),
        ("[restart]\nmax_restarts = 'three'\n", "restart.max_restarts"),
        ("[restart\n", "1"),
    ],
)
async def test_a_bad_configuration_is_refused_before_anything_starts(
    wasupd: Wasupd, text: str, said: str
) -> None:
    bad = wasupd.directory / "bad.toml"
    bad.write_text(text)
    done = await trio.run_process([str(PROGRAM), "--config", str(bad)], capture_stderr=True, check=False)
    assert done.returncode == 78
    assert str(bad) in done.stderr.decode()
    assert said in done.stderr.decode()


async def test_a_second_daemon_on_the_same_socket_is_refused(wasupd: Wasupd, call: Caller) -> None:
    done = await trio.run_process(
        [str(PROGRAM), "--config", str(wasupd.config)], capture_stderr=True, check=False
    )
    assert done.returncode == 1
    assert str(wasupd.socket) in done.stderr.decode()
    assert (await call("daemon.whoami"))["role"] == "admin"


async def test_the_configuration_is_read_again(wasupd: Wasupd, call: Caller) -> None:
    """By request as by SIGHUP; a bad file changes nothing."""
    answer = await call("daemon.reloadConfig")
    assert (answer["file"], answer["applied"], answer["needsRestart"]) == (str(wasupd.config), [], [])
    good = wasupd.config.read_text()
    wasupd.config.write_text(good + "\n[nonsense]\n")
    with pytest.raises(RpcError) as refusal:
        await call("daemon.reloadConfig")
    assert "nonsense" in refusal.value.message
    wasupd.config.write_text(good)
    assert (await call("daemon.whoami"))["role"] == "admin"

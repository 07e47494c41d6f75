"""The echo bots of examples/ when the daemon goes: they connect again, and answer what was not accepted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.docs.shop import REPOSITORY
from tests.protocol.daemon_double import Restarted

EXAMPLES = REPOSITORY / "examples"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([sys.executable, EXAMPLES / "python/echo_bot.py", "a", "PLACE"], id="python"),
        pytest.param(["node", EXAMPLES / "node/echo_bot.mjs", "SOCKET", "a"], id="node"),
        pytest.param(["go", "SOCKET", "a"], id="go"),
    ],
)
async def test_a_bot_asks_again_for_what_was_not_accepted(command: list[str], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on this machine")
    if command[0] == "go":  # not `go run`: the bot would outlive it
        command = [str(tmp_path / "bot"), *command[1:]]
        await trio.run_process(["go", "build", "-o", command[0], EXAMPLES / "go/main.go"])
    places = {"SOCKET": str(tmp_path / "wasup.sock"), "PLACE": str(tmp_path / "place")}
    environment = {**os.environ, "WASUP_SOCKET": places["SOCKET"], "PYTHONPATH": str(REPOSITORY)}
    message = {"type": "text", "chatId": "1@c.us", "text": "Hello", "key": "k"}
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            daemon = Restarted(tmp_path / "wasup.sock", nursery)
            daemon.silent = {"message.send"}
            await daemon.up()
            bot = await trio.lowlevel.open_process(
                [places.get(word, word) for word in command], env=environment, stdout=subprocess.DEVNULL
            )
            try:
                await daemon.heard("events.subscribe")
                daemon.happen(type_="message.received", message=message)
                first = await daemon.heard("message.send")
                await daemon.down()
                daemon.happen(type_="message.received", message=message)
                await daemon.up()
                again = await daemon.heard("message.send", 2)
                assert first["idempotencyKey"] == again["idempotencyKey"] == "echo-1"
                assert again["text"] == "Hello"
            finally:
                bot.kill()
                with trio.CancelScope(shield=True):
                    await bot.wait()
            nursery.cancel_scope.cancel()

"""Programs that follow events while the real daemon is killed and started again; no browser is needed."""

import signal
from pathlib import Path

import trio

from protocol.client import aio, blocking
from tests.system.wasupd import Wasupd


async def test_no_event_is_lost_or_told_twice_across_restarts(tmp_path: Path) -> None:
    daemon = Wasupd(tmp_path, [], {})
    path = str(daemon.socket)
    await daemon.start()
    try:
        with trio.fail_after(60):
            async with aio.follow(path, after=0) as events:
                listened = await trio.to_thread.run_sync(lambda: blocking.follow(path, after=0))
                told: list[list[int]] = [[], []]
                for number in (signal.SIGKILL, signal.SIGTERM, None):
                    async with daemon.client() as call:
                        await call.create(f"s{number}")
                    for seqs in told:
                        created = ""
                        while created != f"The s{number}":
                            if seqs is told[0]:
                                event = await anext(events)
                            else:
                                event = await trio.to_thread.run_sync(next, listened)
                            seqs.append(event["seq"])
                            created = event["data"].get("name", "")
                    if number is not None:
                        await daemon.end(number)
                        await daemon.start()
                await trio.to_thread.run_sync(listened.close)
                assert events.cursor == told[0][-1]
    finally:
        if daemon.process is not None:
            with trio.CancelScope(shield=True):
                await daemon.end(signal.SIGKILL)
    assert told[0] == told[1] == list(range(1, told[0][-1] + 1))

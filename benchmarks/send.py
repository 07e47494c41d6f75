"""Queued `message.send`, 64 in flight, against the same rows written raw: grouped, and one by one.

On this machine's disk, and as if it took longer to sync: what a group of messages shares is the sync.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .frame import Comparison, Target, interleaved, skipped
from .processes import ask, daemon, measured

_SECONDS = 1.5
_IN_FLIGHT = 64
_CHATS = 50
_SLOWER_MS: Final = 5
"""What an SSD without power-loss protection, or a volume over a network, takes for a sync, more or less."""


def run(rounds: int) -> list[Comparison]:
    """Measure; `rounds` times each of the three, on both disks."""
    grouped = ("raw rows, 64 a transaction", "grouped", 0.25)
    single = ("raw rows, one a transaction", "single", 10)
    what = "message.send, queued, 64 in flight"
    rows = _rows(what, _measure(rounds), grouped, single)
    try:
        with _slow_disk():
            rows += _rows(f"{what}, syncs {_SLOWER_MS} ms longer", _measure(rounds), single)
    except FileNotFoundError:
        skipped("message.send on a slow disk", "there is no C compiler")
    return rows


def _rows(
    what: str, found: Mapping[str, Mapping[str, list[float]]], *floors: tuple[str, str, float]
) -> list[Comparison]:
    return [
        Comparison(
            what=what,
            unit="/s",
            product=found["product"]["per_s"],
            floor=found[which]["per_s"],
            floor_is=floor_is,
            target=Target(bound="at least", ratio=least),
        )
        for floor_is, which, least in floors
    ]


def _measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        with daemon(directory / "daemon", "messages.queue_limit = 10_000_000") as socket:
            ask(socket, "session.create", {"name": "Shop", "id": "shop"})
            lines = b"".join(_request(number) for number in range(_CHATS))
            load = (socket, "1", str(_IN_FLIGHT))
            measured("load", *load, "0.1", given=lines)
            store = directory / "raw.db"
            shutil.copy(ask(socket, "daemon.backup", {})["path"], store)
            return interleaved(
                rounds,
                {
                    "grouped": lambda: measured("floors.rows", str(store), str(_IN_FLIGHT), str(_SECONDS)),
                    "single": lambda: measured("floors.rows", str(store), "1", str(_SECONDS)),
                    "product": lambda: measured("load", *load, str(_SECONDS), given=lines),
                },
            )


@contextmanager
def _slow_disk() -> Iterator[None]:
    """Have the programs that are started in the block take longer to sync.

    Raises:
        FileNotFoundError: there is no `cc`.
    """
    with tempfile.TemporaryDirectory() as name:
        library = f"{name}/slow_disk.so"
        source = Path(__file__).with_name("slow_disk.c")
        slower = f"-DSLOWER_NS={_SLOWER_MS * 1_000_000}"
        subprocess.run(["cc", "-shared", "-fPIC", slower, "-o", library, source], check=True)  # noqa: S607  any
        os.environ["LD_PRELOAD"] = library
        try:
            yield
        finally:
            del os.environ["LD_PRELOAD"]


def _request(number: int) -> bytes:
    params = {
        "sessionId": "shop",
        "to": f"+4915110{number:06}",
        "text": "Your order is ready: it can be fetched from Monday on, from nine to six.",
    }
    request = {"jsonrpc": "2.0", "id": number, "method": "message.send", "params": params}
    return json.dumps(request).encode() + b"\n"

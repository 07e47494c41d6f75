"""The processes of a browser. They come and go by themselves, also between two looks at them."""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def children(pid: int, kind: str) -> list[psutil.Process]:
    """Return the browser's living processes of a kind such as `renderer`, the largest (the page's) first."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile: its words are gone, a zombie's too
            if f"--type={kind}" in process.cmdline():
                found.append((process.memory_info().rss, process))
    return [process for _, process in sorted(found, key=lambda entry: -entry[0])]


def listening(pids: Iterable[int]) -> list[str]:
    """Return every address on which anybody could connect to one of the processes."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):  # as above
            connections = psutil.Process(pid).net_connections("inet")
            found += [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
    return found

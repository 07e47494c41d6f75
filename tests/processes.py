"""The processes of a browser. They come and go by themselves, also between two looks at them."""

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

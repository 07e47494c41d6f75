"""Sends the bytes of an event to all: `python -m benchmarks.floors.fanout COUNT SECONDS`.

One process sends, without ever waiting, to so many sockets; another reads them, and asks for the next as
soon as all have come. Prints events a second, as JSON.
"""

import json
import os
import selectors
import socket
import sys
import time

_LINE = b"x" * 700 + b"\n"


def main(count: int, seconds: float) -> float:
    """Send for so long; return how many events a second reached all."""
    pairs = [socket.socketpair() for _ in range(count)]
    ask, asked = socket.socketpair()
    if os.fork() == 0:
        ask.close()
        while asked.recv(1):
            for ours, _ in pairs:
                ours.send(_LINE, socket.MSG_DONTWAIT)
        os._exit(0)
    events = 0
    with selectors.EpollSelector() as selector:
        for _, theirs in pairs:
            selector.register(theirs, selectors.EVENT_READ, theirs)
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            ask.send(b"x")
            missing = count
            while missing:
                for key, _ in selector.select():
                    missing -= key.data.recv(65536).count(b"\n")
            events += 1
        passed = time.perf_counter() - begun
    asked.close()
    ask.close()
    return events / passed


if __name__ == "__main__":
    print(json.dumps({"per_s": main(int(sys.argv[1]), float(sys.argv[2]))}))

"""Sends the bytes of an event to all: `python -m benchmarks.floors.fanout COUNT IN_FLIGHT SECONDS`.

One process sends, without ever waiting, to so many sockets; another reads them, and asks for the next as
soon as one has come to all; IN_FLIGHT need not have come yet. Prints events a second, as JSON.
"""

import json
import os
import selectors
import socket
import sys
import time

_LINE = b"x" * 700 + b"\n"


def main(count: int, in_flight: int, seconds: float) -> float:
    """Send for so long; return how many events a second reached all."""
    pairs = [socket.socketpair() for _ in range(count)]
    ask, asked = socket.socketpair()
    if os.fork() == 0:
        ask.close()
        while wanted := asked.recv(in_flight):
            for _ in wanted:
                for ours, _ in pairs:
                    ours.send(_LINE, socket.MSG_DONTWAIT)
        os._exit(0)
    told = sent = 0
    with selectors.EpollSelector() as selector:
        for _, theirs in pairs:
            selector.register(theirs, selectors.EVENT_READ, theirs)
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            missing = told // count + in_flight - sent
            ask.send(b"x" * missing)
            sent += missing
            for key, _ in selector.select():
                told += key.data.recv(1 << 18).count(b"\n")
        passed = time.perf_counter() - begun
    asked.close()
    ask.close()
    return told / count / passed


if __name__ == "__main__":
    print(json.dumps({"per_s": main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))}))

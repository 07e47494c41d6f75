"""Clients that are told of events.

`python -m benchmarks.listeners push SOCKET COUNT IN_FLIGHT SECONDS`: so many subscribers, and one client that
sends what standard input says, again whenever all have been told of one; of IN_FLIGHT they need not have been
told yet. Prints events a second.
`python -m benchmarks.listeners replay SOCKET EVENTS`: one that resumes at the log's start.
"""

import json
import selectors
import socket
import sys
import time


def _subscribed(path: str, after: int | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    params = {} if after is None else {"after": after}
    request = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": params}
    sock.sendall(json.dumps(request).encode() + b"\n")
    return sock


def push(path: str, count: int, in_flight: int, seconds: float) -> float:
    """Return how many events a second reached all."""
    line = sys.stdin.buffer.read()
    subscribers = [_subscribed(path, None) for _ in range(count)]
    for sock in subscribers:
        sock.recv(4096)
    asking = socket.socket(socket.AF_UNIX)
    asking.connect(path)
    told = asked = 0
    with selectors.EpollSelector() as selector:
        for sock in (asking, *subscribers):
            selector.register(sock, selectors.EVENT_READ, sock)
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            missing = told // count + in_flight - asked
            asking.sendall(line * missing)
            asked += missing
            for key, _ in selector.select():
                lines = key.data.recv(1 << 18).count(b"\n")
                told += lines if key.data is not asking else 0
        return told / count / (time.perf_counter() - begun)


def replay(path: str, events: int) -> float:
    """Return how many events a second a client gets that resumes."""
    begun = time.perf_counter()
    sock = _subscribed(path, 0)
    got = 0
    while got <= events:  # and the answer
        got += sock.recv(1 << 18).count(b"\n")
    return (got - 1) / (time.perf_counter() - begun)


if __name__ == "__main__":
    _, what, where, number, *rest = sys.argv
    if what == "push":
        per_s = push(where, int(number), int(rest[0]), float(rest[1]))
    else:
        per_s = replay(where, int(number))
    print(json.dumps({"per_s": per_s}))

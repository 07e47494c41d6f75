"""A client that asks as fast as it is answered.

`python -m benchmarks.load SOCKET CONNECTIONS IN_FLIGHT SECONDS`; requests come from standard input, one a
line, and are asked in turn. Prints requests a second, the 99th percentile of the time to an answer, and the
server's CPU time a request, as JSON. Does as little as it can: what it costs is part of every figure.
"""

import json
import selectors
import socket
import struct
import sys
import time
from collections import deque
from itertools import cycle
from typing import Final

import psutil

_WARM_UP: Final = 0.1
"""The part of the time that is not counted."""


class _Connection:
    """One client with so many requests under way; answers to like requests come in order."""

    def __init__(self, path: str, requests: list[bytes], in_flight: int) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self._requests = cycle(requests)
        self._asked: deque[float] = deque()
        self._ask(in_flight)

    def _ask(self, count: int) -> None:
        now = time.perf_counter()
        self._asked.extend([now] * count)
        self.sock.sendall(b"".join([next(self._requests) for _ in range(count)]))

    def turn(self, times: list[float]) -> int:
        """Take the answers that are there, and ask as many again; return how many they were."""
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("The server has closed the connection")
        now = time.perf_counter()
        count = data.count(b"\n")
        times.extend(now - self._asked.popleft() for _ in range(count))
        if count:
            self._ask(count)
        return count


def main(path: str, connections: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Ask for so long; return the figures."""
    requests = sys.stdin.buffer.readlines()
    clients = [_Connection(path, requests, in_flight) for _ in range(connections)]
    _drive(clients, seconds * _WARM_UP)
    server = psutil.Process(_server(clients[0].sock))
    before = server.cpu_times()
    per_s, times = _drive(clients, seconds)
    after = server.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    times.sort()
    return {
        "per_s": per_s,
        "p99_us": times[int(len(times) * 0.99)] * 1e6,
        "cpu_us": cpu_s / len(times) * 1e6,
    }


def _server(sock: socket.socket) -> int:
    """Return the pid of who listens, as the kernel says it."""
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def _drive(clients: list[_Connection], seconds: float) -> tuple[float, list[float]]:
    times: list[float] = []
    begun = time.perf_counter()
    end = begun + seconds
    count = 0
    if len(clients) == 1:
        while time.perf_counter() < end:
            count += clients[0].turn(times)
    else:
        with selectors.EpollSelector() as selector:
            for client in clients:
                selector.register(client.sock, selectors.EVENT_READ, client)
            while time.perf_counter() < end:
                for key, _ in selector.select():
                    count += key.data.turn(times)
    return count / (time.perf_counter() - begun), times


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))

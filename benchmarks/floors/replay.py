"""Reads the log's events with their messages raw, and encodes each.

`python -m benchmarks.floors.replay STORE EVENTS`. The line of each goes through a socket, as a client's do.
Prints events a second, as JSON.
"""

import json
import socket
import sys
import threading
import time
from itertools import islice

import apsw
import msgspec


def main(path: str, events: int) -> float:
    """Read so many; return how many a second."""
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    ours, theirs = socket.socketpair()
    encode = msgspec.json.Encoder().encode
    got = 0

    def receive() -> None:
        nonlocal got
        while got < events:
            got += theirs.recv(1 << 18).count(b"\n")

    reader = threading.Thread(target=receive, daemon=True)
    begun = time.perf_counter()
    reader.start()
    cursor = db.execute(
        """SELECT e.seq, e.at, e.type, e.session_id, e.data, m.* FROM events e
           LEFT JOIN messages m ON m.ref = e.message ORDER BY e.seq LIMIT ?""",
        (events,),
    )
    names = [name for name, _ in cursor.get_description()]
    while rows := list(islice(cursor, 100)):
        ours.sendall(b"".join(encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows))
    reader.join()
    return events / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(json.dumps({"per_s": main(sys.argv[1], int(sys.argv[2]))}))

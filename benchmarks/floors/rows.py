"""Writes the rows of queued messages raw: `python -m benchmarks.floors.rows STORE GROUP SECONDS`.

STORE is a store in which a daemon has queued messages: the latest of them and its event are written again and
again under new ids, GROUP of them a transaction, `synchronous=FULL`. Prints messages a second, as JSON.
"""

import json
import secrets
import sys
import time

import apsw


def main(path: str, group: int, seconds: float) -> dict[str, float]:
    """Write for so long; return the figure."""
    db = apsw.Connection(path)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    db.pragma("foreign_keys", True)
    message, insert_message = _again(db, "messages", "ref")
    event, insert_event = _again(db, "events", "seq")
    session = message["session_id"]
    prefix = secrets.token_hex(8).upper()
    count = 0
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            count += 1
            message["id"] = f"{prefix}{count:06}"
            db.execute(insert_message, message)
            event["message"] = db.last_insert_rowid()
            db.execute("UPDATE sessions SET last_activity = ? WHERE id = ?", (message["at"], session))
            db.execute(insert_event, event)
        db.execute("COMMIT")
    return {"per_s": count / passed}


def _again(db: apsw.Connection, table: str, number: str) -> tuple[dict[str, object], str]:
    """Return the latest row of the table without its number, and the SQL that inserts it once more."""
    # Without generated columns, which take no value.
    columns = [info[1] for info in db.execute(f"PRAGMA table_info({table})") if info[1] != number]
    names = ", ".join(columns)
    latest = db.execute(f"SELECT {names} FROM {table} ORDER BY {number} DESC LIMIT 1").fetchone()
    row: dict[str, object] = dict(zip(columns, latest or (), strict=True))
    values = ", ".join(f":{name}" for name in row)
    return row, f"INSERT INTO {table} ({names}) VALUES ({values})"


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))

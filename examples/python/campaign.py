"""Writes to the people of a CSV file, slowly: python campaign.py SESSION FILE.csv [--per-minute 6]

The file's first line is `number,text`. What became of each row is appended to FILE.csv.done, and rows that
are there are passed over: repeat the command after whatever stopped it. A row that was accepted but not
noted is not sent twice either, because its key is made of the file's name and the row's number.

Write only to people who expect it. However slow, a campaign may get the number banned.
"""

import argparse
import csv
import random
import time
from pathlib import Path

from protocol.client.blocking import connect
from protocol.errors import RpcError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("session")
    parser.add_argument("file", type=Path)
    parser.add_argument("--per-minute", type=float, default=6)
    given = parser.parse_args()
    done = given.file.with_name(given.file.name + ".done")
    noted = done.read_text().splitlines() if done.exists() else []
    known = {row[0] for row in csv.reader(noted)}
    with connect() as client, given.file.open(newline="") as rows, done.open("a", newline="") as results:
        writer = csv.writer(results)
        for number, row in enumerate(csv.DictReader(rows), start=1):
            if str(number) in known:
                continue
            outcome = send(client, given.session, row, key=f"{given.file.name}-{number}")
            writer.writerow([number, row["number"], outcome])
            results.flush()
            print(number, outcome, flush=True)
            time.sleep(60 / given.per_minute * random.uniform(0.5, 1.5))


def send(client, session: str, row: dict[str, str], key: str) -> str:
    while True:
        try:
            message = client.call(
                "message.send",
                sessionId=session,
                to=row["number"],
                text=row["text"],
                idempotencyKey=key,
                wait="sent",
            )
        except RpcError as refused:
            if refused.code == "PAGE_TIMEOUT":
                return "queued"  # accepted; it goes out when the session is connected
            if refused.code not in ("RATE_LIMITED", "QUEUE_FULL"):
                return refused.code
            time.sleep(refused.details.get("retryAfter", 30))
        else:
            return str(message["status"])


if __name__ == "__main__":
    main()

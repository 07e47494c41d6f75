"""Answers every text that a person writes with the same text: python echo_bot.py SESSION [PLACE]

PLACE is a file with the number of the last event that was dealt with, so that the bot goes on where it
stopped, however it was stopped. It may be stopped, and the daemon may be restarted, at any moment: every text
is answered once, because the answer's key is made of the event's number.
"""

import sys
from pathlib import Path

import trio

from protocol.client.aio import connect, follow
from protocol.client.errors import ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError


async def main(session: str, place: Path, after: int | None) -> None:
    async with follow(sessions=[session], types=["message.received"], after=after) as events:
        print("following", flush=True)
        async for event in events:
            message = event["data"]["message"]
            if message["type"] == "text" and not message["chatId"].endswith("@g.us"):
                await answer(session, message, key=f"echo-{event['seq']}")
            remember(place, event["seq"])


async def answer(session: str, message: dict, key: str) -> None:
    while True:
        try:
            async with connect() as client:
                await client.call(
                    "message.send",
                    sessionId=session,
                    to=message["chatId"],
                    text=message["text"],
                    quotedMessageId=message["key"],
                    idempotencyKey=key,
                )
        except (ConnectionLost, DaemonUnreachable):
            await trio.sleep(1)  # asked again with the same key, it is the same message
        except RpcError as refused:
            if refused.code not in ("SHUTTING_DOWN", "QUEUE_FULL", "RATE_LIMITED", "STORE_FULL"):
                raise
            await trio.sleep(refused.details.get("retryAfter", 1))
        else:
            return


def remember(place: Path, seq: int) -> None:
    new = place.with_suffix(".new")
    new.write_text(str(seq))
    new.replace(place)  # whole or not at all


if __name__ == "__main__":
    kept = Path(sys.argv[2] if len(sys.argv) > 2 else "echo_bot.place")
    trio.run(main, sys.argv[1], kept, int(kept.read_text()) if kept.exists() else None)

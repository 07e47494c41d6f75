"""Fault points: the steps of a message between which tests have the daemon die.

`$WASUP_CRASH_AT = "point"` or `"point:n"` has wasupd end itself with SIGKILL when it gets there (for the n-th
time); it says so at its start. Nothing else reads the variable, and without it a point costs a look into an
empty dictionary. Points in a transaction are reached in the store's thread, before the commit.

The one state of the whole process: a point may lie anywhere, and those places are to know nothing of it.
"""

import os
import signal
from types import MappingProxyType
from typing import Final

__all__ = ["POINTS", "VARIABLE", "arm", "reached"]

VARIABLE: Final = "WASUP_CRASH_AT"

POINTS: Final = MappingProxyType(
    {
        "send.taken": "message.send is valid, its file is kept, nothing is accepted",
        "send.written": "the message and its event are in the transaction",
        "send.committed": "they are on the disk, the client has no answer",
        "reply.made": "a request that had to wait is done, its answer is not sent",
        "reply.sent": "its answer has left",
        "store.committing": "any transaction, before its commit",
        "store.committed": "any transaction, after its commit; nobody has been told",
        "sending.written": "`sending` is in the transaction",
        "sending.recorded": "`sending` is on the disk",
        "page.asked": "the page is about to be given the message",
        "key.told": "the page has built the message's key and sends it; nothing of that is on record",
        "page.answered": "the page has an answer of WhatsApp's to the message; it is not on record",
        "settled.written": "that answer is in the transaction",
        "settled.committed": "it is on the disk",
        "ack.told": "the page tells of an acknowledgment; it is not on record",
        "ack.written": "it is in the transaction",
        "ack.committed": "it is on the disk",
        "received.told": "the page tells of a message; it is not on record",
        "received.written": "it is in the transaction",
        "received.committed": "it is on the disk",
        "webhook.posting": "an event is about to be posted",
        "webhook.posted": "the receiver has answered; the cursor is where it was",
        "webhook.saving": "the cursor is about to be written",
        "webhook.saved": "it is on the disk",
    }
)

_left: Final[dict[str, int]] = {}


def arm(order: str) -> None:
    """Have the process die at the point, or its n-th time. Raises ValueError for what is no such order."""
    point, _, count = order.partition(":")
    if point not in POINTS or not (count or "1").isdecimal() or not int(count or 1):
        raise ValueError(f"{VARIABLE}={order!r}: POINT or POINT:COUNT, with a point of {', '.join(POINTS)}")
    _left[point] = int(count or 1)


def reached(point: str) -> None:
    """The process is at this point. Usually nothing happens; where it is armed, this does not return."""
    if point in _left:
        _left[point] -= 1
        if not _left[point]:
            os.kill(os.getpid(), signal.SIGKILL)

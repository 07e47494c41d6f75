"""The store: sessions, messages and the event log, in one SQLite file.

`open_store` gives a `Store`; the modules `sessions`, `messages`, `outbox`, `chats` and `events` are what
its jobs and queries are made of.
"""

from .errors import KeyMissing, StoreClosed, StoreError, StoreFull
from .log import EventLog, Subscription
from .records import Event, MessageRow, SessionRow, message_record, session_record
from .store import Store, open_store
from .writer import Pending

__all__ = [
    "Event",
    "EventLog",
    "KeyMissing",
    "MessageRow",
    "Pending",
    "SessionRow",
    "Store",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "Subscription",
    "message_record",
    "open_store",
    "session_record",
]

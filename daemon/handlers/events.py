"""events.*: the log, read page by page or pushed as notifications."""

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Final

import trio

from daemon.access import Peer
from daemon.dispatch import Call, Client, Reply
from daemon.service import Service
from daemon.store import Event, Subscription
from protocol.errors import RpcError
from protocol.models import (
    EventRecord,
    EventsListParams,
    EventsListResult,
    EventsSubscribeParams,
    EventsSubscribeResult,
    EventsUnsubscribeParams,
    EventsUnsubscribeResult,
)

_PAGE: Final = 500
"""How much of the log is looked through at once for a caller who may not know of all of it."""


def subscribe(service: Service, call: Call, params: EventsSubscribeParams) -> Reply:
    subscription = service.store.log.subscribe(params.after, params.types, params.sessions)
    number, scope = call.connection.open_subscription()
    answer = EventsSubscribeResult(subscription=number, cursor=subscription.cursor)
    return Reply(answer, partial(_push, service, call.connection, number, scope, subscription))


async def _push(
    service: Service, client: Client, number: int, scope: trio.CancelScope, subscription: Subscription
) -> None:
    """Send what the subscription gives, and the client may know of, until it, or the connection, ends.

    The client's role and the lists of a session count as they are when the event is sent. Who keeps up is
    told with the commit itself, without a task's turn; here it is only caught up with.

    Raises:
        CURSOR_EXPIRED: the log has gone on without it. FORBIDDEN: the client has no role any more.
    """

    def push(events: Sequence[Event]) -> bool:
        if client.peer.role is None:
            return False
        seen = events if service.visibility.hides_nothing else _seen(service, client.peer, events)
        return not seen or client.tell(number, _joined(number, tuple(seen)))

    with scope, subscription:
        subscription.push = push
        async for events in subscription:
            if client.peer.role is None:  # any other may read
                raise RpcError("FORBIDDEN")
            await client.notify(*_lines(number, _seen(service, client.peer, events)))


def _seen(service: Service, peer: Peer, events: Sequence[Event]) -> Sequence[Event]:
    visibility = service.visibility
    if visibility.hides_nothing:
        return events
    return [event for event in events if visibility.sees_event(peer, event.record.session_id, event.seq)]


def _lines(number: int, events: Iterable[Event]) -> list[bytes]:
    head = b'{"jsonrpc":"2.0","method":"event","params":{"subscription":%d,"event":' % number
    return [head + event.json + b"}}\n" for event in events]


@lru_cache(maxsize=8)
def _joined(number: int, events: tuple[Event, ...]) -> bytes:
    """Return the notifications of what has just been committed: many clients are told the very same."""
    return b"".join(_lines(number, events))


def unsubscribe(_service: Service, call: Call, params: EventsUnsubscribeParams) -> EventsUnsubscribeResult:
    return EventsUnsubscribeResult(unsubscribed=call.connection.close_subscription(params.subscription))


async def list_(service: Service, call: Call, params: EventsListParams) -> EventsListResult:
    """Fill the page with what the caller may know of: one that comes short is the last."""
    found: list[EventRecord] = []
    cursor, limit = params.after, params.limit
    while True:
        page = await service.store.log.list(cursor, limit, params.types, params.sessions)
        found += [event.record for event in _seen(service, call.peer, page.events)]
        cursor, limit = page.upto, max(params.limit, _PAGE)
        if len(found) >= params.limit or cursor >= page.latest:
            break
    return EventsListResult(events=tuple(found[: params.limit]), oldest=page.oldest, latest=page.latest)

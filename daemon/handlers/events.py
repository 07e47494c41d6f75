"""events.*: the log, read page by page or pushed as notifications."""

from functools import partial

import trio

from daemon.dispatch import Call, Client, Reply
from daemon.service import Service
from daemon.store import Subscription
from protocol.models import (
    EventsListParams,
    EventsListResult,
    EventsSubscribeParams,
    EventsSubscribeResult,
    EventsUnsubscribeParams,
    EventsUnsubscribeResult,
)


def subscribe(service: Service, call: Call, params: EventsSubscribeParams) -> Reply:
    subscription = service.store.log.subscribe(params.after, params.types, params.sessions)
    number, scope = call.connection.open_subscription()
    answer = EventsSubscribeResult(subscription=number, cursor=subscription.cursor)
    return Reply(answer, partial(_push, call.connection, number, scope, subscription))


async def _push(client: Client, number: int, scope: trio.CancelScope, subscription: Subscription) -> None:
    """Send what the subscription gives until it, or the connection, ends."""
    head = b'{"jsonrpc":"2.0","method":"event","params":{"subscription":%d,"event":' % number
    with scope, subscription:
        async for events in subscription:
            await client.notify(*(head + event.json + b"}}\n" for event in events))


def unsubscribe(_service: Service, call: Call, params: EventsUnsubscribeParams) -> EventsUnsubscribeResult:
    return EventsUnsubscribeResult(unsubscribed=call.connection.close_subscription(params.subscription))


async def list_(service: Service, _call: Call, params: EventsListParams) -> EventsListResult:
    page = await service.store.log.list(params.after, params.limit, params.types, params.sessions)
    return EventsListResult(
        events=tuple(event.record for event in page.events), oldest=page.oldest, latest=page.latest
    )

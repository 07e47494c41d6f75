"""message.*: what is sent and what was said."""

import os
from collections.abc import Callable, Mapping

import apsw
import attrs
import msgspec
import trio

from daemon.contents import content_of
from daemon.dispatch import Call
from daemon.journal import now_ms
from daemon.media import TakenFile
from daemon.service import Service
from daemon.store import Subscription, message_record, outbox, sessions
from daemon.store import messages as table
from daemon.store.messages import Content
from daemon.store.records import MessageRow
from protocol.errors import ERRORS, RpcError
from protocol.models import Message, MessageListParams, MessageListResult, MessageParams, MessageSendParams
from supervisors.faults import reached

# What a `wait` is content with: the status itself, and those that come after it.
_REACHED: Mapping[str, tuple[str, ...]] = {
    "sent": ("sent", "delivered", "read", "played"),
    "delivered": ("delivered", "read", "played"),
}
_WATCHED = tuple(f"message.{status}" for status in (*_REACHED["sent"], "failed", "cancelled"))


async def send(service: Service, call: Call, params: MessageSendParams) -> Message:
    session_id = params.session_id
    if session_id is None:
        session_id = await _least_loaded(service, params.tag, service.visibility.hidden(call.peer))
    session = service.session(session_id)
    content, file = await content_of(params, service.config.messages)
    message_id = new_message_id()
    at_ms = now_ms()

    def accept(db: apsw.Connection) -> tuple[MessageRow, bool]:
        accepted = outbox.enqueue(
            db,
            session_id,
            _referring(db, session_id, content, params),
            id=message_id,
            chat_id=params.recipient,
            at_ms=at_ms,
            sender=session.facts.wid,
            idempotency_key=params.idempotency_key,
            queue_limit=service.config.messages.queue_limit,
            rate_per_minute=service.config.messages.rate_per_minute,
        )
        reached("send.written")
        return accepted

    async def accepted() -> MessageRow:
        row = await _accept(service, session_id, message_id, file, accept)
        service.activity[session_id] = at_ms
        session.send_outgoing()
        return row

    if params.wait == "queued":
        return message_record(await accepted())
    # Subscribed before it is accepted: no step of it can be missed.
    with service.store.log.subscribe(types=_WATCHED, sessions=(session_id,)) as events:
        return await _settled(service, await accepted(), events, params)


async def _accept(
    service: Service,
    session_id: str,
    message_id: str,
    file: TakenFile | None,
    accept: Callable[[apsw.Connection], tuple[MessageRow, bool]],
) -> MessageRow:
    """Accept a message, its file first: what is accepted can be sent, whatever dies."""
    if file is not None:
        await service.files.keep(session_id, message_id, file.data)
    needed = False
    try:
        reached("send.taken")
        row, needed = await service.store.write(accept)
        reached("send.committed")
    except trio.Cancelled:
        needed = True  # it may be accepted all the same; where it is not, `daemon.expiry` finds the file
        raise
    finally:
        if file is not None and not needed:
            service.files.drop(session_id, message_id)
    return row


def _referring(db: apsw.Connection, session_id: str, content: Content, params: MessageSendParams) -> Content:
    """Put the page's own names of other messages in: of the one that is quoted, or reacted to."""
    if params.reaction is not None:
        target = table.get(db, session_id, params.reaction.message_id)
        content = attrs.evolve(content, options={**content.options, "messageId": target.key or target.id})
    if params.quoted_message_id is not None:
        quoted = table.get(db, session_id, params.quoted_message_id)
        content = attrs.evolve(content, quoted_id=quoted.key or quoted.id)
    return content


def new_message_id() -> str:
    """Return an id as WhatsApp Web chooses them: `3EB0` and 18 hex digits (WAWebMsgKey.newId, 2.3000)."""
    return "3EB0" + os.urandom(9).hex().upper()


async def _least_loaded(service: Service, tag: str | None, hidden: list[str]) -> str:
    """Return the connected session with the tag that has least to send. Raises SESSION_NOT_CONNECTED."""
    rows, total = await service.store.read(lambda db: sessions.list_(db, tag=tag, hidden=hidden))
    if not total:
        raise RpcError("SESSION_NOT_FOUND", f"No session has the tag {tag!r}", tag=tag)
    ready = [row for row in rows if row.status == "connected" and row.id not in service.deleting]
    if not ready:
        raise RpcError("SESSION_NOT_CONNECTED", f"No session with the tag {tag!r} is connected", tag=tag)
    return min(ready, key=lambda row: row.queued).id


class _Told(msgspec.Struct):
    message: Message


async def _settled(
    service: Service, row: MessageRow, events: Subscription, params: MessageSendParams
) -> Message:
    """Wait until the message is as far as `params.wait` asks.

    Raises what made it fail, or PAGE_TIMEOUT; the message stays accepted then.
    """
    latest = message_record(row)
    with trio.move_on_after(params.timeout):
        if _is_settled(latest, params.wait):
            return latest
        async for batch in events:
            for event in batch:
                told = msgspec.json.decode(event.record.data, type=_Told).message
                if told.id != row.id:
                    continue
                latest = told
                if _is_settled(latest, params.wait):
                    return latest
    if latest.status == "queued":
        latest = await get(service, None, MessageParams(session_id=row.session_id, message_id=row.id))
    raise RpcError(
        "PAGE_TIMEOUT",
        f"The message was not {params.wait} within {params.timeout:g} s; it stays accepted",
        message=latest,
        action="Ask message.get what became of it; do not send it again.",
    )


def _is_settled(message: Message, wait: str) -> bool:
    if message.status in ("failed", "cancelled"):
        error = message.error
        code = error.code if error is not None and error.code in ERRORS else "PAGE_ERROR"
        raise RpcError(code, error.message if error else f"The message is {message.status}", message=message)
    return message.status in _REACHED[wait]


async def get(service: Service, _call: Call | None, params: MessageParams) -> Message:
    row = await service.store.read(lambda db: table.get(db, params.session_id, params.message_id))
    return message_record(row)


async def list_(service: Service, _call: Call, params: MessageListParams) -> MessageListResult:
    rows, following = await service.store.read(
        lambda db: table.list_(
            db,
            params.session_id,
            chat_id=params.chat,
            direction=params.direction,
            status=params.status,
            since=params.since_ms,
            until=params.until_ms,
            cursor=params.cursor,
            limit=params.limit,
        )
    )
    return MessageListResult(messages=tuple(map(message_record, rows)), next=following)

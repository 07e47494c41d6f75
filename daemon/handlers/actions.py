"""message.*, what is done to messages that are there: each asks the page, then notes what has changed."""

import base64

from daemon.dispatch import Call
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import message_record, outbox
from daemon.store import messages as table
from daemon.store.records import MessageRow
from protocol.address import parse_recipient
from protocol.errors import RpcError
from protocol.models import (
    Message,
    MessageDeleteParams,
    MessageDownloadResult,
    MessageEditParams,
    MessageForwardParams,
    MessageForwardResult,
    MessageParams,
    MessageReactParams,
)
from supervisors.whatsapp.page import WhatsAppPage


async def edit(service: Service, _call: Call, params: MessageEditParams) -> Message:
    page, row = await target(service, params.session_id, params.message_id)
    await page.ask("edit", {"key": row.key, "text": params.text})
    await service.store.write(
        lambda db: table.edited(db, params.session_id, row.key or row.id, params.text, now_ms())
    )
    return await _now(service, row)


async def delete(service: Service, _call: Call, params: MessageDeleteParams) -> Message:
    page, row = await target(service, params.session_id, params.message_id)
    await page.ask("remove", {"key": row.key, "forEveryone": params.for_everyone})
    await service.store.write(lambda db: table.deleted(db, params.session_id, row.key or row.id, now_ms()))
    return await _now(service, row)


async def react(service: Service, _call: Call, params: MessageReactParams) -> Message:
    page, row = await target(service, params.session_id, params.message_id)
    await page.ask("react", {"key": row.key, "emoji": params.emoji})
    return await _now(service, row)


async def mark_read(service: Service, _call: Call, params: MessageParams) -> Message:
    page, row = await target(service, params.session_id, params.message_id)
    await page.ask("markRead", {"key": row.key})
    return await _now(service, row)


async def forward(service: Service, _call: Call, params: MessageForwardParams) -> MessageForwardResult:
    page, row = await target(service, params.session_id, params.message_id)
    await page.ask("forward", {"key": row.key, "to": parse_recipient(params.to)})
    return MessageForwardResult()


async def download(service: Service, _call: Call, params: MessageParams) -> MessageDownloadResult:
    service.session(params.session_id)
    row = await service.store.read(lambda db: table.get(db, params.session_id, params.message_id))
    if row.media is None:
        raise RpcError("MESSAGE_NOT_FOUND", "The message has no file", messageId=row.id)
    data = await service.files.downloaded(params.session_id, row.key or row.id)
    if data is None:
        page, _ = await target(service, params.session_id, params.message_id)
        _, data = await page.download(row.key or row.id, service.config.messages.max_media_bytes)
    return MessageDownloadResult(
        mimetype=row.media.mimetype,
        filename=row.media.filename,
        data=base64.b64encode(data).decode(),
    )


async def retry(service: Service, _call: Call, params: MessageParams) -> Message:
    session = service.session(params.session_id)
    row = await service.store.write(
        lambda db: outbox.retry(db, params.session_id, params.message_id, now_ms())
    )
    session.send_outgoing()
    return message_record(row)


async def cancel(service: Service, _call: Call, params: MessageParams) -> Message:
    session = service.session(params.session_id)
    row = await service.store.write(
        lambda db: outbox.cancel(db, params.session_id, params.message_id, now_ms())
    )
    session.send_outgoing()  # what waited behind it may go
    return message_record(row)


async def target(service: Service, session_id: str, message_id: str) -> tuple[WhatsAppPage, MessageRow]:
    """Return the page, and the message that it knows. Raises MESSAGE_NOT_FOUND, SESSION_NOT_CONNECTED."""
    session = service.session(session_id)
    row = await service.store.read(lambda db: table.get(db, session_id, message_id))
    page = session.connected_page()
    if row.key is None:
        raise RpcError(
            "MESSAGE_NOT_FOUND", "The message has not left yet", messageId=row.id, status=row.status
        )
    return page, row


async def _now(service: Service, row: MessageRow) -> Message:
    """Return the message as it is by now. Raises MESSAGE_NOT_FOUND: its session was deleted meanwhile."""
    try:
        return message_record(await service.store.read(lambda db: table.by_ref(db, row.ref)))
    except LookupError:
        raise RpcError("MESSAGE_NOT_FOUND", messageId=row.id) from None

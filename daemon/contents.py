"""Contents on their way: from what `message.send` is given to what is stored, and from there to the page."""

from pathlib import Path
from typing import Any, get_args

import msgspec

from daemon.config import MessagesSettings
from daemon.files import StoredFile
from daemon.media import TakenFile, take
from daemon.store.messages import Content
from daemon.store.records import MessageRow
from protocol.address import parse_recipient
from protocol.models import ContactCard, Media, MediaContent, MediaKind, MessageSendParams
from supervisors.journal import Outgoing

MEDIA_KINDS: tuple[str, ...] = get_args(MediaKind)


async def content_of(
    params: MessageSendParams, settings: MessagesSettings
) -> tuple[Content, TakenFile | None]:
    """Return what is stored of a message, and its file where it has one.

    Raises:
        RpcError: as `daemon.media.take` does.
    """
    kind, mentions = params.kind, params.mentioned
    if kind == "text":
        return Content(text=params.text, mentions=mentions), None
    given = getattr(params, kind)
    if isinstance(given, MediaContent):
        file = await take(
            kind,
            given,
            most_bytes=settings.max_media_bytes,
            dirs=[Path(directory) for directory in settings.media_dirs],
        )
        media = Media(mimetype=file.mimetype, filename=file.filename, bytes=len(file.data))
        options: dict[str, Any] = {"ptt": given.ptt, "sha256": file.digest}
        return Content(type=kind, text=given.caption, media=media, mentions=mentions, options=options), file
    if kind == "contact":
        cards: tuple[ContactCard, ...] = (given,) if isinstance(given, ContactCard) else given
        contacts = [{"name": card.name, "chatId": parse_recipient(card.phone_number)} for card in cards]
        names = ", ".join(card.name for card in cards)
        return Content(type=kind, text=names, options={"contacts": contacts}), None
    options = msgspec.to_builtins(given)
    text = options.get({"location": "name", "poll": "question", "reaction": "emoji"}[kind])
    return Content(type=kind, text=text, options=options), None


def outgoing(row: MessageRow, file: StoredFile) -> Outgoing:
    """Return a stored message as the page's sender takes it; `file` is the one it would have."""
    is_media = row.type in MEDIA_KINDS
    content = dict(row.options)
    if row.type == "text":
        content = {"body": row.text or ""}
    elif is_media and row.media is not None:
        content = {
            "kind": row.type,
            "caption": row.text,
            "mimetype": row.media.mimetype,
            "filename": row.media.filename,
            "ptt": row.options.get("ptt", False),
        }
    return Outgoing(
        message_id=row.id,
        to=row.chat_id,
        kind="media" if is_media else row.type,
        content=content,
        file=file if is_media else None,
        quoted_id=row.quoted_id,
        mentions=row.mentions,
        attempts=row.attempts - 1,
    )

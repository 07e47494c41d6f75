"""chat.*, contact.*, group.*, number.*, whatsapp.*: what the page has, and everything else that it can."""

from typing import Any, TypeVar

import msgspec

from daemon.dispatch import Call
from daemon.service import Service
from protocol.errors import RpcError
from protocol.models import (
    Chat,
    ChatListResult,
    Contact,
    ContactListResult,
    Group,
    GroupListResult,
    NumberCheckParams,
    NumberCheckResult,
    PagedParams,
    Participant,
    SessionParams,
    WhatsAppCallParams,
    WhatsAppFunctionsResult,
)
from protocol.times import rfc3339

# What an answer of the page library may have at most, as JSON: it travels in one message.
MOST_ANSWER_BYTES = 8 * 2**20

T = TypeVar("T")


class _ChatRow(msgspec.Struct, rename="camel"):
    id: str
    is_group: bool
    name: str | None = None
    unread_count: int = 0
    archived: bool = False
    pinned: bool = False
    muted_until: int | None = None
    last_message_at: int | None = None


class _ContactRow(msgspec.Struct, rename="camel"):
    id: str
    name: str | None = None
    push_name: str | None = None
    phone_number: str | None = None
    is_business: bool = False
    is_my_contact: bool = False
    is_blocked: bool = False


class _MemberRow(msgspec.Struct, rename="camel"):
    id: str
    is_admin: bool = False


class _GroupRow(msgspec.Struct, rename="camel"):
    id: str
    subject: str | None = None
    description: str | None = None
    owner: str | None = None
    created_at: int | None = None
    participants: tuple[_MemberRow, ...] = ()


class _NumberRow(msgspec.Struct, rename="camel"):
    chat_id: str
    lid: str | None = None
    phone_number: str | None = None


async def chats(service: Service, _call: Call, params: PagedParams) -> ChatListResult:
    rows, total = await _page(service, params, "chats", _ChatRow)
    return ChatListResult(
        chats=tuple(
            Chat(
                id=row.id,
                name=row.name,
                is_group=row.is_group,
                unread_count=row.unread_count,
                archived=row.archived,
                pinned=row.pinned,
                muted_until=_time(row.muted_until),
                last_message_at=_time(row.last_message_at),
            )
            for row in rows
        ),
        total=total,
    )


async def contacts(service: Service, _call: Call, params: PagedParams) -> ContactListResult:
    rows, total = await _page(service, params, "contacts", _ContactRow)
    return ContactListResult(
        contacts=tuple(Contact(**msgspec.structs.asdict(row)) for row in rows), total=total
    )


async def groups(service: Service, _call: Call, params: PagedParams) -> GroupListResult:
    rows, total = await _page(service, params, "groups", _GroupRow)
    return GroupListResult(
        groups=tuple(
            Group(
                id=row.id,
                subject=row.subject,
                description=row.description,
                owner=row.owner,
                created_at=_time(row.created_at),
                participants=tuple(Participant(id=one.id, is_admin=one.is_admin) for one in row.participants),
            )
            for row in rows
        ),
        total=total,
    )


async def check_number(service: Service, _call: Call, params: NumberCheckParams) -> NumberCheckResult:
    page = service.session(params.session_id).connected_page()
    answer = await page.ask("checkNumber", {"chatId": params.recipient})
    if answer is None:
        return NumberCheckResult(exists=False)
    found = _read(answer, _NumberRow)
    return NumberCheckResult(
        exists=True, chat_id=found.chat_id, lid=found.lid, phone_number=found.phone_number
    )


async def functions(service: Service, _call: Call, params: SessionParams) -> WhatsAppFunctionsResult:
    page = service.session(params.session_id).connected_page()
    return WhatsAppFunctionsResult(functions=_read(await page.ask("functions"), tuple[str, ...]))


async def call(service: Service, _call: Call, params: WhatsAppCallParams) -> Any:
    page = service.session(params.session_id).connected_page()
    argument = {"name": params.function, "args": params.args, "mostBytes": MOST_ANSWER_BYTES}
    answer = await page.ask("call", argument, timeout_s=params.timeout)
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(answer)))
    except (msgspec.MsgspecError, TypeError):
        raise _unusable() from None


async def _page(
    service: Service, params: PagedParams, function: str, kind: type[T]
) -> tuple[tuple[T, ...], int]:
    page = service.session(params.session_id).connected_page()
    answer = await page.ask(function, {"offset": params.offset, "limit": params.limit})
    match answer:
        case {"total": int(total), "items": list(items)}:
            return _read(items, tuple[kind, ...]), total  # type: ignore[valid-type]  # a type in a variable
        case _:
            raise _unusable()


def _read(answer: object, kind: type[T]) -> T:
    """Read what the page answered, as the word of a stranger."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        raise _unusable() from None


def _unusable() -> RpcError:
    return RpcError("PAGE_ERROR", "The page gave no usable answer")


def _time(at_s: int | None) -> str | None:
    return None if at_s is None or at_s > 253_402_300_799 else rfc3339(at_s * 1000)

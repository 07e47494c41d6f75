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
    SessionParams,
    WhatsAppCallParams,
    WhatsAppFunctionsResult,
)

# What an answer of the page library may have at most, as JSON: it travels in one message.
MOST_ANSWER_BYTES = 8 * 2**20

T = TypeVar("T")


async def chats(service: Service, _call: Call, params: PagedParams) -> ChatListResult:
    found, total = await _page(service, params, "chats", tuple[Chat, ...])
    return ChatListResult(chats=found, total=total)


async def contacts(service: Service, _call: Call, params: PagedParams) -> ContactListResult:
    found, total = await _page(service, params, "contacts", tuple[Contact, ...])
    return ContactListResult(contacts=found, total=total)


async def groups(service: Service, _call: Call, params: PagedParams) -> GroupListResult:
    found, total = await _page(service, params, "groups", tuple[Group, ...])
    return GroupListResult(groups=found, total=total)


async def check_number(service: Service, _call: Call, params: NumberCheckParams) -> NumberCheckResult:
    page = service.session(params.session_id).connected_page()
    answer = await page.ask("checkNumber", {"chatId": params.recipient})
    return NumberCheckResult(exists=False) if answer is None else _read(answer, NumberCheckResult)


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


async def _page(service: Service, params: PagedParams, function: str, kind: type[T]) -> tuple[T, int]:
    page = service.session(params.session_id).connected_page()
    answer = await page.ask(function, {"offset": params.offset, "limit": params.limit})
    match answer:
        case {"total": int(total), "items": list(items)}:
            return _read(items, kind), total
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

"""Commands made from METHODS: what a method needs stands in the order of its params, the rest are options.

Must not know: any method by more than its row in a table here.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from cyclopts import Parameter
from msgspec import inspect as types

from protocol.client.blocking import Client
from protocol.methods import METHODS, Method
from protocol.models import MediaContent

from .files import media
from .invocation import At, Invocation
from .lookup import find
from .tree import words
from .views import show_answer

Command = Callable[..., None]

_CALL_S: Final = 600
"""Seconds for an answer: what waits for the page has an end of its own before that."""

_HELP: Final[Mapping[str, str]] = {
    "sessionId": "The session's id or name.",
    "messageId": "The message's id.",
    "chatId": "A phone number with its country code, or a chat id.",
    "to": "A phone number with its country code, or a chat id.",
    "contactId": "A phone number with its country code, or a chat id.",
    "phoneNumber": "A phone number with its country code.",
    "limit": "How many at most.",
    "offset": "How many to pass over.",
    "text": "What it says.",
    "emoji": "An emoji; an empty text takes it away.",
    "forEveryone": "From everybody's devices, not only from this account's.",
    "subject": "What the group is called.",
    "name": "What it is called.",
    "description": "A text; an empty one takes it away.",
    "about": "A text.",
    "image": "The picture's file.",
    "video": "The video's file.",
    "color": "A number of WhatsApp's palette, 0 to 19.",
    "backgroundColor": "As #rrggbb.",
    "font": "A number of WhatsApp's fonts, 0 to 10.",
    "query": "What to look for.",
    "enabled": "Whether it is to be so.",
}
"""What params mean that do not say it themselves, or say it for programs."""

ASKS: Final[Mapping[str, str]] = {
    "message.delete": "Delete this message?",
    "chat.clear": "Delete all messages of this chat from this account's devices?",
    "chat.delete": "Delete this chat from this account's devices?",
    "label.delete": "Delete this label?",
    "group.removeParticipants": "Remove them from the group?",
    "group.revokeInviteLink": "End the group's invite link?",
    "group.leave": "Leave this group?",
    "group.removePicture": "Remove the group's picture?",
    "profile.removePicture": "Remove the account's picture?",
    "page.remove": "Remove this version of the page? It can be loaded again only while WhatsApp serves it.",
    "status.delete": "Delete this status post?",
    "channel.delete": "Delete this channel, for all who follow it?",
}
"""What cannot be taken back: asked before, unless `--yes`."""

_YES = inspect.Parameter(
    "yes",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, Parameter(name=("--yes", "-y"), negative="", help="Do not ask.")],
)
_AT = inspect.Parameter("at", inspect.Parameter.KEYWORD_ONLY, annotation=At)


def command(name: str) -> Command:
    """Return the command that calls the method of this name."""
    method = METHODS[name]
    fields = {field.encode_name: field for field in msgspec.structs.fields(method.params)}
    asks = (_YES,) if name in ASKS else ()
    signature = inspect.Signature([*_parameters(fields), *asks, _AT])

    def run(*args: Any, **named: Any) -> None:
        given = signature.bind(*args, **named).arguments
        at, yes = given.pop("at"), given.pop("yes", False)
        params = {key: _json(_kind(fields[key]), value) for key, value in given.items() if value is not None}
        with at.connect() as client:
            _call(at, client, method, params, yes=yes)

    run.__signature__ = signature  # type: ignore[attr-defined]  # what the argument parser goes by
    run.__doc__ = f"{method.summary}."
    return run


def _call(at: Invocation, client: Client, method: Method, params: dict[str, Any], *, yes: bool) -> None:
    if "sessionId" in params:
        params["sessionId"] = find(client, params["sessionId"])["id"]
    if method.name in ASKS:
        at.confirm(ASKS[method.name], yes=yes)
    answer = client.call(method.name, params, within_s=_CALL_S)
    at.result(answer, lambda: show_answer(at.out, method.name, answer))


def _parameters(fields: Mapping[str, msgspec.structs.FieldInfo]) -> Iterator[inspect.Parameter]:
    """Yield what is required by its place, a list last; then the options."""
    required = [field for field in fields.values() if field.required]
    required.sort(key=lambda field: isinstance(_kind(field), types.VarTupleType))
    for field in required:
        kind = _kind(field)
        shown = Parameter(name=words(field.encode_name.removesuffix("Id")).upper(), help=_help(field))
        many = isinstance(kind, types.VarTupleType)
        of = _plain(kind.item_type if many else kind)
        if many:
            shown = Parameter(help=_help(field), required=True)
        yield inspect.Parameter(
            field.encode_name,
            inspect.Parameter.VAR_POSITIONAL if many else inspect.Parameter.POSITIONAL_ONLY,
            annotation=Annotated[of, shown],
        )
    for field in fields.values():
        if not field.required:
            of = _plain(_kind(field))
            negative = f"--no-{words(field.encode_name)}" if of is bool and field.default is True else ""
            option = Parameter(name=f"--{words(field.encode_name)}", help=_help(field), negative=negative)
            yield inspect.Parameter(
                field.encode_name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default if isinstance(field.default, bool | int | float | str) else None,
                annotation=Annotated[Union[of, None], option],  # noqa: UP007 - `of` is known at run time only
            )


def _plain(kind: Any) -> Any:
    """Return the type by which the argument parser reads it; what has no such type is given as JSON."""
    match _bare(kind):
        case types.BoolType():
            return bool
        case types.IntType():
            return int
        case types.FloatType():
            return float
        case types.LiteralType(values=values):
            return Literal[tuple(values)]
        case types.StructType(cls=cls) if cls is MediaContent:
            return Path
        case types.VarTupleType(item_type=item):
            return list[_plain(item)]  # type: ignore[misc]  # known at run time
    return str


def _json(kind: Any, value: Any) -> Any:
    """Return an argument as the channel takes it."""
    match kind:
        case types.StructType(cls=cls) if cls is MediaContent:
            return media(value)
        case types.VarTupleType(item_type=item):
            return [_json(_bare(item), one) for one in value]
        case types.AnyType() | types.StructType() | types.DictType():
            try:
                return msgspec.json.decode(value)
            except msgspec.DecodeError:
                return value
    return value


def _kind(field: msgspec.structs.FieldInfo) -> Any:
    return _bare(types.type_info(field.type))


def _bare(node: Any) -> Any:
    """Return the type without what is said of it, and without None."""
    if isinstance(node, types.Metadata):
        return _bare(node.type)
    if isinstance(node, types.UnionType):
        bare = [one for one in map(_bare, node.types) if not isinstance(one, types.NoneType)]
        return bare[0] if len(bare) == 1 else types.AnyType()
    return node


def _help(field: msgspec.structs.FieldInfo) -> str:
    if field.encode_name in _HELP:
        return _HELP[field.encode_name]
    node = types.type_info(field.type)
    for found in (node, *(node.types if isinstance(node, types.UnionType) else ())):
        text = found.extra_json_schema if isinstance(found, types.Metadata) else None
        if text and "description" in text:
            return f"{text['description']}."
    return ""

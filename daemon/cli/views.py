"""How the answers of methods look that have no command of their own making. Pure, but for the output."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from .figures import local, size
from .output import Cell, Output, status_cell, tell

_Value = Callable[[Any], str]


def _yes(value: Any) -> str:
    return "yes" if value else "-"


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _time(value: Any) -> str:
    return local(value) if value else "-"


def _length(value: Any) -> str:
    return str(len(value))


_COLUMNS: Final[Mapping[str, tuple[tuple[str, str, _Value], ...]]] = {
    "chats": (
        ("NAME", "name", _text),
        ("ID", "id", _text),
        ("UNREAD", "unreadCount", _text),
        ("PINNED", "pinned", _yes),
        ("ARCHIVED", "archived", _yes),
        ("MUTED UNTIL", "mutedUntil", _time),
        ("LAST MESSAGE", "lastMessageAt", _time),
    ),
    "contacts": (
        ("NAME", "name", _text),
        ("CALLS ITSELF", "pushName", _text),
        ("PHONE", "phoneNumber", _text),
        ("ID", "id", _text),
        ("BLOCKED", "isBlocked", _yes),
    ),
    "groups": (
        ("SUBJECT", "subject", _text),
        ("ID", "id", _text),
        ("MEMBERS", "participants", _length),
        ("CREATED", "createdAt", _time),
    ),
    "pages": (
        ("VERSION", "version", _text),
        ("SAVED", "savedAt", _time),
        ("SIZE", "bytes", size),
        ("IN USE", "inUse", _yes),
    ),
}
"""The columns of lists, by the name that they have in the answer; others show whatever is there."""

_SHRINK = ("NAME", "SUBJECT", "ID", "CALLS ITSELF")


def show_answer(out: Output, method: str, answer: Any) -> None:
    """Write an answer for a person: a table of what it lists, else a line for each of its fields."""
    match answer:
        case {"id": str(id_), "status": str(status), "direction": _} if method != "message.get":
            out.cells(id_, status_cell(status))
        case dict() if method != "message.get" and (
            lists := [name for name, value in answer.items() if isinstance(value, list)]
        ):
            _show_list(out, lists[0], answer)
        case dict() if all(value is True for value in answer.values()):
            out.line("Done.")
        case dict():
            out.section([(label(name), [_cell(name, value)]) for name, value in answer.items()])
        case _:
            out.json(answer)


def label(name: str) -> str:
    """Return `Phone number` for `phoneNumber`."""
    spaced = "".join(f" {char.lower()}" if char.isupper() else char for char in name)
    return spaced[:1].upper() + spaced[1:]


def _show_list(out: Output, name: str, answer: dict[str, Any]) -> None:
    items: list[Any] = answer[name]
    if not items:
        tell(f"There are no {name}.")
        return
    if not isinstance(items[0], dict):
        for item in items:
            out.line(_text(item))
        return
    columns = _COLUMNS.get(name) or [(key.upper(), key, _text) for key in items[0]]
    heads = [head for head, _, _ in columns]
    rows: list[Sequence[Cell]] = [[show(item.get(key)) for _, key, show in columns] for item in items]
    out.table(heads, rows, shrink=[head for head in (*_SHRINK, *heads) if head in heads])
    total = answer.get("total")
    if isinstance(total, int) and total > len(items):
        tell(f"{len(items)} of {total}: --limit and --offset show others.")


def _cell(name: str, value: Any) -> Cell:
    if name == "status":
        return status_cell(value)
    return local(value) if name.endswith("At") and value else _yes(value) if value is True else _text(value)

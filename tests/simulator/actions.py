"""What is done to a message that is there already: reactions, edits, revocations, votes. Pure.

Each travels as a message of its own, whose content names its `target`; it is not shown as one.
"""

from typing import TYPE_CHECKING

from tests.simulator.models import Account, Entry, Frame, Message

if TYPE_CHECKING:
    from tests.simulator.accounts import World

KINDS = ("reaction", "protocol", "poll_update")


def of(world: "World", account: Account, message: Message) -> Entry | None:
    """The message that `account` means, if it has it and is in its chat."""
    entry = account.entries.get(str(message.content.get("target")))
    return entry if entry and message.sender in world.concerned(entry.message) else None


def perform(world: "World", account: Account, message: Message, but: str | None = None) -> None:
    """Do what a message says, for everybody who has its target; `but` is the page that has done it."""
    target = account.entries[str(message.content["target"])]
    for number in world.concerned(target.message):
        other = world.accounts.get(number)
        entry = other.entries.get(target.id) if other else None
        if other is not None and entry is not None:
            _apply(entry, message)
            other.owe_all(_frame(world, other, entry, message), but=but if other is account else None)
    world.changed()


def _apply(entry: Entry, message: Message) -> None:
    content = message.content
    match content["type"], content.get("subtype"):
        case "reaction", _:
            entry.reactions[message.sender] = str(content["text"])
            if not content["text"]:
                del entry.reactions[message.sender]
        case "poll_update", _:
            entry.votes[message.sender] = tuple(content["options"])
        case "protocol", "message_edit":
            entry.edited = str(content["body"])
        case "protocol", _:
            entry.revoked = True


def _frame(world: "World", account: Account, entry: Entry, message: Message) -> Frame:
    group = world.groups.get(entry.chat)
    author = world.user_wid(account, entry.message.sender, group) if group else None
    return {
        "t": "action",
        "id": message.id,
        "chat": world.chat_wid(account, entry.chat),
        "fromMe": message.sender == account.number,
        "by": world.user_wid(account, message.sender, group),
        "target": {"id": entry.id, "fromMe": entry.from_me, "participant": author},
        "ts": message.t,
        "content": dict(message.content),
    }

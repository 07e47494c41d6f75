"""What happens to groups: people come, go, are promoted; the subject changes. Pure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.simulator.errors import SimulatorError
from tests.simulator.models import Group

if TYPE_CHECKING:
    from tests.simulator.accounts import World

ACTIONS = ("add", "remove", "promote", "demote", "join", "leave", "subject")


def change(
    world: "World", group: Group, action: str, participants: Iterable[str], now: float,
    by: str | None = None, subject: str | None = None,
) -> None:  # fmt: skip
    """Change a group and tell all who are in it or were; `by` None: its founder, or who joins or leaves."""
    members = [world.know(number) for number in participants]
    if action not in ACTIONS:
        raise SimulatorError(f"what happens to a group is one of {', '.join(ACTIONS)}, not {action!r}")
    absent = [number for number in members if number not in group.participants]
    if absent and action in ("remove", "leave", "promote", "demote"):
        raise SimulatorError(f"not in the group {group.id}: {', '.join(absent)}")
    if not members and action != "subject":
        raise SimulatorError(f"{action} needs participants")
    concerned = set(group.participants) | set(members)
    itself = action in ("join", "leave")
    author = world.know(by) if by else members[0] if itself else group.participants[0]
    told = [group.wid_of(number) for number in members]
    _apply(group, action, members, subject)
    for number in sorted(concerned & set(world.accounts)):
        world.accounts[number].owe_all(
            {
                "t": "group_change",
                "group": world.group_frame(group),
                "action": {"join": "add", "leave": "remove"}.get(action, action),
                "reason": "invite" if action == "join" else None,
                "participants": told,
                "author": group.wid_of(author),
                "authorName": world.accounts[author].name if author in world.accounts else author,
                "ts": int(now),
            }
        )
    world.changed()


def _apply(group: Group, action: str, members: list[str], subject: str | None) -> None:
    match action:
        case "add" | "join":
            group.participants += [number for number in members if number not in group.participants]
        case "remove" | "leave":
            group.participants[:] = [number for number in group.participants if number not in members]
            group.admins -= set(members)
        case "promote":
            group.admins |= set(members)
        case "demote":
            group.admins -= set(members)
        case "subject":
            group.subject = subject or group.subject

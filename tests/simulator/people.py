"""The command line's part about what people do to an account: send files, react, call, …"""

import argparse
import base64
import mimetypes
from collections.abc import Callable
from pathlib import Path

from tests.simulator.client import Client

Add = Callable[[str, Callable[[Client, argparse.Namespace], str] | None, str], argparse.ArgumentParser]
Simple = Callable[[str], Callable[[Client, argparse.Namespace], str]]


def _file(client: Client, options: argparse.Namespace) -> str:
    mimetype = mimetypes.guess_type(options.file)[0] or "application/octet-stream"
    family = mimetype.partition("/")[0]
    entry = client.call(
        "file",
        phone=options.phone,
        kind=options.kind or (family if family in ("image", "video", "audio") else "document"),
        data=base64.b64encode(options.file.read_bytes()).decode(),
        mimetype=mimetype,
        filename=options.file.name,
        caption=options.caption,
        group=options.group,
        **{"from": getattr(options, "from")},
    )
    return f"received in {entry['chat']} as {entry['id']}"


def _media(client: Client, options: argparse.Namespace) -> str:
    data = base64.b64decode(client.call("media", phone=options.phone, id=options.id)["data"])
    options.to.write_bytes(data)
    return f"{len(data)} bytes written to {options.to}"


def add_commands(add: Add, simple: Simple) -> None:
    """Add these commands to a parser."""
    file = add("file", _file, "let somebody send a file")
    _by(file, group=True)
    file.add_argument("--file", required=True, type=Path)
    file.add_argument("--kind", help="image, video, audio, ptt, document, sticker (by the file's name)")
    file.add_argument("--caption")
    media = add("media", _media, "save the file that a message carries, sent or received")
    media.add_argument("--id", required=True, help="the message's id")
    media.add_argument("--to", required=True, type=Path, metavar="FILE")
    location = add("location", simple("location"), "let somebody send a place")
    _by(location, group=True)
    for name in ("--lat", "--lng"):
        location.add_argument(name, required=True, type=float)
    location.add_argument("--name")
    card = add("card", simple("card"), "let somebody send a contact")
    _by(card, group=True)
    card.add_argument("--name", required=True)
    card.add_argument("--number", required=True)
    poll = add("poll", simple("poll"), "let somebody ask")
    _by(poll, group=True)
    poll.add_argument("--question", required=True)
    poll.add_argument("--options", required=True, nargs="+")
    vote = add("vote", simple("vote"), "let somebody vote in a poll")
    vote.add_argument("--options", required=True, nargs="*")
    react = add("react", simple("react"), "let somebody react to a message")
    react.add_argument("--emoji", required=True, help="an empty one takes it back")
    edit = add("edit", simple("edit"), "let somebody edit a message of theirs")
    edit.add_argument("--text", required=True)
    revoke = add("revoke", simple("revoke"), "let somebody delete a message for everyone")
    for command in (vote, react, edit, revoke):
        _by(command)
        command.add_argument("--id", required=True, help="the message's id")
    presence = add("presence", simple("presence"), "let somebody be there, type, or be gone")
    _by(presence, group=True)
    presence.add_argument("--state", required=True, help="available, composing, recording, unavailable")
    call = add("call", simple("call"), "let somebody call")
    _by(call)
    call.add_argument("--video", action="store_true")
    group = add("change-group", simple("change-group"), "change who is in a group, or its subject")
    group.add_argument("--group", required=True)
    group.add_argument("--action", required=True, help="add, remove, promote, demote, join, leave, subject")
    group.add_argument("--participants", nargs="+", default=[])
    group.add_argument("--subject")
    arrange = add("arrange", simple("arrange"), "archive or pin a chat on the phone, or neither")
    arrange.add_argument("--chat", required=True)
    arrange.add_argument("--archived", action="store_true")
    arrange.add_argument("--pinned", action="store_true")
    event = add(
        "backend-event", simple("backend-event"), "let the server say something to the account's pages"
    )
    event.add_argument("--name", required=True, help="account_temporarily_banned, …")
    wrong = add("break", simple("break"), "let the account's pages go wrong")
    wrong.add_argument("--kind", required=True, help="loop, starve, request, memory, reload, leave, …")
    wrong.add_argument("--loads", type=int, help="how many documents, for no_modules and no_library")
    fail = add("fail-sends", simple("fail-sends"), "let the next messages of the pages fail")
    fail.add_argument("--times", required=True, type=int)
    fail.add_argument("--error", default="No sessions")


def _by(command: argparse.ArgumentParser, group: bool = False) -> None:
    command.add_argument("--from", dest="from", required=True, metavar="+49…", help="who it is")
    if group:
        command.add_argument("--group", help="in this group")

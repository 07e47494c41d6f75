"""The command that lists messages, and a message in one line."""

import shlex
import time
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.models import Direction, MessageStatus

from .figures import local
from .invocation import QUERY_S, At
from .lookup import find
from .output import status_cell, tell
from .since import parse_time

_WIDE = 110
"""Columns from which on a message has one line: on narrower terminals its text stands below."""


def messages(
    session: str,
    /,
    *,
    chat: str | None = None,
    direction: Direction | None = None,
    status: MessageStatus | None = None,
    since: str | None = None,
    until: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 50,
    at: At,
) -> None:
    """List a session's latest messages, the newest last.

    With --json the newest comes first, as the daemon answers.

    Args:
        session: The session's id or name.
        chat: Only those of this chat: a phone number or a chat id.
        direction: Only those that came in, or that went out.
        status: Only those of this status.
        since: Only those from then on: a time such as 2026-11-21T10:00, or how long ago, as 90s, 15m, 2h
            or 3d.
        until: Only those before then.
        cursor: Go on with older ones, where the last answer ended.
        limit: How many at most.
    """
    now = time.time()
    given = {
        "chatId": chat,
        "direction": direction,
        "status": status,
        "since": None if since is None else parse_time(since, now),
        "until": None if until is None else parse_time(until, now),
        "cursor": cursor,
    }
    wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    with at.connect() as client:
        found = client.call(
            "message.list", wanted, sessionId=find(client, session)["id"], limit=limit, within_s=QUERY_S
        )

    def show() -> None:
        columns = ("TIME", "", "CHAT", "STATUS", "ID", "TEXT")
        rows = [
            (
                local(message.get("timestamp") or message["createdAt"]),
                "→" if message["direction"] == "out" else "←",
                message["chatId"],
                status_cell(message["status"]),
                message["id"],
                content(message),
            )
            for message in reversed(found["messages"])
        ]
        if at.out.width() >= _WIDE:
            at.out.table(columns, rows, shrink=("TEXT", "ID"))
        else:
            for *about, text in rows:
                at.out.cells(*about)
                at.out.cells(f"    {text}", hang=4)
        if not rows:
            tell(f"No message {'matches' if wanted else 'is there yet'}.")
        if found["next"] is not None:
            tell(f"There are older ones: --cursor {shlex.quote(found['next'])}")

    at.result(found, show)


def content(message: dict[str, Any]) -> str:
    """Return what a message says, in one line: its text, or what it is instead."""
    media = message.get("media") or {}
    kind = message.get("type", "message")
    parts = (
        []
        if kind in ("text", "chat")
        else [f"[{kind} {media['filename']}]" if media.get("filename") else f"[{kind}]"]
    )
    parts += [message["text"]] if message.get("text") else []
    if message.get("error"):
        parts.append(f"({message['error'].get('code')})")
    return " ".join(parts)

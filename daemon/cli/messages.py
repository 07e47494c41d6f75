"""The command that lists messages, and a message in one line."""

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from .figures import local
from .invocation import QUERY_S, At
from .lookup import find
from .output import status_cell


def messages(
    session: str,
    /,
    *,
    chat: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 50,
    at: At,
) -> None:
    """List a session's latest messages, the newest last.

    With --json the newest comes first, as the daemon answers.

    Args:
        session: The session's id or name.
        chat: Only those of this chat: a phone number or a chat id.
        limit: How many at most.
    """
    wanted: dict[str, Any] = {"limit": limit} if chat is None else {"limit": limit, "chatId": chat}
    with at.connect() as client:
        found = client.call("message.list", wanted, sessionId=find(client, session)["id"], within_s=QUERY_S)

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
        at.out.table(columns, rows, shrink=("TEXT", "ID"))

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

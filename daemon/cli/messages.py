"""The commands that send and list messages."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from protocol.errors import RpcError

from .failures import Failure, UsageError
from .figures import local
from .invocation import QUERY_S, STDIN, At, read_stdin
from .lifecycle import Seconds
from .lookup import find
from .output import status_cell, tell
from .refusal import refused


def send(
    session: str,
    to: str,
    /,
    *text: Annotated[str, Parameter(required=True)],
    wait: Literal["queued", "sent", "delivered"] = "queued",
    key: str | None = None,
    timeout: Seconds = 60,
    at: At,
) -> None:
    """Send a text message; prints its id and its status.

    Args:
        session: The session's id or name.
        to: A phone number with its country code, or a chat id.
        text: The text, its words joined by spaces; - reads it from stdin. Put -- before a text that
            begins with a hyphen.
        wait: Come back when it has come so far.
        key: An idempotency key: with the same key, a message is sent once, however often this is repeated.
        timeout: Seconds to wait.
    """
    content = read_stdin() if text == (STDIN,) else " ".join(text).replace(STDIN, "-")
    if not content:
        raise UsageError("The text is empty.")
    params: dict[str, Any] = {"to": to, "text": content, "wait": wait, "timeout": timeout}
    if key is not None:
        params["idempotencyKey"] = key
    with at.connect() as client:
        found = find(client, session)
        try:
            message = client.call("message.send", params, sessionId=found["id"], within_s=timeout + QUERY_S)
        except RpcError as error:
            accepted = error.details.get("message")
            if error.code != "PAGE_TIMEOUT" or not isinstance(accepted, dict) or at.as_json:
                raise
            at.out.line(f"{accepted['id']} {accepted['status']}")
            raise Failure(
                f"Not {wait} within {timeout:g} s: {refused(error)} The message stays accepted."
            ) from None
    at.result(message, lambda: at.out.cells(message["id"], status_cell(message["status"])))
    if message["status"] == "failed":
        reason = message.get("error") or {}
        raise Failure(f"{reason.get('code', 'failed')}: {reason.get('message', 'The message was not sent')}.")
    if not at.as_json and message["status"] == "queued" and found["status"] != "connected":
        tell(f"{found['name']} is {found['status']}: the message leaves when it is connected.")


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

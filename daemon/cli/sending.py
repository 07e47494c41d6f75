"""The command that sends one message, of whatever kind."""

import mimetypes
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import Failure, UsageError
from .files import media, media_of
from .invocation import QUERY_S, STDIN, At, Invocation, read_stdin
from .lifecycle import Seconds
from .lookup import find
from .output import status_cell, tell
from .refusal import refused

Kind = Literal["image", "video", "audio", "voice", "document", "sticker"]
Many = Annotated[list[str] | None, Parameter(negative="")]

TAG = "tag:"
"""What stands before a tag in the place of a session."""


def send(
    session: str,
    to: str,
    /,
    *text: str,
    file: str | None = None,
    as_: Annotated[Kind | None, Parameter(name="--as")] = None,
    location: str | None = None,
    contact: Many = None,
    poll: str | None = None,
    option: Many = None,
    multiple: Annotated[bool, Parameter(negative="")] = False,
    react: str | None = None,
    quote: str | None = None,
    mention: Many = None,
    wait: Literal["queued", "sent", "delivered"] = "queued",
    key: str | None = None,
    timeout: Seconds = 60,
    at: At,
) -> None:
    """Send a message; prints its id and its status.

    Args:
        session: The session's id or name; or tag:TAG, for the session with this tag that has least to do.
        to: A phone number with its country code, or a chat id.
        text: The text, its words joined by spaces; - reads it from stdin. Put -- before a text that
            begins with a hyphen. With --file it is the caption, with --react the emoji, with --location
            the name of the place.
        file: A file to send; - reads it from stdin.
        as_: What the file is sent as; else its name decides.
        location: A place to send, as LATITUDE,LONGITUDE.
        contact: A contact to send, as NAME=NUMBER; may be repeated.
        poll: The question of a poll.
        option: An option of the poll; give two to twelve.
        multiple: More than one option of the poll may be chosen.
        react: The id of a message to put an emoji at; an empty text takes it away.
        quote: The id of a message that this one answers.
        mention: A phone number that the text mentions as @NUMBER; may be repeated.
        wait: Come back when it has come so far.
        key: An idempotency key: with the same key, a message is sent once, however often this is repeated.
        timeout: Seconds to wait.
    """
    said = read_stdin() if text == (STDIN,) else " ".join(text).replace(STDIN, "-")
    given = {"--file": file, "--location": location, "--contact": contact, "--poll": poll, "--react": react}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise UsageError(f"Give one of {' and '.join(chosen)}: a message has one content.")
    if (option or multiple) and poll is None:
        raise UsageError("--option and --multiple belong to a poll: give --poll QUESTION.")
    if as_ is not None and file is None:
        raise UsageError("--as belongs to a file: give --file.")
    content: dict[str, Any]
    match chosen:
        case ["--file"] if file is not None:
            content = file_content(file, as_, said, from_stdin=text == (STDIN,))
        case ["--location"] if location is not None:
            content = {"location": _place(location, said)}
        case ["--contact"] if contact is not None:
            content = {"contact": [_card(one) for one in _alone(said, "a contact", contact)]}
        case ["--poll"] if poll is not None:
            options = _alone(said, "a poll", option or [])
            content = {"poll": {"question": poll, "options": options, "multiple": multiple}}
        case ["--react"]:
            content = {"reaction": {"messageId": react, "emoji": said}}
        case _:
            if not said:
                raise UsageError("The text is empty.")
            content = {"text": said}
    params = {"to": to, "wait": wait, "timeout": timeout, **content}
    more = {"quotedMessageId": quote, "mentions": mention, "idempotencyKey": key}
    params |= {name: value for name, value in more.items() if value is not None}
    with at.connect() as client:
        _send(at, client, session, params)


def recipient_session(client: Client, session: str) -> dict[str, Any]:
    """Return the params of `message.send` that say who sends."""
    if session.startswith(TAG):
        return {"tag": session.removeprefix(TAG)}
    return {"sessionId": find(client, session)["id"]}


def file_content(
    file: str, kind: Kind | None, caption: str, *, from_stdin: bool = False
) -> dict[str, dict[str, Any]]:
    """Return a file, `-` for stdin, as the content that its kind or else its name says."""
    if file == STDIN:
        if from_stdin:
            raise UsageError("stdin is the file or the text, not both.")
        content = media_of(sys.stdin.buffer.read(), None)
    else:
        content = media(Path(file))
    if caption:
        content["caption"] = caption
    if kind == "voice":
        return {"audio": {**content, "ptt": True}}
    return {kind or kind_of(file): content}


def kind_of(name: str) -> str:
    """Return what a file of this name is sent as."""
    mimetype = mimetypes.guess_type(name)[0] or ""
    kind = mimetype.partition("/")[0]
    return kind if kind in ("image", "video", "audio") and mimetype != "image/svg+xml" else "document"


def _send(at: Invocation, client: Client, session: str, params: dict[str, Any]) -> None:
    sender = recipient_session(client, session)
    wait, timeout = params["wait"], params["timeout"]
    try:
        message = client.call("message.send", params, **sender, within_s=timeout + QUERY_S)
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
    if not at.as_json and message["status"] == "queued" and "sessionId" in sender:
        found = client.call("session.status", sender, within_s=QUERY_S)
        if found["status"] != "connected":
            tell(f"{session} is {found['status']}: the message leaves when it is connected.")


def _place(text: str, name: str) -> dict[str, Any]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f'Expected LATITUDE,LONGITUDE in degrees, as 52.52,13.405; got "{text}".') from None
    return {"latitude": latitude, "longitude": longitude, **({"name": name} if name else {})}


def _card(text: str) -> dict[str, str]:
    name, equals, number = text.rpartition("=")
    if not equals or not name or not number:
        raise UsageError(f'Expected NAME=NUMBER, got "{text}".')
    return {"name": name.strip(), "phoneNumber": number.strip()}


def _alone(said: str, what: str, values: list[str]) -> list[str]:
    if said:
        raise UsageError(f"{what[:1].upper()}{what[1:]} has no text: leave it out.")
    return values

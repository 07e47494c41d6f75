"""The commands that make, list, test, replay and delete webhooks: `wasupctl webhook …`."""

import base64
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import Failure, UsageError
from .figures import ago, local
from .invocation import QUERY_S, STDIN, At, Invocation, read_stdin
from .lookup import find
from .output import Cell, tell
from .refusal import refused

Webhook = dict[str, Any]
"""A webhook as the protocol names its fields."""

_PAGE = 1000  # the most that the daemon gives at once
_REQUEST_S = 60
"""Seconds for what makes one request: the daemon gives the receiver fifteen."""

Events = Annotated[list[str] | None, Parameter(name="--event", negative="")]
Headers = Annotated[list[str] | None, Parameter(name="--header", negative="")]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), negative="")]
Flag = Annotated[bool, Parameter(negative="")]


def create(
    url: str,
    /,
    *,
    session: str | None = None,
    event: Events = None,
    secret_file: Path | None = None,
    new_secret: Flag = False,
    header: Headers = None,
    at: At,
) -> None:
    """Have events POSTed to a URL, from now on; prints the webhook's id.

    Args:
        url: Where to; docs/webhooks.md says what may be there.
        session: Only this session's events: its id or name; else those of all, and of the daemon.
        event: Only events of this type, such as message.received; may be repeated.
        secret_file: Sign the requests with the secret in this file; - reads it from stdin.
        new_secret: Sign them with a new secret, which is printed this once, on a line after the id.
        header: A header as "Name: value" that goes with every request; may be repeated.
    """
    params: dict[str, Any] = {"url": url}
    if event:
        params["events"] = event
    if header:
        params["headers"] = dict(map(_header, header))
    if secret_file is not None and new_secret:
        raise UsageError("Give --secret-file or --new-secret, not both.")
    if secret_file is not None:
        params["secret"] = _read_secret(secret_file)
    if new_secret:
        params["secret"] = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with at.connect() as client:
        if session is not None:
            params["sessionId"] = find(client, session)["id"]
        made: Webhook = client.call("webhook.create", params, within_s=QUERY_S)

    def show() -> None:
        at.out.line(made["id"])
        if new_secret:
            at.out.line(params["secret"])
        unsigned = "" if made["signed"] else " Its requests are not signed: anybody could make them."
        tell(f"Try it: wasupctl webhook test {made['id']}.{unsigned}")

    at.result(made | {"secret": params["secret"]} if new_secret else made, show)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f'Expected "Name: value" as a header, got "{text}".')
    return name.strip(), value.strip()


def _read_secret(path: Path) -> str:
    if str(path) == STDIN:
        secret = read_stdin()
    else:
        try:
            secret = path.read_text("utf-8")
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not UTF-8.") from None
    if not secret.strip():
        raise UsageError("The secret is empty.")
    return secret.strip()


def list_(*, session: str | None = None, at: At) -> None:
    """List webhooks, and how their deliveries go.

    Args:
        session: Only those of this session's own: its id or name.
    """
    with at.connect() as client:
        wanted = {} if session is None else {"sessionId": find(client, session)["id"]}
        found = _every(client, wanted)

    def show() -> None:
        columns = ("ID", "SESSION", "STATE", "LAG", "DEAD", "URL")
        rows = [
            (
                hook["id"],
                hook["sessionId"] or "(all)",
                _state(hook),
                str(hook["lag"]),
                str(hook["deadLetters"]),
                hook["url"],
            )
            for hook in found["webhooks"]
        ]
        at.out.table(columns, rows, shrink=("URL", "SESSION", "ID"))
        if not rows:
            tell("No webhook" + (" of this session." if wanted else ": make one with `webhook create URL`."))

    at.result(found, show)


def show(webhook: str, /, *, at: At) -> None:
    """Show a webhook, and what was given up for it.

    Args:
        webhook: The webhook's id, or its beginning.
    """
    with at.connect() as client:
        hook = _find(client, webhook)
        found = client.call("webhook.list", webhookId=hook["id"], limit=_PAGE, within_s=QUERY_S)
    at.result(found, lambda: _show(at, hook, found["deadLetters"], time.time()))


def _show(at: Invocation, hook: Webhook, letters: list[dict[str, Any]], now: float) -> None:
    rows: list[tuple[str, list[Cell]]] = [
        ("Id", [hook["id"]]),
        ("URL", [hook["url"]]),
        ("State", [_state(hook)]),
        ("Of", [f"the session {hook['sessionId']}" if hook["sessionId"] else "all sessions, and the daemon"]),
        ("Made by", [_SOURCES[hook["source"]]]),
        ("Events", [", ".join(hook["events"]) or "all"]),
        ("Signed", ["yes" if hook["signed"] else "no"]),
        ("Headers", [", ".join(hook["headers"]) or "none"]),
        ("Cursor", [f"{hook['cursor']}, {hook['lag']} events behind"]),
        ("Last delivered", [ago(hook["lastDeliveredAt"], now)]),
    ]
    if hook["disabledReason"]:
        rows.append(("Disabled", [hook["disabledReason"]]))
    if hook["failingSince"]:
        rows.append(("Failing since", [f"{local(hook['failingSince'])}: {hook['lastError']}"]))
    if hook["nextAttemptAt"]:
        rows.append(("Next attempt", [local(hook["nextAttemptAt"])]))
    rows.append(("Dead letters", [str(hook["deadLetters"])]))
    at.out.section(rows)
    if letters:
        at.out.line("")
        columns = ("NUMBER", "GIVEN UP", "SEQ", "SESSION", "TYPE", "ERROR")
        at.out.table(columns, [_letter(each) for each in letters], shrink=("ERROR", "SESSION", "TYPE"))


_SOURCES = {"api": "webhook.create", "session": "the session's settings", "config": "the configuration"}


def _letter(letter: dict[str, Any]) -> tuple[Cell, ...]:
    seq = str(letter["seq"]) if letter["seq"] == letter["upto"] else f"{letter['seq']} to {letter['upto']}"
    return (
        str(letter["id"]),
        local(letter["givenUpAt"]),
        seq,
        letter["sessionId"] or "-",
        letter["type"] or "-",
        letter["error"],
    )


def delete(webhook: str, /, *, yes: Yes = False, at: At) -> None:
    """Delete a webhook, with its place in the log and its dead letters.

    Args:
        webhook: The webhook's id, or its beginning.
        yes: Do not ask.
    """
    with at.connect() as client:
        hook = _find(client, webhook)
        at.confirm(
            f"Delete the webhook {hook['id']} to {hook['url']},"
            f" {hook['lag']} events behind, with {hook['deadLetters']} dead letters?",
            yes=yes,
        )
        result = client.call("webhook.delete", webhookId=hook["id"], within_s=QUERY_S)
    at.result(result, lambda: at.out.line(f"{hook['id']}: deleted."))


def test(webhook: str, /, *, at: At) -> None:
    """Send a webhook an event of the type webhook.test, and tell how it went.

    Args:
        webhook: The webhook's id, or its beginning.
    """
    with at.connect() as client:
        hook = _find(client, webhook)
        attempt = client.call("webhook.test", webhookId=hook["id"], within_s=_REQUEST_S)
    _told(at, hook, attempt, attempt)


def replay(
    webhook: str,
    /,
    *,
    after: int | None = None,
    dead_letter: int | None = None,
    dead_letters: Flag = False,
    at: At,
) -> None:
    """Deliver again. Without an option, try at once what is waiting; a disabled webhook is enabled.

    Args:
        webhook: The webhook's id, or its beginning.
        after: Begin again after this place in the log; 0: with all that it still holds.
        dead_letter: Send this dead letter, by its number in `webhook show`; taken, it is forgotten.
        dead_letters: Send every dead letter, until one is not taken.
    """
    if sum((after is not None, dead_letter is not None, dead_letters)) > 1:
        raise UsageError("Give one of --after, --dead-letter and --dead-letters.")
    with at.connect() as client:
        hook = _find(client, webhook)
        if dead_letters:
            _replay_all(at, client, hook)
            return
        params: dict[str, Any] = {"webhookId": hook["id"]}
        if after is not None:
            params["after"] = after
        if dead_letter is not None:
            params["deadLetterId"] = dead_letter
        result = client.call("webhook.replay", params, within_s=_REQUEST_S)
    if result["attempt"] is not None:
        _told(at, hook, result["attempt"], result)
        return
    begun = "tries what is waiting" if after is None else f"begins again after {after}"
    at.result(result, lambda: at.out.line(f"{hook['id']}: {begun}."))


def _replay_all(at: Invocation, client: Client, hook: Webhook) -> None:
    sent = failed = 0
    error = None
    expired: set[int] = set()
    while error is None:
        page = client.call("webhook.list", webhookId=hook["id"], limit=_PAGE, within_s=QUERY_S)
        # The daemon gives the newest; those that it took are gone from the next page.
        letters = [each["id"] for each in reversed(page["deadLetters"]) if each["id"] not in expired]
        if not letters:
            break
        for number in letters:
            try:
                answer = client.call(
                    "webhook.replay", webhookId=hook["id"], deadLetterId=number, within_s=_REQUEST_S
                )
            except RpcError as refusal:
                if refusal.code not in ("CURSOR_EXPIRED", "WEBHOOK_NOT_FOUND"):
                    raise
                expired.add(number)
                failed += 1
                tell(f"Dead letter {number}: {refused(refusal)}")
                continue
            if not answer["attempt"]["delivered"]:
                error = answer["attempt"]["error"]
                break
            sent += 1
    result = {"sent": sent, "expired": failed, "error": error}
    at.result(result, lambda: at.out.line(f"{hook['id']}: {sent} dead letters delivered."))
    if error is not None:
        raise Failure(f"The next one was not taken: {error}")


def _told(at: Invocation, hook: Webhook, attempt: dict[str, Any], result: dict[str, Any]) -> None:
    """Tell how a request went. Raises Failure where the receiver has not taken it."""
    if not attempt["delivered"]:
        if at.as_json:
            at.out.json(result)
        raise Failure(f"{hook['id']} was not delivered to {hook['url']}: {attempt['error']}")
    at.result(
        result,
        lambda: at.out.line(f"{hook['id']}: delivered, {attempt['status']} in {attempt['durationMs']} ms."),
    )


def _state(hook: Webhook) -> Cell:
    if hook["disabledReason"]:
        return "disabled", "red"
    if hook["failingSince"]:
        return "failing", "red"
    return "ok", "green"


def _every(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return {webhooks, total} of as many pages as that takes."""
    hooks: list[Webhook] = []
    while True:
        page = client.call("webhook.list", wanted, limit=_PAGE, offset=len(hooks), within_s=QUERY_S)
        hooks += page["webhooks"]
        if not page["webhooks"] or len(hooks) >= page["total"]:
            return {"webhooks": hooks, "total": page["total"]}


def _find(client: Client, ref: str) -> Webhook:
    """Return the webhook of this id, else the only one whose id begins so. Raises WEBHOOK_NOT_FOUND."""
    hooks = _every(client, {})["webhooks"]
    matching: list[Webhook] = [hook for hook in hooks if hook["id"].startswith(ref)]
    for hook in matching:
        if hook["id"] == ref or len(matching) == 1:
            return hook
    if matching:
        ids = ", ".join(hook["id"] for hook in matching)
        raise UsageError(f'{len(matching)} webhooks have ids that begin with "{ref}": {ids}.')
    raise RpcError("WEBHOOK_NOT_FOUND", f'No webhook has the id "{ref}"', action="`wasupctl webhook list`.")

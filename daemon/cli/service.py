"""The commands about the daemon itself, and `call`, which says anything to it."""

import grp
import pwd
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from protocol.client.blocking import Client
from protocol.errors import RpcError

from .failures import UsageError
from .figures import duration, local, size
from .invocation import QUERY_S, STDIN, At, read_stdin
from .lookup import named
from .output import status_cell, tell
from .refusal import in_commands


def call(
    method: str,
    params: Annotated[str, Parameter(allow_leading_hyphen=True)] = "{}",
    /,
    *,
    at: At,
) -> None:
    """Send any request as it is, and print the result as JSON.

    An error is printed as JSON too, in its place, with exit code 1; stderr says it in words.

    Args:
        method: The method's name; `wasupctl call rpc.discover` describes them all.
        params: Its params, JSON; - reads them from stdin.
    """
    text = read_stdin() if params == STDIN else params
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"The params are not JSON: {error}.") from None
    at.as_json = True
    with at.connect() as client:
        # Not `call`, which takes objects only: what is wrong with the request is the daemon's to say.
        try:
            at.out.json(client.request(method, given))
        except RpcError as error:
            raise _with_id(client, error, given) from None


def _with_id(client: Client, error: RpcError, given: Any) -> RpcError:
    """Return the error; where a name was given for an id, it says which id was meant."""
    name = given.get("sessionId") if isinstance(given, dict) else None
    if error.code != "SESSION_NOT_FOUND" or not isinstance(name, str):
        return error
    ids = [session["id"] for session in named(client, name)]
    if not ids:
        return error
    meant = f'Requests take ids; the session with the name "{name}" has the id {" or ".join(ids)}.'
    return RpcError(error.code, error.message, **{**error.details, "action": meant})


def health(*, at: At) -> None:
    """Show how the daemon is."""
    with at.connect() as client:
        found: dict[str, Any] = client.call("daemon.health", within_s=QUERY_S)

    def show() -> None:
        store, browser, page = found["store"], found["browser"], found["page"]
        counts = ", ".join(f"{count} {status}" for status, count in found["sessions"].items() if count)
        version = browser.get("version") or "version unknown"
        sandbox = "sandboxed" if browser.get("sandbox") else "NOT sandboxed"
        at.out.section(
            [
                ("Status", [status_cell(found["status"])]),
                ("Version", [f"{found['version']}, up for {duration(found['uptime'])}"]),
                ("Sessions", [f"{counts or 'none'} (at most {found['config'].get('maxSessions', '-')})"]),
                (
                    "Store",
                    [
                        f"{store['path']}: {size(store['bytes'])}, {store['messages']} messages,"
                        f" {store['events']} events"
                        + (f", {size(store['freeBytes'])} free" if "freeBytes" in store else "")
                    ],
                ),
                ("Browser", [f"{browser['path']}, {version}, {sandbox}" if browser.get("path") else "none"]),
                ("Page library", [f"{page['library']} {page.get('version') or '(not installed)'}"]),
                ("Page", [f"kept at {page['keptAt']}" if page.get("keptAt") else "the newest, each time"]),
                ("Encryption", [_encryption(found.get("encryption", {}))]),
                ("Last backup", [local(found["lastBackup"]) if found.get("lastBackup") else "never"]),
            ]
        )
        for problem in found.get("problems", ()):
            where = f" ({problem['sessionId']})" if problem.get("sessionId") else ""
            message = problem["message"].rstrip(".")
            text = f"{problem['code']}{where}: {message}. {in_commands(problem.get('action') or '')}"
            at.out.cells(("Problem:", "red"), text.rstrip(), hang=len("Problem: "))

    at.result(found, show)


def _encryption(found: dict[str, Any]) -> str:
    if not found.get("keys"):
        return "no key"
    first, *older = found["keys"]
    text = f"key {first}, {found['pending']} messages and files to be brought over"
    spare = [key for key in older if key not in found["keysInUse"]]
    return f"{text}; no longer needed: {', '.join(spare)}" if spare else text


def metrics(*, at: At) -> None:
    """Print the daemon in figures, as a monitoring system reads them (OpenMetrics)."""
    with at.connect() as client:
        found = client.call("daemon.metrics", within_s=QUERY_S)

    def show() -> None:
        for line in found["text"].splitlines():
            at.out.line(line)

    at.result(found, show)


def discover(*, at: At) -> None:
    """Print the OpenRPC document of every method, as JSON: what each takes, answers, and fails with."""
    with at.connect() as client:
        at.out.json(client.call("rpc.discover", within_s=QUERY_S))


def whoami(*, at: At) -> None:
    """Show who the daemon takes you for, and your role."""
    with at.connect() as client:
        found = client.call("daemon.whoami", within_s=QUERY_S)

    def show() -> None:
        user = _named(found["uid"], lambda uid: pwd.getpwuid(uid).pw_name)
        group = _named(found["gid"], lambda gid: grp.getgrgid(gid).gr_name)
        at.out.line(f"uid={user} gid={group} role={found['role']}")

    at.result(found, show)


def shutdown(*, yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False, at: At) -> None:
    """Stop the daemon in order.

    Args:
        yes: Do not ask.
    """
    with at.connect() as client:
        try:
            health = client.call("daemon.health", within_s=QUERY_S)
        except RpcError:
            running = "all"
        else:
            running = str(sum(n for status, n in health["sessions"].items() if status != "inactive"))
        at.confirm(
            f"Stop the daemon, and with it the browsers of {running} running sessions?"
            " They come back when it is started again.",
            yes=yes,
        )
        result = client.call("daemon.shutdown", within_s=QUERY_S)
    at.result(result, lambda: tell("The daemon is stopping."))


def _named(number: int, name: Callable[[int], str]) -> str:
    try:
        return f"{number}({name(number)})"
    except KeyError:
        return str(number)

"""The commands that ask once for a code to link by, or wait for a status: for scripts; people use `link`."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from daemon.qr import code_of, half_blocks, png, render
from protocol.models import SessionStatus

from .figures import local
from .files import write_private
from .invocation import QUERY_S, At
from .letters import grouped
from .lifecycle import Seconds
from .lookup import find
from .output import tell

_PAIR_S = 60


def qr(
    session: str,
    /,
    *,
    png_: Annotated[Path | None, Parameter(name="--png")] = None,
    svg: Path | None = None,
    text: Annotated[bool, Parameter(negative="")] = False,
    at: At,
) -> None:
    """Show the QR code that a session waits with, once. `wasupctl link` follows it until it is scanned.

    Args:
        session: The session's id or name.
        png_: Write it to this file instead, as a PNG, readable by you alone: who scans it has the account.
        svg: The same as an SVG.
        text: Print what the code says, for a program that draws it.
    """
    with at.connect() as client:
        found = find(client, session)
        answer: dict[str, Any] = client.call(
            "session.qr", sessionId=found["id"], format="text", within_s=QUERY_S
        )
    said: str = answer["qrText"]
    if png_ is not None:
        write_private(png_, png(code_of(said)))
    if svg is not None:
        write_private(svg, render(said, "svg").encode())

    def show() -> None:
        if text:
            at.out.line(said)
        elif png_ is None and svg is None:
            if sys.stdout.isatty():
                sys.stdout.write(f"{render(said, 'terminal')}\n")
            else:
                for line in half_blocks(code_of(said), quiet=4, draw="light"):
                    at.out.line(line)
        tell(f"This code expires at {local(answer['expiresAt'])}.")

    at.result(answer, show)


def pair(session: str, phone: str, /, *, at: At) -> None:
    """Show the code that links a session when it is typed on the phone. `wasupctl link --phone` follows it.

    Args:
        session: The session's id or name; it must wait for a phone (`wasupctl start`).
        phone: The phone's number with its country code.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call("session.pair", sessionId=found["id"], phoneNumber=phone, within_s=_PAIR_S)

    def show() -> None:
        at.out.line(grouped(answer["pairingCode"]))
        tell(f"This code expires at {local(answer['expiresAt'])}.")

    at.result(answer, show)


def wait(
    session: str,
    status: SessionStatus = "connected",
    /,
    *,
    timeout: Seconds = 90,
    at: At,
) -> None:
    """Wait until a session has a status; ends with 1 if it does not come in time.

    Args:
        session: The session's id or name.
        status: The status to wait for.
        timeout: Seconds to wait.
    """
    with at.connect() as client:
        found = find(client, session)
        answer = client.call(
            "session.wait",
            sessionId=found["id"],
            status=status,
            timeout=timeout,
            within_s=timeout + QUERY_S,
        )
    at.result(answer, lambda: at.out.line(f"{found['name']}: {answer['status']}."))

"""The command that links a session to a phone: it shows the code until it has been scanned, or typed."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Protocol

from cyclopts import Parameter

from daemon.qr import code_of, half_blocks, png
from protocol.client.blocking import Client
from protocol.errors import ERRORS, RpcError
from protocol.models import SESSION_STATUSES
from protocol.times import parse

from .failures import Failure, UsageError
from .figures import local
from .files import write_private
from .invocation import QUERY_S, At, Invocation
from .letters import grouped, large
from .lookup import Session, find
from .output import tell
from .screen import Screen

_TICK_S = 1
"""How often the countdown moves, and a new code is asked for."""

_PAIR_S = 60
"""Seconds for a code by number: the page asks WhatsApp for it."""

_HOW_PAIR = "WhatsApp, Linked devices, Link a device, Link with phone number; then type:"

_LEAVE = "Ctrl-C: leave it as it is."

_HOW = "On the phone: WhatsApp, Linked devices, Link a device; then scan this code."


class _View(Protocol):
    """Where a person sees the code."""

    def code(self, answer: dict[str, Any]) -> None:
        """Show an answer of session.qr; called at every tick."""

    def pairing(self, answer: dict[str, Any]) -> None:
        """Show an answer of session.pair; called at every tick."""

    def waiting(self, why: str) -> None:
        """Say why there is no code now; called at every tick."""


def link(
    session: str,
    /,
    *,
    phone: str | None = None,
    picture: Annotated[Path | None, Parameter(name="--png")] = None,
    at: At,
) -> None:
    """Link a session to a phone: shows the QR code to scan, and ends when it is linked.

    With --phone it shows a code of eight letters to type on that phone instead. Such a code ends with the
    session's browser: after a restart there is another one.

    Starts the session if it is not started. Ctrl-C leaves the session as it is. With --json each code is a
    line of JSON, and so is the status at the end.

    Args:
        session: The session's id or name.
        phone: The phone's number with its country code: link by a code that is typed there.
        picture: Write the code to this file as well, as a PNG, anew whenever it changes.
    """
    if phone is not None and picture is not None:
        raise UsageError("--png is for codes that are scanned: give it without --phone.")
    with at.connect() as client:
        found = find(client, session)
        if found["status"] != "connected":
            _start(client, found)
        with ExitStack() as stack:
            view = _view(at, found, stack)
            linked = _follow(client, found, view, picture, phone)
    if at.as_json:
        at.out.json_line(linked)
    else:
        at.out.line(f"{found['name']}: linked to {linked.get('phoneNumber') or 'a phone'}.")


def _start(client: Client, session: Session) -> None:
    if session["status"] not in ("inactive", "disconnected"):
        return
    try:
        client.call("session.start", sessionId=session["id"], within_s=QUERY_S)
    except RpcError as error:
        if error.code not in ("SESSION_ALREADY_STARTED", "SESSION_BUSY"):
            raise


def _follow(
    client: Client, session: Session, view: _View, picture: Path | None, phone: str | None
) -> dict[str, Any]:
    """Show each code until the session is connected; return its status then."""
    drawn = None
    paired = False
    while True:
        now: dict[str, Any] = client.call("session.status", sessionId=session["id"], within_s=QUERY_S)
        match now["status"]:
            case "connected":
                return now
            case "qr_generated" if phone is not None:
                answer = _ask_pairing(client, session, phone)
                if answer is None:
                    view.waiting("The code comes when the page is there.")
                else:
                    paired = True
                    view.pairing(answer)
            case "qr_generated":
                answer = _ask_code(client, session)
                if answer is None:
                    view.waiting("The code has expired; a new one is on its way.")
                else:
                    if picture is not None and answer["qrText"] != drawn:
                        write_private(picture, png(code_of(answer["qrText"])))
                        drawn = answer["qrText"]
                    view.code(answer)
            case "inactive":
                raise _ended(session, now)
            case "disconnected" if now.get("reason") in ERRORS:
                raise _ended(session, now)
            case status:
                reason = f" ({now['reason']})" if now.get("reason") else ""
                ended = "The code has ended with its page: do not type it any more. " if paired else ""
                view.waiting(
                    f"{ended}The session is {status}{reason}; the code comes when the page is there."
                )
        _wait(client, session, now["status"])


def _ask_code(client: Client, session: Session) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = client.call(
            "session.qr", sessionId=session["id"], format="text", within_s=QUERY_S
        )
    except RpcError as error:
        if error.code in ("QR_NOT_AVAILABLE", "QR_CODE_EXPIRED"):
            return None
        raise
    return answer


def _ask_pairing(client: Client, session: Session, phone: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = client.call(
            "session.pair", sessionId=session["id"], phoneNumber=phone, within_s=_PAIR_S
        )
    except RpcError as error:
        if error.code in ("QR_NOT_AVAILABLE", "SESSION_NOT_STARTED"):
            return None
        raise
    return answer


def _wait(client: Client, session: Session, status: str) -> None:
    """Wait for another status, for a tick at most."""
    others = [other for other in SESSION_STATUSES if other != status]
    try:
        client.call("session.wait", sessionId=session["id"], status=others, timeout=_TICK_S, within_s=QUERY_S)
    except RpcError as error:
        if error.code != "PAGE_TIMEOUT":
            raise


def _ended(session: Session, now: dict[str, Any]) -> Exception:
    reason = now.get("reason") or "no reason given"
    if reason in ERRORS:
        return RpcError(reason)
    return Failure(f"{session['name']} is {now['status']} ({reason}): there is no code.")


def _view(at: Invocation, session: Session, stack: ExitStack) -> _View:
    if at.as_json:
        return _Lines(at)
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return _Live(stack.enter_context(Screen()), session["name"])
    return _Plain(at, session["name"])


class _Lines:
    """JSON, a line each code."""

    def __init__(self, at: Invocation) -> None:
        self._at = at
        self._seen = ""

    def code(self, answer: dict[str, Any]) -> None:
        if answer["qrText"] != self._seen:
            self._seen = answer["qrText"]
            self._at.out.json_line(answer)

    def pairing(self, answer: dict[str, Any]) -> None:
        if answer["pairingCode"] != self._seen:
            self._seen = answer["pairingCode"]
            self._at.out.json_line(answer)

    def waiting(self, why: str) -> None:
        """Say nothing."""


class _Plain:
    """Characters, each code once, for what is not a terminal."""

    def __init__(self, at: Invocation, name: str) -> None:
        self._at = at
        self._name = name
        self._seen = ""

    def code(self, answer: dict[str, Any]) -> None:
        if answer["qrText"] == self._seen:
            return
        self._seen = answer["qrText"]
        self._at.out.line(f"Link {self._name}. {_HOW}")
        for line in half_blocks(code_of(answer["qrText"]), quiet=4, draw="light"):
            self._at.out.line(line)
        self._at.out.line(f"This code expires at {local(answer['expiresAt'])}.")

    def pairing(self, answer: dict[str, Any]) -> None:
        if answer["pairingCode"] == self._seen:
            return
        self._seen = answer["pairingCode"]
        self._at.out.line(f"Link {self._name}. On the phone: {_HOW_PAIR}")
        self._at.out.line(grouped(answer["pairingCode"]))
        self._at.out.line(f"This code expires at {local(answer['expiresAt'])}.")

    def waiting(self, why: str) -> None:
        if why != self._seen:
            self._seen = why
            tell(why)


class _Live:
    """A terminal: the code is refreshed in place, and its expiry counted down."""

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen = screen
        self._name = name

    def code(self, answer: dict[str, Any]) -> None:
        left = max(0, round(parse(answer["expiresAt"]) / 1000 - time.time()))
        above = [f"Link {self._name}.", _HOW]
        below = [f"This code expires in {left} s; a new one follows. {_LEAVE}"]
        self._screen.show_code(above, code_of(answer["qrText"]), below)

    def pairing(self, answer: dict[str, Any]) -> None:
        left = max(0, round(parse(answer["expiresAt"]) / 1000 - time.time()))
        code = grouped(answer["pairingCode"])
        self._screen.show_text(
            [
                f"Link {self._name}. On the phone:",
                _HOW_PAIR,
                "",
                *(f"  {line}" for line in large(code)),
                "",
                f"  {code}",
                "",
                f"This code expires in {left} s; a new one follows. {_LEAVE}",
            ]
        )

    def waiting(self, why: str) -> None:
        self._screen.show_text([f"Link {self._name}.", why, _LEAVE])

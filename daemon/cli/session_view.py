"""How one session is shown to a person."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from protocol.client.blocking import Client
from protocol.errors import ERRORS, RpcError
from protocol.models import SessionSettings

from .figures import ago, duration, local, size
from .invocation import QUERY_S
from .lookup import Session
from .output import STATUS_STYLES, Cell, Output, status_cell
from .refusal import in_commands

_INCIDENTS = 5

Row = tuple[str, Sequence[Cell]]


def show_session(out: Output, client: Client, session: Session, now: float) -> None:
    """Write everything of a session, its latest incidents, and what to do next; `now` is in seconds."""
    dot = ("●", STATUS_STYLES.get(session["status"], ""))
    out.cells(dot, (session["name"], "bold"), f"({session['id']})")
    rows = [*_state(session, now), *_work(session, now), *_about(session, now)]
    out.section(rows)
    incidents: list[dict[str, Any]] = []
    with suppress(RpcError):  # a daemon that keeps none, or a caller who may not see them
        answer = client.call("session.incidents", sessionId=session["id"], limit=_INCIDENTS, within_s=QUERY_S)
        incidents = answer.get("incidents", [])
    if incidents:
        out.line("")
        out.cells(("Latest incidents", "bold"))
        for incident in reversed(incidents):
            parts = [incident.get(key) for key in ("kind", "detail", "action")]
            out.line(f"  {local(incident['at'])}  {'  '.join(str(part) for part in parts if part)}")
    if advice := _advice(session):
        out.line("")
        out.line(advice)


def _state(session: Session, now: float) -> Iterator[Row]:
    info = session.get("connectionInfo") or {}
    status: list[Cell] = [status_cell(session["status"])]
    if info.get("connectedAt") and session["status"] == "connected":
        status.append(f"since {local(info['connectedAt'])} ({ago(info['connectedAt'], now)})")
    if session.get("reason"):
        status.append(f"({session['reason']})")
    yield "Status", status
    yield "Wanted", [session.get("desired", "-")]
    yield "Phone", [session.get("phoneNumber") or "not linked"]
    device = [info[key] for key in ("platform", "deviceModel", "clientVersion", "wid") if info.get(key)]
    if device:
        yield "Device", [", ".join(device)]


def _work(session: Session, now: float) -> Iterator[Row]:
    yield "Last activity", [ago(session.get("lastActivity"), now)]
    stats = session.get("messageStats") or {}
    counts = ", ".join(f"{stats.get(key, 0)} {key}" for key in ("sent", "received", "failed"))
    yield "Messages", [f"{counts}; {session.get('messageQueue', 0)} waiting"]
    restarts = session.get("restarts") or {}
    line = f"{restarts.get('count', 0)} of {restarts.get('limit', '-')}"
    if "window" in restarts:
        line += f" within {duration(restarts['window'])}"
    if restarts.get("lastAttempt"):
        line += f", the last {ago(restarts['lastAttempt'], now)}"
    if restarts.get("nextAllowedAt"):
        line += f"; none before {local(restarts['nextAllowedAt'])}"
    yield "Restarts", [line]
    process = session.get("process")
    if process:
        parts = [f"pid {process['pid']}", f"{process.get('processes', '-')} processes"]
        memory = process.get("pssBytes") or process.get("rssBytes")
        parts += [] if memory is None else [size(memory)]
        cpu = process.get("cpuSeconds")
        parts += [] if cpu is None else [f"{duration(cpu)} CPU"]
        parts.append(f"started {ago(process.get('startedAt'), now)}")
        yield "Browser", [", ".join(parts)]
    disk = session.get("disk")
    if disk:
        names = {"profileBytes": "profile", "cacheBytes": "caches", "mediaBytes": "media"}
        yield "Disk", [", ".join(f"{size(disk[key])} {name}" for key, name in names.items() if key in disk)]


def _about(session: Session, now: float) -> Iterator[Row]:
    if session.get("description"):
        yield "Description", [session["description"]]
    yield "Created", [f"{local(session['createdAt'])} ({ago(session['createdAt'], now)})"]
    defaults = msgspec.json.decode(msgspec.json.encode(SessionSettings()))
    settings = session.get("settings") or {}
    changed = {key: value for key, value in settings.items() if value != defaults.get(key)}
    for number, (key, value) in enumerate(sorted(changed.items())):
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        shown = text if isinstance(text, str) else msgspec.json.encode(text).decode()
        yield "" if number else "Settings", [f"{key} = {shown}"]


def _advice(session: Session) -> str | None:
    ref = shlex.quote(session["id"])
    match session["status"]:
        case "qr_generated":
            return f"Link it to a phone: wasupctl link {ref}"
        case "inactive" if session.get("phoneNumber"):
            return f"Start it: wasupctl start {ref}"
        case "inactive":
            return f"Start it and link it to a phone: wasupctl link {ref}"
    spec = ERRORS.get(session.get("reason") or "")
    return None if spec is None else f"{spec.message}. {in_commands(spec.action or '')}"

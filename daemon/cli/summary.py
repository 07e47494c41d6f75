"""An event in one line. Pure."""

from typing import Any

import msgspec

from .figures import duration, local
from .messages import content

_MOST = 300  # characters of a message that a line shows; --json has all of it


def summary(event: dict[str, Any]) -> str:
    """Return what an event says, as one line of foreign text: not yet made printable."""
    data = event.get("data") or {}
    try:
        return _known(event["type"], data)
    except (KeyError, TypeError, ValueError, AttributeError):  # data of another version's daemon
        return _cut(msgspec.json.encode(data).decode() if data else "")


def _known(kind: str, data: dict[str, Any]) -> str:
    match kind:
        case "session.status":
            reason = f" ({data['reason']})" if data.get("reason") else ""
            return f"{data['from']} → {data['to']}{reason}"
        case "session.qr":
            return f"a code to scan, until {local(data['expiresAt'])}"
        case "session.created" | "session.updated" | "session.deleted":
            return str(data["name"])
        case "session.connected":
            return data.get("phoneNumber") or ""
        case "session.disconnected":
            return str(data["reason"])
        case "session.restarting":
            return f"{data['reason']}, attempt {data['attempt']}, in {duration(data['delay'])}"
        case "session.restart_limit":
            restarts = data["restarts"]
            again = restarts.get("nextAllowedAt")
            return f"gave up after {restarts['count']} restarts" + (
                f"; again at {local(again)}" if again else ""
            )
        case "session.recovered":
            return f"after {duration(data['downtime'])}"
        case "session.alert":
            return " ".join(str(data[key]) for key in ("kind", "detail") if data.get(key))
    if kind.startswith("message.") and "message" in data:
        return _message(data)
    return _cut(msgspec.json.encode(data).decode()) if data else ""


def _message(data: dict[str, Any]) -> str:
    message = data["message"]
    if message["direction"] == "in":
        who = f"from {message.get('from') or message['chatId']}"
    else:
        who = f"to {message.get('to') or message['chatId']}"
    late = " (caught up)" if data.get("recovered") else ""
    said = content(message)
    return f"{message['id']} {who}{late}" + (f": {_cut(said)}" if said else "")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"

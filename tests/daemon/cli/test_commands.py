"""Every method of the channel has a command, and the command calls it."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.generated import ASKS
from daemon.cli.program import run
from daemon.cli.tree import generated, listed
from protocol.methods import METHODS, decode_params
from protocol.models import EXPORT_FORMAT, EXPORT_VERSION
from protocol.openrpc import document

from .fake import FakeDaemon, Sessions, message, session

_CODE = {
    "qrCode": "",
    "qrText": "2@a,b",
    "format": "text",
    "generatedAt": "2026-11-21T10:00:00.000Z",
    "expiresAt": "2026-11-21T10:00:20.000Z",
}
_FIGURES = {
    "stats": {"total": 3, "sent": 2, "received": 1, "failed": 0, "byType": {"text": 3}, "byDay": {}},
    "performance": {"averageResponseTime": 4.5, "uptime": 99.0, "messagesPerHour": 0.1, "errorRate": 0.0},
}
_EVENTS: dict[str, Any] = {"events": [], "oldest": 0, "latest": 0}
_HEALTH = {"sessions": {"connected": 1}, "store": {"messages": 2}}

HOOK = {"id": "wh_1", "url": "https://a", "signed": True, "lag": 0, "deadLetters": 0}

# What a person types for each method that has a command of its own making, and what the daemon answers.
TYPED: dict[str, tuple[list[str], Any]] = {
    "session.create": (["create", "new"], session("new", "n1")),
    "session.list": (["list"], None),
    "session.get": (["show", "shop"], None),
    "session.qr": (["qr", "shop"], _CODE),
    "session.pair": (
        ["pair", "shop", "+49170"],
        {"pairingCode": "ABCD1234", "expiresAt": _CODE["expiresAt"]},
    ),
    "session.wait": (["wait", "shop"], {"status": "connected"}),
    "session.start": (["start", "shop"], {"status": "connecting"}),
    "session.stop": (["stop", "shop"], {"status": "inactive"}),
    "session.restart": (["restart", "shop"], {"status": "connecting"}),
    "session.reload": (["reload", "shop"], {"status": "connecting"}),
    "session.logout": (["logout", "shop", "--yes"], {"status": "connecting"}),
    "session.clearAuth": (["clear-auth", "shop", "--yes"], {"status": "inactive"}),
    "session.screenshot": (["screenshot", "shop", "out.png"], {"image": "data:image/png;base64,AAAA"}),
    "session.stats": (["stats", "shop"], _FIGURES),
    "session.incidents": (["incidents", "shop"], {"incidents": []}),
    "session.log": (["log", "shop"], {"records": []}),
    "session.update": (["update", "shop", "--name", "x"], session("x", "s1")),
    "session.delete": (["delete", "shop", "--yes"], {"deleted": True, "backup": None}),
    "session.terminateInactive": (["terminate-inactive"], {"terminated": ["s1"], "orphansKilled": [7]}),
    "session.terminateAll": (["terminate-all", "-y"], {"terminated": [], "orphansKilled": []}),
    "message.send": (["send", "shop", "+49170", "hello"], message()),
    "message.list": (["messages", "shop"], {"messages": [], "next": None}),
    "message.download": (
        ["message", "download", "shop", "3EB0", "out.bin"],
        {"mimetype": "text/plain", "filename": "a.txt", "data": "aGk="},
    ),
    "message.import": (["import", "export.jsonl"], {"imported": 1, "duplicates": 0}),
    "events.list": (["events"], _EVENTS),
    "webhook.create": (["webhook", "create", "https://a"], HOOK),
    "webhook.list": (["webhook", "list", "--json"], {"webhooks": [HOOK], "total": 1}),
    "webhook.test": (["webhook", "test", "wh_1"], {"delivered": True, "status": 200, "durationMs": 5}),
    "webhook.replay": (["webhook", "replay", "wh_1"], {"attempt": None}),
    "webhook.delete": (["webhook", "delete", "wh_1", "--yes"], {"deleted": True}),
    "daemon.health": (["health", "--json"], {"status": "ok"}),
    "daemon.metrics": (["metrics"], {"text": "# EOF\n"}),
    "daemon.whoami": (["whoami"], {"uid": 0, "gid": 0, "role": "admin"}),
    "daemon.reloadConfig": (["config", "reload"], {"file": "/c", "reloaded": ["log.level"]}),
    "daemon.backup": (["backup"], {"path": "/b", "bytes": 5}),
    "daemon.forceCleanup": (
        ["force-cleanup", "-y"],
        {"sessions": [], "messages": 0, "backup": "/b", "backups": []},
    ),
    "daemon.shutdown": (["shutdown", "--yes"], {"stopping": True}),
    "rpc.discover": (["discover"], {"openrpc": "1.3.2"}),
    "whatsapp.functions": (
        ["whatsapp", "functions", "shop", "chat.*"],
        {"functions": ["chat.get", "conn.x"]},
    ),
    "whatsapp.call": (["whatsapp", "call", "shop", "chat.get", '"49170@c.us"', "49170@c.us"], {"id": "x"}),
}
SEEN_ELSEWHERE = {"events.subscribe", "events.unsubscribe"}
"""`watch` never ends: test_watch.py."""

_HEADER = {
    "format": EXPORT_FORMAT,
    "version": EXPORT_VERSION,
    "session": {"id": "s1", "name": "shop", "phoneNumber": None},
    "exportedAt": "2026-11-21T10:00:00.000Z",
    "messages": 1,
}

GIVEN = {
    "sessionId": "shop",
    "messageId": "3EB0",
    "to": "+4915110000001",
    "phoneNumber": "+4915110000001",
}
"""What params of this name are given; others get what their type allows."""


@pytest.fixture
def answering(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeDaemon:
    Sessions(daemon, session("shop", "s1", status="connected"))
    daemon.answers["daemon.health"] = _HEALTH
    daemon.answers["webhook.list"] = {"webhooks": [HOOK], "total": 1}
    monkeypatch.setenv("WASUP_SOCKET", str(daemon.path))
    monkeypatch.chdir(tmp_path)
    return daemon


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_has_a_command(
    method: str, answering: FakeDaemon, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if method in SEEN_ELSEWHERE:
        return
    made = {name: [space, verb] for space, verb, name in generated()}
    if method in made:
        asked = ["--yes"] if method in ASKS else []
        argv, answer = [*made[method], *_typed(method, tmp_path / "file"), *asked], {"done": True}
    else:
        argv, answer = TYPED[method]
    if answer is not None:
        answering.answers[method] = answer
    if method == "message.import":
        line = {key: message()[key] for key in ("id", "origin", "chatId", "direction", "type", "status")}
        line |= {key: message()[key] for key in ("createdAt", "updatedAt")} | {"status": "sent"}
        (tmp_path / "export.jsonl").write_text(f"{json.dumps(_HEADER)}\n{json.dumps(line)}\n")
    assert run(argv) == 0, capsys.readouterr().err
    (sent,) = answering.asked(method)[-1:]
    if method in made:
        assert sent.keys() >= {p["name"] for p in _described(method)["params"] if p["required"]}
        assert sent.get("sessionId", "s1") == "s1"
    else:
        decode_params(METHODS[method], json.dumps(sent).encode())


def test_nothing_is_told_of_a_method_that_there_is_not() -> None:
    made_by_hand = {method for _, one in listed() for method in one.methods}
    assert made_by_hand <= set(METHODS)
    names = [one.name for _, one in listed()] + [f"{space} {verb}" for space, verb, _ in generated()]
    assert len(names) == len(set(names))


DOCUMENT = document("1")


def _typed(method: str, file: Path) -> list[str]:
    """Return a value for each param that the method needs, in their order, a list last."""
    needed = [param for param in _described(method)["params"] if param["required"]]
    needed.sort(key=lambda param: param["schema"].get("type") == "array")
    return [_value(param["name"], param["schema"], file) for param in needed]


def _described(method: str) -> dict[str, Any]:
    described: dict[str, Any] = next(one for one in DOCUMENT["methods"] if one["name"] == method)
    return described


def _value(name: str, schema: dict[str, Any], file: Path) -> str:
    if name in GIVEN:
        return GIVEN[name]
    match schema:
        case {"$ref": "#/components/schemas/MediaContent"}:
            file.write_bytes(b"\xff\xd8")
            return str(file)
        case {"enum": [first, *_]}:
            return str(first)
        case {"type": "array", "items": items}:
            return _value(name, items, file)
        case {"type": "integer" | "number"}:
            return str(schema.get("minimum", 1))
        case {"type": "boolean"}:
            return "true"
    return "x"

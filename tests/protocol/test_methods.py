"""The table of methods, and what is said of params that do not fit it."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.actions import ACTIONS
from protocol.errors import ERRORS, RpcError
from protocol.methods import COMMON_ERRORS, METHODS, Method, decode_params, find_method
from protocol.models import CONTENTS, MessageListParams, SessionWaitParams

from .strategies import as_json, json_values

NAMES = sorted(METHODS)


def details(method: str, params: object) -> dict[str, Any]:
    with pytest.raises(RpcError) as refused:
        decode_params(METHODS[method], as_json(params))
    assert refused.value.code == "INVALID_PARAMS"
    assert refused.value.details["path"] in refused.value.message
    return refused.value.details


def send(**params: object) -> dict[str, object]:
    return {"sessionId": "a", "to": "+49 151 12345678", "text": "Hello", **params}


def test_every_entry_is_sound() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert re.fullmatch(r"[a-z]+\.[a-zA-Z]+", name)
        assert {*method.errors, *COMMON_ERRORS} <= set(ERRORS)
        assert len({*method.errors, *COMMON_ERRORS}) == len(method.errors) + len(COMMON_ERRORS)
        assert method.summary[-1:] not in ("", ".")


ADMIN = {
    "session.delete",
    "session.terminateAll",
    "daemon.shutdown",
    "daemon.reloadConfig",
    "daemon.forceCleanup",
    "daemon.backup",
    "message.import",
    "page.save",
    "page.update",
    "page.use",
    "page.remove",
}
READER = re.compile(
    r"\w+\.list|session\.(get|status|wait|stats|incidents)|message\.(get|download)|whatsapp\.functions"
    r"|events\.\w+|daemon\.(health|metrics|whoami)|rpc\.discover"
)


def test_who_may_call_what() -> None:
    """A reader looks, an operator acts too, an admin does everything."""
    for name, method in METHODS.items():
        wanted = "admin" if name in ADMIN else "reader" if READER.fullmatch(name) else "operator"
        assert (name, method.role) == (name, wanted)


# What a pattern cannot tell a generator.
PAST = {
    "id": "3EB0",
    "origin": "api",
    "chatId": "1@c.us",
    "direction": "out",
    "type": "text",
    "status": "sent",
    "createdAt": "2026-11-21T10:00:00.000Z",
    "updatedAt": "2026-11-21T10:00:00.000Z",
}
NUMBER = "+49 151 12345678"
BY_FIELD: dict[str, object] = {
    "contactId": NUMBER,
    "chatId": NUMBER,
    "participants": [NUMBER],
    "chats": [NUMBER],
    "image": {"data": "aGk="},
    "video": {"data": "aGk="},
}
GIVEN: dict[str, dict[str, object]] = {
    **{
        name: {
            field.encode_name: BY_FIELD[field.encode_name]
            for field in msgspec.structs.fields(params)
            if field.encode_name in BY_FIELD
        }
        for name, params, *_ in ACTIONS
    },
    "message.import": {"messages": [PAST]},
    "daemon.forceCleanup": {"confirm": True},
    "message.send": {**dict.fromkeys(CONTENTS), "sessionId": None, "tag": None, "text": "Hello"},
    "number.check": {"phoneNumber": "+49 151 12345678"},
    "session.pair": {"phoneNumber": "+49 151 12345678"},
    "whatsapp.call": {"function": "chat.archive"},
    "webhook.create": {"headers": {"X-Shop": "1"}},
    "webhook.replay": {"after": None},
}


def past(**fields: object) -> dict[str, object]:
    return {"sessionId": "a", "messages": [{**PAST, **fields}]}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data())
def test_params_survive_the_wire(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    value = {**data.draw(json_values(method.params)), **GIVEN.get(name, {})}
    if name == "message.send":
        value[data.draw(st.sampled_from(["sessionId", "tag"]))] = "a"
    params = decode_params(method, as_json(value))
    assert decode_params(method, as_json(params)) == params


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data())
def test_results_survive_the_wire(name: str, data: st.DataObject) -> None:
    kind = METHODS[name].result
    result = msgspec.json.decode(as_json(data.draw(json_values(kind))), type=kind)
    assert msgspec.json.decode(as_json(result), type=kind) == result


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data())
def test_garbage_is_refused_with_a_path(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    known = [f.encode_name for f in msgspec.structs.fields(method.params)]
    keys = st.sampled_from([*known, "x"]) if known else st.text()
    value = data.draw(st.dictionaries(keys, st.none() | st.integers() | st.text() | st.lists(st.integers())))
    try:
        decode_params(method, as_json(value))
    except RpcError as error:
        refusal = error
    else:
        return
    assert refusal.code == "INVALID_PARAMS"
    assert refusal.details["path"].startswith("$")
    assert set(refusal.details) == {"path", "problem", "action"}


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [
        ("session.create", {}, "$.name"),
        ("session.create", {"name": ""}, "$.name"),
        ("session.create", {"name": "a", "id": "-a"}, "$.id"),
        ("session.create", {"name": "a", "id": "a\n"}, "$.id"),
        ("session.create", {"name": "a", "id": "a" * 65}, "$.id"),
        ("session.create", {"name": "a", "settings": {"autoReconect": True}}, "$.settings.autoReconect"),
        ("session.create", {"name": "a", "settings": {"autoReconnect": 1}}, "$.settings.autoReconnect"),
        ("session.create", {"name": "a", "settings": {"webhookUrl": "ftp://a"}}, "$.settings.webhookUrl"),
        ("session.create", {"name": "a", "settings": {"tags": ["a", ""]}}, "$.settings.tags[1]"),
        ("session.get", {"sessionId": "a", "a b": 1}, '$["a b"]'),
        ("session.list", {"limit": 0}, "$.limit"),
        ("session.list", {"limit": 1001}, "$.limit"),
        ("session.list", {"offset": -1}, "$.offset"),
        ("session.wait", {"sessionId": "a", "status": []}, "$.status"),
        ("session.wait", {"sessionId": "a", "status": ["connected", "up"]}, "$.status[1]"),
        ("session.wait", {"sessionId": "a", "status": "connected", "timeout": -1}, "$.timeout"),
        ("message.send", {"sessionId": "a", "text": "Hello"}, "$.to"),
        ("message.send", send(to="nobody"), "$.to"),
        ("message.send", send(mentions=["+49 151 12345678", "me"]), "$.mentions[1]"),
        ("message.send", send(tag="a"), "$.sessionId"),
        ("message.send", send(sessionId=None), "$.sessionId"),
        ("message.send", send(text=None), "$.text"),
        ("message.send", send(wait="read"), "$.wait"),
        ("message.list", {"sessionId": "a", "since": "yesterday"}, "$.since"),
        ("message.list", {"sessionId": "a", "chatId": "x"}, "$.chatId"),
        ("message.import", past(id="../../x"), "$.messages[0].id"),
        ("message.import", past(origin="contact"), "$.messages[0].origin"),
        ("message.import", past(status="received"), "$.messages[0].status"),
        ("message.import", past(origin="phone"), "$.messages[0].key"),
        ("message.import", past(updatedAt="today"), "$.messages[0].updatedAt"),
        ("daemon.forceCleanup", {}, "$.confirm"),
        ("daemon.forceCleanup", {"confirm": False}, "$.confirm"),
        ("events.subscribe", {"types": ["session.state"]}, "$.types[0]"),
        ("webhook.create", {"url": "ftp://a"}, "$.url"),
        ("webhook.create", {"url": "https://a", "headers": {"a b": "1"}}, "$.headers"),
        ("webhook.create", {"url": "https://a", "headers": {"A": "1\r\nB: 2"}}, "$.headers"),
        ("webhook.create", {"url": "https://a", "headers": {"Webhook-Id": "1"}}, "$.headers"),
        ("webhook.create", {"url": "https://a", "headers": {"host": "b"}}, "$.headers"),
        ("webhook.replay", {"webhookId": "a", "after": 1, "deadLetterId": 1}, "$.after"),
        ("daemon.health", {"verbose": True}, "$.verbose"),
        ("daemon.health", [], "$"),
    ],
)
def test_the_path_is_the_offenders(method: str, params: object, path: str) -> None:
    assert details(method, params)["path"] == path


def test_the_nearest_name_is_suggested() -> None:
    found = details("session.create", {"name": "a", "settings": {"autoReconect": True}})
    assert found["problem"] == "There is no such field"
    assert "did you mean `autoReconnect`?" in found["action"]


def test_without_a_near_name_all_are_given() -> None:
    assert details("session.get", {"sessionId": "a", "x": 1})["action"].endswith("there are: sessionId.")


def test_the_words_that_fit_are_given() -> None:
    action = details("session.list", {"status": "up"})["action"]
    assert "connected, connecting, disconnected, inactive, qr_generated" in action


def test_a_mistake_of_any_size_gets_a_short_answer() -> None:
    assert len(as_json(details("session.list", {"x" * 1_000_000: 1}))) < 2000
    assert len(as_json(details("session.list", {"status": "x" * 1_000_000}))) < 2000


def test_params_too_deep_are_refused() -> None:
    method = Method("test.any", METHODS["session.create"].params, Any, (), "reader", "")
    with pytest.raises(RpcError) as refused:
        decode_params(method, b'{"name":' + b"[" * 100_000)
    assert refused.value.code == "INVALID_PARAMS"


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(RpcError) as refused:
        find_method("session.lst")
    assert refused.value.code == "METHOD_NOT_FOUND"
    assert "`session.list`" in refused.value.details["action"]
    with pytest.raises(RpcError):
        find_method("?" * 1_000_000)
    assert find_method("session.list").name == "session.list"


def test_params_offer_what_they_mean() -> None:
    sent = decode_params(METHODS["message.send"], as_json(send(mentions=["+49 1601234567"])))
    assert sent.recipient == "4915112345678@c.us"
    assert sent.mentioned == ("491601234567@c.us",)
    listed = MessageListParams(
        session_id="a", chat_id="+49 151 12345678", since="1970-01-01T00:00:01Z", until="1970-01-01T00:00:02Z"
    )
    assert (listed.chat, listed.since_ms, listed.until_ms) == ("4915112345678@c.us", 1000, 2000)
    one = SessionWaitParams(session_id="a", status="connected")
    two = SessionWaitParams(session_id="a", status=("connected", "qr_generated"))
    assert (one.statuses, two.statuses) == (("connected",), ("connected", "qr_generated"))

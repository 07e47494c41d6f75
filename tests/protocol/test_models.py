"""Settings: defaults, patches, and the secret that is never shown."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocol.events import EVENT_DATA, EVENT_TYPES
from protocol.models import Restarts, Session, SessionSettings, SettingsPatch, StoredSettings, merge

from .strategies import as_json, json_values

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the specification's examples
DEFAULTS: dict[str, object] = {
    "autoReconnect": True,
    "reconnectInterval": 30000,
    "maxReconnectAttempts": 10,
    "webhookUrl": None,
    "webhookEvents": [],
    "messageHistory": True,
    "proxy": None,
    "deviceName": None,
    "tags": [],
    "allowedUids": None,
    "allowedGids": None,
    "enableEncryption": False,
    "alertSentPerHour": 1000,
    "autoDownloadMedia": False,
    "markRead": False,
}


def plain(value: object) -> object:
    return msgspec.json.decode(as_json(value))


def patch(**fields: object) -> SettingsPatch:
    return msgspec.convert(fields, SettingsPatch)


def test_the_defaults_are_the_protocols() -> None:
    assert plain(SessionSettings()) == DEFAULTS


def test_a_patch_changes_what_it_names() -> None:
    settings = merge(StoredSettings(), patch(tags=["a"], reconnectInterval=5000))
    settings = merge(settings, patch(webhookUrl="https://example.org/hook", reconnectInterval=None))
    expected = {**DEFAULTS, "tags": ["a"], "webhookUrl": "https://example.org/hook"}
    assert plain(settings.visible) == expected


def test_the_secret_is_kept_apart_from_what_is_shown() -> None:
    settings = merge(StoredSettings(), patch(webhookSecret=SECRET))
    assert settings.webhook_secret == SECRET
    assert b"whsec" not in as_json(settings.visible)
    assert merge(settings, patch(markRead=True)).webhook_secret == settings.webhook_secret
    assert merge(settings, patch(webhookSecret=None)).webhook_secret is None


def test_a_patch_can_name_every_setting() -> None:
    assert set(SettingsPatch.__struct_fields__) == {*SessionSettings.__struct_fields__, "webhook_secret"}


@given(st.data())
def test_a_patch_is_put_over_once_and_for_all(data: st.DataObject) -> None:
    first, second = (msgspec.convert(data.draw(json_values(SettingsPatch)), SettingsPatch) for _ in range(2))
    once = merge(merge(StoredSettings(), first), second)
    assert merge(once, second) == once
    untouched = [f for f in SettingsPatch.__struct_fields__ if getattr(second, f) is msgspec.UNSET]
    for field in set(untouched) - {"webhook_secret"}:
        assert getattr(once.visible, field) == getattr(merge(StoredSettings(), first).visible, field)


def test_a_session_is_written_in_camel_case() -> None:
    now = "2026-11-21T10:00:00.000Z"
    session = Session(
        id="a",
        name="A",
        status="qr_generated",
        desired="running",
        created_at=now,
        updated_at=now,
        restarts=Restarts(limit=3, window=120, cooldown=30),
    )
    assert set(msgspec.to_builtins(session)) == {
        "id",
        "name",
        "description",
        "status",
        "reason",
        "desired",
        "phoneNumber",
        "createdAt",
        "updatedAt",
        "lastActivity",
        "connectionInfo",
        "messageStats",
        "messageQueue",
        "restarts",
        "process",
        "disk",
        "settings",
    }


def test_the_event_types_are_the_protocols() -> None:
    assert set(EVENT_DATA) <= set(EVENT_TYPES)
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES) == 31

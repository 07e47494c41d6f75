"""Sessions that are not everybody's: whoever is in neither of its lists does not find one."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from daemon.store import Store, StoreFull
from protocol.client.aio import Client, follow
from protocol.client.errors import ConnectionLost
from protocol.errors import RpcError
from protocol.methods import METHODS
from tests.daemon.inprocess import Daemon, daemon_in

ACCESS = "[access]\noperator = [200, 201]\nreader = [300]"
OWNER, OTHER, READER, ADMIN = 200, 201, 300, 0

# What each method that takes the id of a session needs besides.
MORE: dict[str, dict[str, Any]] = {
    "session.pair": {"phoneNumber": "+4915112345678"},
    "session.wait": {"status": "connected", "timeout": 0},
    "session.delete": {"backup": False},
    "message.send": {"to": "+4915112345678", "text": "Hello"},
    "message.react": {"messageId": "3EB0", "emoji": ""},
    "message.forward": {"messageId": "3EB0", "to": "+4915112345678"},
    "message.import": {"messages": []},
    "number.check": {"phoneNumber": "+4915112345678"},
    "whatsapp.call": {"function": "chat.archive"},
    "webhook.create": {"url": "http://127.0.0.1:9/"},
}
# What any method is given for a field of that name, where it needs one.
GIVEN: dict[str, Any] = {
    "chatId": "+4915112345678",
    "contactId": "+4915112345678",
    "messageId": "3EB0",
    "groupId": "120363000000000001@g.us",
    "channelId": "120363000000000001@newsletter",
    "invite": "AbCdEfGhIjKlMnOpQrStUv",
    "labelId": "1",
    "postKey": "true_status@broadcast_3EB0",
    "chats": ["+4915112345678"],
    "participants": ["+4915112345678"],
    "image": {"data": "AAAA"},
    "video": {"data": "AAAA"},
    "duration": 0,
} | dict.fromkeys(("name", "subject", "description", "text", "query", "about"), "Hello")
OF_A_SESSION = sorted(
    name
    for name, method in METHODS.items()
    if name not in ("message.import",)  # only an admin may, who sees everything
    and any(field.name == "session_id" for field in msgspec.structs.fields(method.params))
)


@pytest.fixture
async def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    async with daemon_in(tmp_path, monkeypatch, ACCESS) as running:
        yield running


async def refused(client: Client, method: str, **params: object) -> RpcError:
    with pytest.raises(RpcError) as refusal:
        await client.call(method, params)
    return refusal.value


def needed(method: str) -> dict[str, Any]:
    """What the method needs besides the session's id."""
    if method in MORE:
        return MORE[method]
    fields = msgspec.structs.fields(METHODS[method].params)
    return {f.encode_name: GIVEN[f.encode_name] for f in fields if f.required and f.name != "session_id"}


async def answer(client: Client, method: str, session_id: str) -> str:
    """What a caller is told, with the id taken out."""
    try:
        said: Any = await client.call(method, {"sessionId": session_id, **needed(method)})
    except RpcError as error:
        said = [error.code, error.message, error.details]
    return msgspec.json.encode(said).decode().replace(session_id, "ID")


async def test_every_method_hides_it_as_if_there_were_none(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(OTHER) as other:
        await owner.call("session.create", name="Mine", id="mine", settings={"allowedUids": [OWNER]})
        for method in OF_A_SESSION:
            told = await answer(other, method, "mine")
            assert told == await answer(other, method, "none"), method
            assert "INVALID_PARAMS" not in told, f"{method}: GIVEN or MORE lacks what it needs"
            allowed = await answer(owner, method, "mine")
            assert "SESSION_NOT_FOUND" not in allowed, method
        assert await answer(other, "session.get", "mine") == await answer(other, "session.get", "none")


async def test_it_is_in_no_list_and_no_figure(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(OTHER) as other:
        tag = {"tags": ["news"]}
        await owner.call(
            "session.create", name="Hidden", id="hidden", settings={**tag, "allowedGids": [900, OWNER]}
        )
        await owner.call("session.create", name="Open", id="open", settings=tag)
        hook = await owner.call("webhook.create", url="http://127.0.0.1:9/", sessionId="hidden")

        listed = await other.call("session.list")
        assert ([s["id"] for s in listed["sessions"]], listed["total"]) == (["open"], 1)
        health = await other.call("daemon.health")
        assert sum(health["sessions"].values()) == 1
        assert "hidden" not in (await other.call("daemon.metrics"))["text"]
        assert (await other.call("webhook.list"))["webhooks"] == []
        for method in ("webhook.delete", "webhook.replay", "webhook.test"):
            told = await refused(other, method, webhookId=hook["id"])
            none = await refused(other, method, webhookId="wh_none")
            assert (told.code, told.message) == (none.code, none.message)
            assert set(told.details) == set(none.details)
        assert (await other.call("session.terminateInactive"))["terminated"] == ["open"]

        async with daemon.as_user(OTHER, 900) as colleague, daemon.as_user(ADMIN) as admin:
            for client in (owner, colleague, admin):
                assert (await client.call("session.list"))["total"] == 2
                assert "hidden" in (await client.call("daemon.metrics"))["text"]
                assert len((await client.call("webhook.list"))["webhooks"]) == 1


async def test_its_events_are_told_to_those_who_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is gone, after a restart of the daemon, and when its id is somebody else's by then."""
    hidden = {"allowedUids": [OWNER]}
    async with (
        daemon_in(tmp_path, monkeypatch, ACCESS) as daemon,
        daemon.as_user(OWNER) as owner,
        daemon.as_user(READER) as reader,
        daemon.as_user(ADMIN) as admin,
        reader.subscribe(after=0) as followed,
    ):
        await owner.call("session.create", name="Secret", id="shop", settings=hidden)
        for _ in range(3):
            await owner.call("session.update", sessionId="shop", description="Secret")
        await admin.call("session.delete", sessionId="shop", backup=False)
        await owner.call("session.create", name="Public", id="shop")
        with trio.fail_after(20):
            async for event in followed:
                assert event["data"] in ({}, {"name": "Public"})
                if event["data"]:
                    break

    async with (
        daemon_in(tmp_path, monkeypatch, ACCESS) as daemon,
        daemon.as_user(OWNER) as owner,
        daemon.as_user(READER) as reader,
    ):
        everything = (await owner.call("events.list", sessions=["shop"]))["events"]
        assert [event["data"]["name"] for event in everything] == ["Secret"] * 5 + ["Public"]
        public = (await reader.call("events.list", sessions=["shop"], limit=1))["events"]
        assert [event["data"]["name"] for event in public] == ["Public"]
        assert "Secret" not in str(await reader.call("events.list", limit=1000))


async def test_a_change_that_hides_it_is_told_to_those_who_see_it_still(daemon: Daemon) -> None:
    """With the commit itself: what it is called by then is not for who sees it no more."""
    async with (
        daemon.as_user(OWNER) as owner,
        daemon.as_user(READER) as reader,
        reader.subscribe(after=0) as followed,
    ):
        await owner.call("session.create", name="Open", id="shop")
        lists = {"allowedUids": [OWNER]}
        await owner.call("session.update", sessionId="shop", name="Secret", settings=lists)
        await owner.call("session.create", name="Other", id="other")
        told = []
        with trio.fail_after(20):
            async for event in followed:
                told.append(event["data"].get("name"))
                if event["sessionId"] == "other":
                    break
        assert told == [None, "Open", "Other"]


async def refused_late(self: Store, job: Any, write: Any = Store.write) -> Any:
    """A write that does its job, and then finds the disk full."""

    def undone(db: object) -> None:
        job(db)
        raise StoreFull

    return await write(self, undone)


async def test_a_change_that_the_disk_refuses_hides_it_from_nobody(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(READER) as reader:
        await owner.call("session.create", name="Open", id="shop")
        lists = {"allowedUids": [OWNER]}
        with monkeypatch.context() as full:
            full.setattr(Store, "write", refused_late)
            told = await refused(owner, "session.update", sessionId="shop", settings=lists)
        assert told.code == "STORE_FULL"
        assert (await reader.call("session.get", sessionId="shop"))["name"] == "Open"


async def test_a_message_for_a_tag_takes_no_session_that_the_sender_does_not_see(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(OTHER) as other:
        tag = {"tags": ["news"]}
        await owner.call("session.create", name="a", id="a", settings={**tag, "allowedUids": [OWNER]})
        await owner.call("session.start", sessionId="a", wait=True)
        asked = {"tag": "news", "to": "+4915112345678", "text": "Hello"}
        assert (await refused(other, "message.send", **asked)).code == "SESSION_NOT_FOUND"
        assert (await owner.call("message.send", asked))["sessionId"] == "a"


async def test_who_may_say_who_sees_it(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(OTHER) as other, daemon.as_user(0) as admin:
        await owner.call("session.create", name="a", id="a")

        async def share(client: Client, **lists: object) -> Any:
            return await client.call("session.update", sessionId="a", settings=lists)

        told = await refused(other, "session.update", sessionId="a", settings={"allowedUids": [OTHER]})
        assert told.code == "FORBIDDEN"
        told = await refused(owner, "session.update", sessionId="a", settings={"allowedUids": [OTHER]})
        assert (told.code, told.details["path"]) == ("INVALID_PARAMS", "$.settings.allowedUids")
        told = await refused(owner, "session.create", name="b", settings={"allowedGids": []})
        assert (told.code, told.details["path"]) == ("INVALID_PARAMS", "$.settings.allowedGids")

        assert (await share(owner, allowedUids=[OWNER, OTHER]))["settings"]["allowedUids"] == [
            OWNER,
            OTHER,
        ]
        await share(other, markRead=True)  # what he sees he may change, but for the lists
        assert (
            await refused(other, "session.update", sessionId="a", settings={"allowedUids": None})
        ).code == "FORBIDDEN"
        await share(admin, allowedUids=[])
        assert (await refused(owner, "session.get", sessionId="a")).code == "SESSION_NOT_FOUND"
        await share(admin, allowedUids=None)
        assert (await other.call("session.get", sessionId="a"))["id"] == "a"


async def test_a_taken_id_is_taken_even_if_one_does_not_see_it(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(OTHER) as other:
        await owner.call("session.create", name="Mine", id="mine", settings={"allowedUids": [OWNER]})
        told = await refused(other, "session.create", name="x", id="mine")
        assert (told.code, "Mine" in str(told.details)) == ("SESSION_EXISTS", False)
        assert (await refused(other, "session.get", sessionId="mine")).code == "SESSION_NOT_FOUND"


async def test_a_webhook_for_everything_is_an_admins(daemon: Daemon) -> None:
    async with daemon.as_user(OWNER) as owner, daemon.as_user(ADMIN) as admin:
        told = await refused(owner, "webhook.create", url="http://127.0.0.1:9/")
        assert (told.code, told.details["required"]) == ("FORBIDDEN", "admin")
        assert (await admin.call("webhook.create", url="http://127.0.0.1:9/"))["sessionId"] is None


async def readers(daemon: Daemon, admin: Client, uids: list[int]) -> None:
    """Have these users be the readers."""
    assert daemon.config.file is not None
    text = daemon.config.file.read_text()
    daemon.config.file.write_text(re.sub(r"(?m)^reader = .*$", f"reader = {uids}", text))
    await admin.call("daemon.reloadConfig")


async def created(events: AsyncIterator[dict[str, Any]]) -> str:
    """Listen until a session is created; its id."""
    async for event in events:
        if event["type"] == "session.created":
            return str(event["sessionId"])
    raise AssertionError("the events ended")


async def test_who_loses_the_role_is_told_nothing_more(daemon: Daemon) -> None:
    async with (
        daemon.as_user(READER) as reader,
        daemon.as_user(ADMIN) as admin,
        reader.subscribe() as followed,
    ):
        await readers(daemon, admin, [])
        await admin.call("session.create", name="a", id="a")
        with trio.fail_after(20), pytest.raises(ConnectionLost):
            await created(followed)


async def test_who_gets_the_role_back_misses_nothing(daemon: Daemon) -> None:
    """Who follows learns that it has none, and goes on where it was when it has."""
    async with daemon.as_user(ADMIN) as admin:
        cursor = (await admin.call("events.list"))["latest"]
        daemon.next_is(READER)
        with trio.fail_after(20):
            async with follow(str(daemon.config.rpc.socket)) as followed:
                await readers(daemon, admin, [])
                await admin.call("session.create", name="a", id="a")
                with pytest.raises(RpcError, match="FORBIDDEN"):
                    await created(followed)
            await readers(daemon, admin, [READER])
            async with follow(str(daemon.config.rpc.socket), after=cursor) as followed:
                assert await created(followed) == "a"


async def test_a_session_has_only_so_many_webhooks(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.handlers.webhooks.MOST_OF_A_SESSION", 2)
    async with daemon.as_user(OWNER) as owner:
        for session_id in ("one", "two"):
            await owner.call("session.create", name=session_id, id=session_id)
        hooks = [
            await owner.call("webhook.create", url="http://127.0.0.1:9/", sessionId="one") for _ in range(2)
        ]
        told = await refused(owner, "webhook.create", url="http://127.0.0.1:9/", sessionId="one")
        assert (told.code, "webhook.delete" in told.details["action"]) == ("INVALID_PARAMS", True)
        await owner.call("webhook.create", url="http://127.0.0.1:9/", sessionId="two")
        await owner.call("webhook.delete", webhookId=hooks[0]["id"])
        await owner.call("webhook.create", url="http://127.0.0.1:9/", sessionId="one")


async def test_a_deletion_that_the_disk_refuses_shows_the_session_to_nobody(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        daemon.as_user(ADMIN) as admin,
        daemon.as_user(OWNER) as owner,
        daemon.as_user(OTHER) as other,
    ):
        await owner.call("session.create", name="Hidden", id="hidden", settings={"allowedUids": [OWNER]})
        with monkeypatch.context() as full:
            full.setattr(Store, "write", refused_late)
            told = await refused(admin, "session.delete", sessionId="hidden", backup=False)
        assert told.code == "STORE_FULL"
        assert (await owner.call("session.get", sessionId="hidden"))["name"] == "Hidden"
        assert (await refused(other, "session.get", sessionId="hidden")).code == "SESSION_NOT_FOUND"
        assert (await other.call("session.list"))["total"] == 0
        events = (await other.call("events.list", limit=1000))["events"]
        assert not any(event["sessionId"] == "hidden" for event in events)
        # One of the same id that is everybody's is seen, what the other did is not.
        assert (await admin.call("session.delete", sessionId="hidden", backup=False))["deleted"]
        await owner.call("session.create", name="Open", id="hidden")
        assert (await other.call("session.get", sessionId="hidden"))["name"] == "Open"
        events = (await other.call("events.list", limit=1000))["events"]
        assert [event["type"] for event in events if event["sessionId"] == "hidden"] == ["session.created"]

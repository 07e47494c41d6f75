"""What fuzzers found: requests that once were answered with INTERNAL_ERROR, or did worse."""

from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.errors import RpcError
from supervisors.fleet import Fleet
from tests.daemon.inprocess import LinkedLife, daemon_in
from tests.fuzz.targets import KNOWN

FOUND: list[tuple[str, dict[str, Any], str]] = [
    ("events.list", {"after": 10**400}, "$.after"),
    ("events.subscribe", {"after": 2**64}, "$.after"),
    ("session.list", {"offset": 2**63}, "$.offset"),
    ("message.import", {"sessionId": "shop", "sealed": ["\u202eabc"]}, "$.sealed[0]"),
    (
        "message.send",
        {"sessionId": "shop", "to": "+4915112345678", "image": {"path": "/a\0"}},
        "$.image.path",
    ),
]


async def test_they_are_refused_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", name="shop", id="shop")
        for method, params, path in FOUND:
            with pytest.raises(RpcError) as refusal:
                await client.call(method, params)
            assert (refusal.value.code, refusal.value.details["path"]) == ("INVALID_PARAMS", path), method


async def test_an_id_is_taken_until_all_of_its_session_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion would take the files of the new session with it."""
    at_the_files, go_on = trio.Event(), trio.Event()
    usual = Fleet.remove_files

    async def remove_files(fleet: Fleet, session_id: str) -> None:
        at_the_files.set()
        await go_on.wait()
        await usual(fleet, session_id)

    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", name="shop", id="shop")
        monkeypatch.setattr(Fleet, "remove_files", remove_files)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.call, "session.delete", {"sessionId": "shop", "backup": False})
            await at_the_files.wait()
            with pytest.raises(RpcError, match="being deleted"):
                await client.call("session.create", name="shop", id="shop")
            with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
                await client.call("session.delete", sessionId="shop")
            go_on.set()
        assert (await client.call("session.create", name="shop", id="shop"))["id"] == "shop"


async def test_a_message_whose_session_is_deleted_meanwhile_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:

        class Page:
            async def ask(self, *_: object) -> None:
                await client.call("session.delete", sessionId="shop", backup=False)

        monkeypatch.setattr(LinkedLife, "page", Page())
        await client.call("session.create", name="shop", id="shop")
        await client.call("session.start", sessionId="shop", wait=True)
        await client.call("message.import", sessionId="shop", messages=[KNOWN])
        with pytest.raises(RpcError, match="MESSAGE_NOT_FOUND"):
            await client.call("message.react", sessionId="shop", messageId=KNOWN["id"], emoji="+")

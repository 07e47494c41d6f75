"""What fuzzers found: requests that once were answered with INTERNAL_ERROR."""

from pathlib import Path
from typing import Any

import pytest

from protocol.errors import RpcError
from tests.daemon.inprocess import daemon_in

FOUND: list[tuple[str, dict[str, Any], str]] = [
    ("events.list", {"after": 10**400}, "$.after"),
    ("events.subscribe", {"after": 2**64}, "$.after"),
    ("session.list", {"offset": 2**63}, "$.offset"),
    ("message.import", {"sessionId": "shop", "sealed": ["\u202eabc"]}, "$.sealed[0]"),
]


async def test_they_are_refused_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
        await client.call("session.create", name="shop", id="shop")
        for method, params, path in FOUND:
            with pytest.raises(RpcError) as refusal:
                await client.call(method, params)
            assert (refusal.value.code, refusal.value.details["path"]) == ("INVALID_PARAMS", path), method

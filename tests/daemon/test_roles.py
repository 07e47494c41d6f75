"""Who is not of a role cannot do what needs it: every method, on a whole daemon."""

from pathlib import Path

import pytest

from daemon.access import ROLES, allows
from protocol.errors import RpcError
from protocol.methods import METHODS
from protocol.models import Role
from tests.daemon.inprocess import daemon_in

ACCESS = "[access]\nadmin = [100]\noperator = [200]\nreader = [300]"
UIDS: dict[Role | None, int] = {"admin": 100, "operator": 200, "reader": 300, None: 400}


async def test_every_method_asks_for_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that fit no method: whoever may is told so, whoever may not is told that."""
    async with daemon_in(tmp_path, monkeypatch, ACCESS) as daemon:
        for role, uid in UIDS.items():
            async with daemon.as_user(uid) as client:
                for name, method in METHODS.items():
                    with pytest.raises(RpcError) as refusal:
                        await client.call(name, {"no such": "parameter"})
                    may = name == "daemon.whoami" or allows(role, method.role)
                    assert refusal.value.code == ("INVALID_PARAMS" if may else "FORBIDDEN"), (name, role)
    assert set(ROLES) == {"admin", "operator", "reader"}


async def test_a_reader_cannot_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        daemon_in(tmp_path, monkeypatch, ACCESS) as daemon,
        daemon.as_user(200) as operator,
        daemon.as_user(300) as reader,
    ):
        await operator.call("session.create", name="shop", id="shop")
        message = {"sessionId": "shop", "to": "+4915112345678", "text": "Hello"}
        with pytest.raises(RpcError) as refusal:
            await reader.call("message.send", message)
        assert (refusal.value.code, refusal.value.details["required"]) == ("FORBIDDEN", "operator")
        assert (await reader.call("message.list", sessionId="shop"))["messages"] == []
        assert (await operator.call("message.send", message))["status"] == "queued"

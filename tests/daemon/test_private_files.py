"""Whatever the umask: what the daemon writes is its own user's alone."""

import base64
import os
import stat
from pathlib import Path

import pytest

from tests.daemon.inprocess import daemon_in


async def test_files_are_0600_and_directories_0700(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        async with daemon_in(tmp_path, monkeypatch) as daemon, daemon.as_user(0) as client:
            for name in ("kept", "gone"):
                await client.call("session.create", name=name, id=name)
                await client.call("session.start", sessionId=name, wait=True)
                await client.call(
                    "message.send",
                    sessionId=name,
                    to="+4915112345678",
                    document={"data": base64.b64encode(b"x" * 100_000).decode(), "filename": "..a.txt"},
                )
            await client.call("session.clearAuth", sessionId="kept")
            await client.call("session.delete", sessionId="gone")
            await client.call("daemon.backup")
            looked_at = list((tmp_path / "state").rglob("*"))
            wrong = {
                str(path): oct(path.stat().st_mode & 0o777)
                for path in (tmp_path / "state", *looked_at)
                if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
            }
        assert wrong == {}
        assert any("media" in path.parts for path in looked_at)
        assert len([path for path in looked_at if "backups" in path.parts and path.is_file()]) >= 3
        assert not list(tmp_path.rglob("*a.txt"))
    finally:
        os.umask(before)

"""The files of an export: named by us, downloaded once."""

import base64
import json
from pathlib import Path
from typing import Any

from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, message, session


def test_files_are_saved_once_under_harmless_names(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    contents = {f"K{number}": bytes([number]) * 100 for number in range(4)}
    names = ["a.pdf", "../../x", "/etc/passwd.sh;rm", None]
    listed = [
        message(
            id=f"../{key}",
            key=key,
            type="document",
            media={"mimetype": "application/pdf", "filename": name, "bytes": 100},
            mentions=[],
            details={},
        )
        for key, name in zip(contents, names, strict=True)
    ]

    def download(params: dict[str, Any]) -> dict[str, Any]:
        if params["messageId"] == "K3":
            raise RpcError("PAGE_ERROR")
        data = base64.b64encode(contents[params["messageId"]]).decode()
        return {"mimetype": "application/pdf", "filename": "../y", "data": data}

    daemon.answers |= {
        "session.get": session("Shop", "shop", status="connected"),
        "message.list": lambda params: {
            "messages": listed[2:] if params.get("cursor") else listed[:2],
            "next": None if params.get("cursor") else "more",
        },
        "message.download": download,
    }
    out = tmp_path / "out"
    done = run("export", "shop", "-o", str(out), "--json")
    assert json.loads(done.stdout)["media"] == {"saved": 3, "skipped": 1}
    assert sorted(each.name for each in out.iterdir()) == ["shop.jsonl", "shop.media"]
    saved = sorted((out / "shop.media").iterdir())
    assert {each.read_bytes() for each in saved} == {contents[key] for key in ("K0", "K1", "K2")}
    assert all(each.suffix == ".pdf" and each.stem.isalnum() for each in saved)
    assert {each.stat().st_mode & 0o777 for each in saved} == {0o600}
    header, *lines = map(json.loads, (out / "shop.jsonl").read_text().splitlines())
    assert header["messages"] == 4
    assert [line["key"] for line in lines] == ["K3", "K2", "K1", "K0"]  # the oldest first
    files = [line["mediaFile"] for line in lines]
    assert files[0] is None
    assert [(out / file).read_bytes() for file in files[1:]] == [contents[k] for k in ("K2", "K1", "K0")]

    daemon.requests.clear()
    contents["K3"] = b"now"
    run("export", "shop", "-o", str(out))
    assert [params["messageId"] for params in daemon.asked("message.download")] == ["K3"]


def test_an_export_that_fails_leaves_the_one_before(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.answers |= {"session.get": session("Shop", "shop"), "message.list": RpcError("STORE_FULL")}
    (tmp_path / "shop.jsonl").write_text("before")
    assert run("export", "shop", "-o", str(tmp_path / "shop.jsonl")).returncode == 1
    assert (tmp_path / "shop.jsonl").read_text() == "before"
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


def test_cleanup_asks_on_nothing_but_yes(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers |= {
        "daemon.health": {"sessions": {"connected": 2}, "store": {"messages": 7}},
        "daemon.forceCleanup": {
            "backup": "/b.db",
            "sessions": ["a", "b"],
            "backups": ["/a.tar"],
            "messages": 7,
        },
        "daemon.backup": {"path": "/b.db", "bytes": 4096},
    }
    assert run("force-cleanup").returncode == 2
    assert daemon.asked("daemon.forceCleanup") == []
    done = run("force-cleanup", "--yes")
    assert done.stdout.splitlines() == [
        "2 sessions and 7 messages deleted.",
        "Backup of the store: /b.db",
        "Backup of a session: /a.tar",
    ]
    assert daemon.asked("daemon.forceCleanup") == [{"confirm": True}]
    assert run("backup").stdout == "/b.db (4.0 KiB)\n"

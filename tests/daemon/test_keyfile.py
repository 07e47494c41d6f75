"""The key file: which are taken, and which are refused, with what to do."""

import base64
import os
from pathlib import Path

import pytest

from daemon import keyfile
from daemon.config import ConfigError


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        keyfile.load(path, {})
    return str(refused.value)


def test_a_new_key_is_read_and_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = keyfile.create(path)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert [each.id for each in keyfile.load(path, {})] == [key.id]
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        keyfile.create(path)
    assert path.read_bytes() == before


def test_several_keys_the_first_first(tmp_path: Path) -> None:
    old, new, both = tmp_path / "old", tmp_path / "new", tmp_path / "both"
    keys = [keyfile.create(new), keyfile.create(old)]
    both.touch(0o600)
    both.write_bytes(new.read_bytes() + b"\n" + old.read_bytes() + new.read_bytes())
    assert [each.id for each in keyfile.load(both, {})] == [each.id for each in keys]


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert "No such file" in refusal(path)
    keyfile.create(path)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        assert f"{path} is open to other users" in refusal(path)
    path.chmod(0o400)
    assert len(keyfile.load(path, {})) == 1
    path.chmod(0o600)
    secret = base64.b64encode(bytes(31)).decode()
    path.write_text(f"# a key\n{secret}\n")
    assert f"{path}: line 2 is not a key" in refusal(path)
    assert secret not in refusal(path)
    path.write_text("# nothing\n")
    assert "--new-key" in refusal(path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert "not a regular file" in refusal(fifo)
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keyfile.create(path)
    os.chown(path, 12345, -1)
    assert "belongs to somebody else" in refusal(path)


def test_the_credential_of_systemd(tmp_path: Path) -> None:
    """Readable through an ACL, it shows the group's bits; the configured file comes first."""
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert keyfile.load(None, env) == ()
    assert keyfile.load(None, {}) == ()
    key = keyfile.create(tmp_path / "wasup-key")
    (tmp_path / "wasup-key").chmod(0o440)
    assert [each.id for each in keyfile.load(None, env)] == [key.id]
    other = keyfile.create(tmp_path / "other")
    assert [each.id for each in keyfile.load(tmp_path / "other", env)] == [other.id]
    (tmp_path / "wasup-key").chmod(0o444)
    with pytest.raises(ConfigError, match="open to other users"):
        keyfile.load(None, env)

"""Secrets in files: who may read them, and where systemd puts them."""

import os
from pathlib import Path

import pytest

from daemon.config import ConfigError, parse
from daemon.secret_files import read_secret


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "webhook"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    return path


def test_a_file_of_ones_own_and_a_credential(secret: Path) -> None:
    assert read_secret(str(secret), {}) == "s3cret"
    secret.chmod(0o400)
    assert read_secret("webhook", {"CREDENTIALS_DIRECTORY": str(secret.parent)}) == "s3cret"
    config = parse(f"webhooks.secret_file = '{secret}'", {})
    assert config.webhooks.secret == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_what_others_may_read_is_no_secret(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(ValueError, match="open to other users"):
        read_secret(str(secret), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_what_belongs_to_another_is_refused(secret: Path) -> None:
    os.chown(secret, 65534, 65534)
    with pytest.raises(ValueError, match="belongs to somebody else"):
        read_secret(str(secret), {})


def test_what_is_no_secret_is_told_without_it(secret: Path, tmp_path: Path) -> None:
    for content, said in ((b" \n", "empty"), (b"\xff", "not UTF-8"), (b"s3cret" * 1000, "longer")):
        secret.write_bytes(content)
        with pytest.raises(ValueError, match=said) as refused:
            read_secret(str(secret), {})
        assert "s3cret" not in str(refused.value)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place, said in (("pipe", "not a regular file"), ("none", "No such file")):
        with pytest.raises(ValueError, match=said):
            read_secret(str(tmp_path / place), {})
    with pytest.raises(ValueError, match="LoadCredential"):
        read_secret("webhook", {})


def test_the_configuration_names_the_key(secret: Path) -> None:
    secret.chmod(0o644)
    file = Path("/w.toml")
    with pytest.raises(ConfigError, match=r"/w.toml:1: webhooks.secret_file: .* open to other users"):
        parse(f"webhooks.secret_file = '{secret}'", {}, file=file)
    with pytest.raises(ConfigError, match=r"goes without webhooks\.secret"):
        parse(f"webhooks.secret_file = '{secret}'\nwebhooks.secret = 'x'", {}, file=file)
    with pytest.raises(ConfigError, match="name of a credential"):
        parse("webhooks.secret_file = 'a/b'", {}, file=file)

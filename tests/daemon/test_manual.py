"""The manual pages have all that the programs have, and are read without a warning."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.cli.program import application
from daemon.cli.tree import generated, listed, spaces
from daemon.keys import KEYS
from daemon.manual import PAGES, page


def shown(name: str) -> str:
    """The page's text, without what lays it out."""
    return re.sub(r'\\f[BIR]|^\.\w+ |"', "", page(name), flags=re.MULTILINE).replace(r"\-", "-")


def test_every_command_is_in_the_manual() -> None:
    text = shown("wasupctl.1")
    for name in [one.name for _, one in listed()] + [f"{space} {verb}" for space, verb, _ in generated()]:
        assert re.search(rf"^{name}( |$)", text, re.MULTILINE), name
    for option in (
        "--socket",
        "--json",
        "--no-for-everyone",
        "--as image|video|audio|voice|document|sticker",
    ):
        assert option in text
    assert "Args:" not in text


def test_every_key_is_in_the_manual() -> None:
    text = shown("wasup-config.toml.5")
    for key in KEYS:
        assert re.search(rf"^{key.path.partition('.')[2]}$", text, re.MULTILINE), key.path


def test_every_option_of_the_daemon_is_in_the_manual() -> None:
    for option in ("--config FILE", "--check", "--version", "SIGHUP", "78"):
        assert option in shown("wasupd.8")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_reads_it_without_a_warning(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(page(name), "utf-8")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", str(path)],  # noqa: S607 - whichever there is
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout


def test_every_argument_is_explained() -> None:
    """A help that leaves one out would not be noticed by its author."""
    app = application(spaces())
    for name in [one.name for _, one in listed()]:
        command = app
        for word in name.split():
            command = command[word]
        for argument in command.assemble_argument_collection(parse_docstring=True):
            assert not argument.parse or argument.parameter.help, (name, argument.names)

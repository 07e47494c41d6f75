"""Every command in the documents is run, or a table here says why not; names and links in them are real.

Commands are lines of ```sh blocks, and those after `$ ` in ```console blocks, where the answer is compared.
They run in document order in one checkout, against one daemon (see `shop`). What does not end by itself is
ended after its first word.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec
import pytest
from markdown_it import MarkdownIt

from daemon.config import ConfigError, parse
from protocol.events import EVENT_TYPES
from protocol.methods import METHODS
from tests.docs.shop import REPOSITORY, Shop, hears, line

LIBRARY = REPOSITORY / "supervisors/whatsapp/node_modules/@wppconnect/wa-js/dist"
LANGUAGES = {"sh", "console", "python", "toml", "json", "http", "ini", "yaml", "mermaid", "text"}

# Lines that are not run, and why. Each must be met, or it has to go.
NOT_RUN = {
    r"git (clone|grep) ": "a checkout of git's own; the files are there",
    r"cd wasup": "the checkout is there",
    r"make run\b": "sets up, which takes minutes; the fixture runs the same program",
    r"make( |$|test|docs)": "set-up, the tests themselves, or the examples: targets of their own",
    r"sudo |systemctl |journalctl ": "root and systemd; tests/systemd does it in a machine of its own",
    r"tar -C /var/lib ": "the state of an installed daemon",
    r"npm (view|install) ": "the npm registry",
    r"wasupd --new-key /etc": "writes to /etc; the fixture makes a key elsewhere",
    r"\S*wasupd --config simulator.toml": "the fixture has it running, with the lines that were printed",
    r"\S*python -m tests.simulator serve": "the fixture has it running",
    r"\S*python -m tests.simulator (VERB|scan) ": "the fixture's phone has scanned the code by then",
}
ENDLESS = (".venv/bin/wasupctl watch", "wasupctl watch")
# What stands for a place or a thing of the reader's.
STANDS_FOR = {"/run/wasup/wasup.sock": "$WASUP_SOCKET", "$(seq 20)": "$(seq 3)"}
# Configuration that names what is not on this machine.
NOT_CHECKED = {"/etc/wasup/key", "/opt/wa-js"}


@attrs.frozen
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Every Markdown file of the repository that is for people."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"],  # noqa: S607
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [REPOSITORY / name for name in listed if "openrpc_meta_schema" not in name]


def blocks(*languages: str) -> Iterator[Block]:
    for path in documents():
        for token in MarkdownIt().parse(path.read_text()):
            if token.type in ("fence", "code_block") and (token.info or "none") in (
                languages or {token.info}
            ):
                assert token.map is not None
                yield Block(str(path.relative_to(REPOSITORY)), token.map[0] + 1, token.info, token.content)


def commands(block: Block) -> list[str]:
    """Return the block's commands, continued lines joined; comments are left out."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        return [each[2:] for each in text.splitlines() if each.startswith("$ ")]
    return [each for each in text.splitlines() if each.strip() and not each.startswith("#")]


def reason(command: str) -> str | None:
    """Return why a command is not run, if it is not."""
    return next((pattern for pattern in NOT_RUN if re.match(pattern, command)), None)


def test_every_block_says_what_it_is() -> None:
    """So that no command hides in a block without a language."""
    for path in documents():
        for token in MarkdownIt().parse(path.read_text()):
            if token.type in ("fence", "code_block"):
                where = f"{path.relative_to(REPOSITORY)}:{token.map and token.map[0] + 1}"
                assert token.info in LANGUAGES, f"{where}: {token.info or 'no language'}"


def test_no_reason_is_left_over() -> None:
    met = {reason(command) for block in blocks("sh", "console") for command in commands(block)}
    assert set(NOT_RUN) <= met


RUN = [
    pytest.param(block, id=str(block))
    for block in sorted(blocks("sh", "console", "python"), key=lambda block: block.document != "README.md")
]


@pytest.mark.chrome
@pytest.mark.parametrize("block", RUN)
def test_commands_do_what_is_said(reader: Shop, block: Block) -> None:
    if block.document == "README.md" and "wasupctl create shop" in block.text:
        reader.run("wasupctl", "delete", "shop", "--yes", "--no-backup")  # a reader begins with nothing
    elif block.language == "python" or any(reason(command) is None for command in commands(block)):
        if block.document == "docs/without-a-phone.md" and "create shop" in block.text:
            reader.run("wasupctl", "delete", "shop", "--yes")
        else:
            reader.open()
    if block.language == "python":
        endless = "for event in" in block.text
        path = reader.directory / "block.py"
        path.write_text(block.text)
        _run(reader, f"python {path}", endless)
        return
    answers = [each for each in block.text.splitlines() if not each.startswith("$ ")]
    for command in commands(block):
        if reason(command) is None:
            said = _run(reader, command, command.startswith(ENDLESS))
            if block.language == "console":
                assert _keys(json.loads(said)) == _keys(json.loads(answers[0]))


def _run(reader: Shop, command: str, endless: bool) -> str:
    for theirs, ours in STANDS_FOR.items():
        command = command.replace(theirs, ours)
    if endless:
        heard = threading.Event()

        def write() -> None:  # it may begin to listen at any moment
            while not heard.wait(0.2):
                hears(reader, "Does anybody listen?")

        writer = threading.Thread(target=write)
        with reader.running("bash", "-c", f"exec {command}") as running:
            writer.start()
            try:
                return line(running)
            finally:
                heard.set()
                writer.join()
    done = reader.run("bash", "-ec", command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def _keys(value: object) -> object:
    return {key: _keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in blocks("toml")])
def test_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    try:
        parse(block.text, {"HOME": str(tmp_path)})
    except ConfigError as error:
        if not any(place in block.text and place in str(error) for place in NOT_CHECKED):
            raise


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in blocks("json")])
def test_json_is_json(block: Block) -> None:
    msgspec.json.decode(block.text)


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]*)(#[^)\s]*)?\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in documents()])
def test_links_lead_somewhere(path: Path) -> None:
    for found in LINK.finditer(re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)):
        target, anchor, picture = found.groups()
        if (target or picture or "").startswith(("http:", "https:")):
            continue
        there = (path.parent / (picture or target)).resolve() if picture or target else path
        assert there.exists(), found.group()
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert anchor[1:] in {_anchor(heading) for heading in headings}, found.group()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("other", ["wwebjs-api", "waha"])
def test_every_route_stands_in_the_comparison(other: str) -> None:
    page = (REPOSITORY / "docs/comparison.md").read_text()
    routes = (Path(__file__).parent / f"routes/{other}.txt").read_text().splitlines()
    assert [route for route in routes if f"`{route}`" not in page] == []


def test_no_cell_of_the_comparison_is_empty() -> None:
    for row in _rows("comparison"):
        assert len(row) == 4, row
        assert all(row), row


@pytest.mark.parametrize("page", ["comparison", "migration"])
def test_methods_events_and_functions_in_tables_exist(page: str) -> None:
    known = {*METHODS, *EVENT_TYPES}
    spaces = {name.partition(".")[0] for name in known}
    for row in _rows(page):
        ours = row[-1] if page == "comparison" else row[1]
        for called in re.findall(r"call ((?:`[\w.]+`(?:, )?)+)", ours):
            for function in re.findall(r"`([\w.]+)`", called):
                module, _, name = function.partition(".")
                assert (LIBRARY / module / "functions" / f"{name}.d.ts").exists(), function
        for name in re.findall(r"`(\w+\.\w+)`", re.sub(r"call (?:`[\w.]+`(?:, )?)+", "", ours)):
            if name.partition(".")[0] in spaces and not name.startswith("connectionInfo"):
                assert name in known, name


def _rows(page: str) -> Iterator[list[str]]:
    for text in (REPOSITORY / f"docs/{page}.md").read_text().splitlines():
        if text.startswith("| ") and not text.startswith(("|---", "| what |", "| there |", "| REST |")):
            yield [cell.strip() for cell in text.strip("|").split("|")]


def test_commands_in_the_text_exist() -> None:
    """What is written as `wasupctl …` within sentences and tables begins with a command that there is."""
    offered = subprocess.run(
        [Path(sys.executable).with_name("wasupctl"), "__complete", "--", ""],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    known = {each.split("\t")[0] for each in offered.splitlines()}
    for path in documents():
        for name in re.findall(r"`(?:\.venv/bin/)?wasupctl ([a-z][a-z-]*)", path.read_text()):
            assert name in known, f"{path.name}: wasupctl {name}"

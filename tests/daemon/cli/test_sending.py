"""What a message can carry, as it is typed; and many messages from a file."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.program import run as wasupctl
from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Params, Sessions, message, session
from .terminal import Terminal

PICTURE = b"\x89PNG picture"


@pytest.fixture(autouse=True)
def _here(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Sessions(daemon, session("shop", "s1", status="connected"))
    daemon.answers["message.send"] = message()
    monkeypatch.setenv("WASUP_SOCKET", str(daemon.path))
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(PICTURE)
    Path("a.ogg").write_bytes(b"voice")
    Path("a.pdf").write_bytes(b"paper")


def file(data: bytes, name: str, **more: Any) -> Params:
    return {"data": base64.b64encode(data).decode(), "filename": name, **more}


@pytest.mark.parametrize(
    ("argv", "content"),
    [
        (["--file", "a.png", "Look", "here"], {"image": file(PICTURE, "a.png", caption="Look here")}),
        (["--file", "a.pdf"], {"document": file(b"paper", "a.pdf")}),
        (["--file", "a.png", "--as", "document"], {"document": file(PICTURE, "a.png")}),
        (["--file", "a.ogg", "--as", "voice"], {"audio": file(b"voice", "a.ogg", ptt=True)}),
        (["--file", "a.png", "--as", "sticker"], {"sticker": file(PICTURE, "a.png")}),
        (
            ["--location", "52.52,13.4", "Town", "hall"],
            {"location": {"latitude": 52.52, "longitude": 13.4, "name": "Town hall"}},
        ),
        (["--location=-52.5,-13"], {"location": {"latitude": -52.5, "longitude": -13.0}}),
        (["--contact", "Ada L=+49170"], {"contact": [{"name": "Ada L", "phoneNumber": "+49170"}]}),
        (
            ["--poll", "When?", "--option", "now", "--option", "later", "--multiple"],
            {"poll": {"question": "When?", "options": ["now", "later"], "multiple": True}},
        ),
        (["--react", "3EB0", "👍"], {"reaction": {"messageId": "3EB0", "emoji": "👍"}}),
        (["--react", "3EB0"], {"reaction": {"messageId": "3EB0", "emoji": ""}}),
        (
            ["hi", "@49171", "--quote", "3EB0", "--mention", "49171"],
            {"text": "hi @49171", "quotedMessageId": "3EB0", "mentions": ["49171"]},
        ),
    ],
)
def test_every_kind_of_content(daemon: FakeDaemon, argv: list[str], content: Params) -> None:
    assert wasupctl(["send", "shop", "+49170", *argv]) == 0
    (sent,) = daemon.asked("message.send")
    assert sent == {"sessionId": "s1", "to": "+49170", "wait": "queued", "timeout": 60, **content}


def test_a_file_from_stdin(run: Run, daemon: FakeDaemon) -> None:
    assert (
        run("send", "shop", "+49170", "--file", "-", "--as", "image", "Look", stdin="bytes").returncode == 0
    )
    (sent,) = daemon.asked("message.send")
    assert sent["image"] == {"data": base64.b64encode(b"bytes").decode(), "caption": "Look"}


def test_a_tag_in_the_place_of_a_session(daemon: FakeDaemon) -> None:
    assert wasupctl(["send", "tag:berlin", "+49170", "hi"]) == 0
    (sent,) = daemon.asked("message.send")
    assert (sent["tag"], "sessionId" in sent) == ("berlin", False)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "The text is empty."),
        (["--file", "a.png", "--poll", "x"], "Give one of --file and --poll"),
        (["--option", "x"], "give --poll QUESTION"),
        (["--as", "image", "x"], "give --file"),
        (["--location", "Berlin"], "LATITUDE,LONGITUDE"),
        (["--contact", "Ada"], "NAME=NUMBER"),
        (["--poll", "x", "--option", "a", "text"], "A poll has no text"),
        (["--file", "missing.png"], "missing.png cannot be read: No such file"),
    ],
)
def test_what_makes_no_message_is_not_sent(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], argv: list[str], told: str
) -> None:
    assert wasupctl(["send", "shop", "+49170", *argv]) in (1, 2)
    assert told in capsys.readouterr().err
    assert daemon.asked("message.send") == []


# -- many

CSV = 'to,name,text\n+4917000001,Ada,Hello\n+4917000002,Grace,"Two\nlines"\n+4917000001,Ada,Again\n'


class Queue:
    """Accepts as the daemon does: a key is one message, and no other."""

    def __init__(self) -> None:
        self.kept: dict[str, Params] = {}
        self.refusals: list[RpcError] = []

    def __call__(self, params: Params) -> Params:
        if self.refusals:
            raise self.refusals.pop(0)
        key = params["idempotencyKey"]
        if key in self.kept and self.kept[key] != params:
            raise RpcError("IDEMPOTENCY_CONFLICT")
        self.kept[key] = params
        return message()

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(one["to"], one.get("text", "")) for one in self.kept.values()]


@pytest.fixture
def queue(daemon: FakeDaemon) -> Queue:
    queue = Queue()
    daemon.answers["message.send"] = queue
    Path("people.csv").write_text(CSV)
    return queue


def test_each_row_is_sent_once_however_often(queue: Queue, run: Run) -> None:
    done = run("send-many", "shop", "people.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 accepted.\n", "")
    assert queue.said == [("+4917000001", "Hello"), ("+4917000002", "Two\nlines"), ("+4917000001", "Again")]
    # Rows may be added and moved about: only what is new is sent.
    first, *rest = CSV.splitlines(keepends=True)
    Path("people.csv").write_text(first + "+4917000003,Eve,Hi\n" + "".join(rest))
    assert json.loads(run("send-many", "shop", "people.csv", "--json").stdout)["accepted"] == 4
    assert len(queue.kept) == 4


def test_a_template_takes_columns(queue: Queue, run: Run) -> None:
    assert run("send-many", "shop", "people.csv", "--text", "Dear {name}, {{!}}").returncode == 0
    assert queue.said[:2] == [("+4917000001", "Dear Ada, {!}"), ("+4917000002", "Dear Grace, {!}")]


def test_another_text_for_the_same_people_needs_another_campaign(queue: Queue, run: Run) -> None:
    assert run("send-many", "shop", "people.csv").returncode == 0
    refused = run("send-many", "shop", "people.csv", "--text", "News")
    assert (refused.returncode, refused.stdout) == (1, "0 accepted, 3 refused.\n")
    assert "line 2, +4917000001: IDEMPOTENCY_CONFLICT" in refused.stderr
    assert "give --campaign for a new one" in refused.stderr
    assert run("send-many", "shop", "people.csv", "--text", "News", "--campaign", "may").returncode == 0
    assert len(queue.kept) == 6


def test_a_full_queue_is_waited_for_and_one_bad_row_does_not_stop_the_rest(queue: Queue, run: Run) -> None:
    queue.refusals = [
        RpcError("QUEUE_FULL", retryAfter=0),
        RpcError("RATE_LIMITED", retryAfter=0.01),
        RpcError("MEDIA_TOO_LARGE"),
    ]
    done = run("send-many", "shop", "people.csv", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["rows"], answer["accepted"]) == (3, 2)
    assert [(one["line"], one["error"]["data"]["code"]) for one in answer["refused"]] == [
        (2, "MEDIA_TOO_LARGE")
    ]


def test_what_no_row_would_escape_ends_it_and_says_what_is_left(queue: Queue, run: Run) -> None:
    queue.refusals = [RpcError("STORE_FULL")]
    done = run("send-many", "shop", "people.csv")
    assert (done.returncode, done.stdout) == (1, "0 accepted, 3 left: repeat the command to go on.\n")
    assert "STORE_FULL" in done.stderr


def test_a_daemon_that_restarts_in_between_is_waited_for(queue: Queue, daemon: FakeDaemon, run: Run) -> None:
    def once(params: Params) -> Params:
        answer = queue(params)
        daemon.answers["message.send"] = queue
        for connection in daemon.connections:
            connection.close()  # before it is answered: whether it was accepted is not known
        return answer

    daemon.answers["message.send"] = once
    assert run("send-many", "shop", "people.csv").stdout == "3 accepted.\n"
    assert len(queue.kept) == 3


@pytest.mark.parametrize(
    ("content", "more", "told"),
    [
        ("name\nAda\n", [], "must name a column to"),
        ("to,name\n49170,Ada\n", [], "has no column text"),
        ("to,text\n49170,hi\nnobody,hi\n", [], "line 3"),
        ("to,text\n49170\n", [], "line 2: not as many cells"),
        ("to,text\n49170,\n", [], "line 2: the text is empty"),
        ("to,text\n49170,hi\n", ["--text", "{who}"], 'no column "who"'),
        ("to,text\n49170,hi\n", ["--text", "{"], "two braces stand for one"),
    ],
)
def test_the_whole_file_is_checked_before_anything_is_sent(
    queue: Queue, capsys: pytest.CaptureFixture[str], content: str, more: list[str], told: str
) -> None:
    Path("people.csv").write_text(content)
    assert wasupctl(["send-many", "shop", "people.csv", *more]) == 2
    assert told in capsys.readouterr().err
    assert queue.kept == {}


def test_a_dry_run_sends_nothing(queue: Queue, run: Run) -> None:
    done = run("send-many", "shop", "people.csv", "--text", "Hi {name}", "--dry-run")
    assert done.stdout.splitlines()[:2] == ["+4917000001 Hi Ada", "+4917000002 Hi Grace"]
    assert queue.kept == {}


def test_a_terminal_has_a_bar(queue: Queue, env: dict[str, str]) -> None:
    with Terminal(["send-many", "shop", str(Path("people.csv").resolve())], env, columns=80) as terminal:
        terminal.screen.write = lambda text: shown.append(text)  # type: ignore[method-assign]
        shown: list[str] = []
        assert terminal.end() == 0
    assert "3/3" in "".join(shown)
    assert "3 accepted." in "".join(shown)

"""Each program of examples/ is run against the daemon, where its language is on the machine."""

import csv
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from protocol.client.blocking import Client
from tests.docs.shop import Shop, hears, line, said
from tests.system.conftest import ADA, GRACE

pytestmark = pytest.mark.chrome
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # the specification's own example


@pytest.fixture(autouse=True)
def connected(reader: Shop) -> None:
    reader.open()


def test_every_example_is_named_here_and_in_the_readme() -> None:
    examples = Path(__file__).parents[2] / "examples"
    here, readme = Path(__file__).read_text(), (examples / "README.md").read_text()
    for path in examples.glob("*/*.*"):
        name = str(path.relative_to(examples))
        assert f"({name})" in readme
        assert f"examples/{name}" in here


def echoes(reader: Shop, *command: str) -> None:
    """A bot answers what comes, once, and goes on when it is started again."""
    with reader.running(*command) as bot:
        line(bot, lambda text: text == "following")
        for text in ("Anybody there?", "Hello!"):
            hears(reader, f"{text} {command[0]}")
            with reader.client() as client:
                awaited(client, f"{text} {command[0]}")
    assert said(reader).count(f"Hello! {command[0]}") == 1


def awaited(client: Client, text: str) -> None:
    """Return when a message with this text has gone out."""
    for event in client.events(types=["message.sent"], after=0):
        if event["data"]["message"]["text"] == text:
            return


def test_the_echo_bot_in_python(reader: Shop, tmp_path: Path) -> None:
    place = str(tmp_path / "place")
    echoes(reader, "python", "examples/python/echo_bot.py", "shop", place)
    hears(reader, "Written while the bot was away")
    with reader.running("python", "examples/python/echo_bot.py", "shop", place), reader.client() as client:
        awaited(client, "Written while the bot was away")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not on this machine")
def test_the_echo_bot_in_node(reader: Shop) -> None:
    echoes(reader, "node", "examples/node/echo_bot.mjs", str(reader.socket), "shop")


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not on this machine")
def test_the_echo_bot_in_go(reader: Shop, tmp_path: Path) -> None:
    built = reader.run("go", "build", "-o", str(tmp_path / "bot"), "examples/go/main.go")
    assert built.returncode == 0, built.stderr
    echoes(reader, str(tmp_path / "bot"), str(reader.socket), "shop")


def test_the_shell_scripts(reader: Shop) -> None:
    sent = reader.run("examples/shell/send.sh", str(reader.socket), "shop", ADA, 'It\'s "ready".')
    assert sent.returncode == 0, sent.stderr
    with reader.client() as client:
        message = client.call("message.get", sessionId="shop", messageId=sent.stdout.strip())
        assert message["text"] == 'It\'s "ready".'
    refused = reader.run("examples/shell/send.sh", str(reader.socket), "nobody", ADA, "Hello")
    assert refused.returncode != 0
    assert "SESSION_NOT_FOUND" in refused.stderr
    with reader.client() as client:
        after = str(client.call("events.list", limit=1)["latest"])
    hears(reader, "Is it you?")
    with reader.running("sh", "examples/shell/received.sh", str(reader.socket), "shop", after) as listener:
        assert json.loads(line(listener))["text"] == "Is it you?"


def test_the_campaign_goes_on_where_it_stopped(reader: Shop, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(f"number,text\n{ADA},Dear Ada\n{GRACE},Dear Grace\n+4915119999999,Dear nobody\n")
    command = ("python", "examples/python/campaign.py", "shop", str(people), "--per-minute", "6000")
    ran = reader.run(*command)
    assert ran.returncode == 0, ran.stderr
    done = people.with_name("people.csv.done")
    outcomes = [row[2] for row in csv.reader(done.read_text().splitlines())]
    assert outcomes == ["sent", "sent", "RECIPIENT_NOT_FOUND"]
    done.write_text(done.read_text().splitlines(keepends=True)[0])  # it was stopped before it noted the rest
    assert reader.run(*command).returncode == 0
    assert said(reader).count("Dear Grace") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("python", "examples/python/webhook_receiver.py", "0"),
        pytest.param(
            ("node", "examples/node/webhook_receiver.mjs", "0"),
            marks=pytest.mark.skipif(shutil.which("node") is None, reason="Node is not on this machine"),
        ),
    ],
)
def test_the_webhook_receivers(reader: Shop, command: tuple[str, ...]) -> None:
    with reader.running(*command, WEBHOOK_SECRET=SECRET) as receiver, reader.client() as client:
        url = f"http://127.0.0.1:{line(receiver).rpartition(' ')[2]}/"
        hook = client.call(
            "webhook.create", url=url, sessionId="shop", events=["message.received"], secret=SECRET
        )
        hears(reader, "For the receiver")
        assert line(receiver) == "message.received shop"
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(url, b"{}", {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"})
        client.call("webhook.delete", webhookId=hook["id"])


def test_the_alert_bridge_tells_an_alert_once(reader: Shop) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "DiskFull"},
        "annotations": {"summary": "2 % left on /"},
        "fingerprint": "c0ffee",
        "startsAt": "2026-11-21T10:00:00Z",
    }
    with reader.running("python", "examples/python/alert_bridge.py", "shop", "0", ADA) as bridge:
        url = f"http://127.0.0.1:{line(bridge).rpartition(' ')[2]}/"
        for _ in range(2):  # Alertmanager repeats itself
            assert post(url, json.dumps({"alerts": [alert]}).encode()) == 204
    with reader.client() as client:
        awaited(client, "🔥 DiskFull firing. 2 % left on /")
    assert said(reader).count("🔥 DiskFull firing. 2 % left on /") == 1
    with reader.running("python", "examples/python/alert_bridge.py", "nobody", "0", ADA) as bridge:
        url = f"http://127.0.0.1:{line(bridge).rpartition(' ')[2]}/"
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(url, json.dumps({"alerts": [alert]}).encode())


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> int:
    """POST to a program of this machine; its status."""
    request = urllib.request.Request(url, body, headers or {}, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return int(answer.status)

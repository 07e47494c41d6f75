"""Webhooks from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import RpcError

from .conftest import Run
from .fake import FakeDaemon, Sessions, session
from .terminal import Terminal

ID = "wh_0123456789abcdef01234567"


def hook(**fields: Any) -> dict[str, Any]:
    """A webhook as the daemon answers it."""
    return {
        "id": ID,
        "source": "api",
        "sessionId": None,
        "url": "https://shop.example/hook?…",
        "events": [],
        "headers": [],
        "signed": True,
        "createdAt": "2026-11-20T10:00:00.000Z",
        "cursor": 5,
        "lag": 2,
        "lastDeliveredAt": None,
        "failingSince": None,
        "nextAttemptAt": None,
        "lastError": None,
        "disabledReason": None,
        "deadLetters": 0,
        **fields,
    }


def letter(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "webhookId": ID,
        "seq": 10 + number,
        "upto": 10 + number,
        "sessionId": "s1",
        "type": "message.received",
        "givenUpAt": "2026-11-21T10:00:00.000Z",
        "attempts": 9,
        "error": "500 no\x1b[2J",
    }


class Hooks:
    """The answers of webhook.*, over lists that the test owns."""

    def __init__(self, daemon: FakeDaemon, *hooks: dict[str, Any]) -> None:
        self.all = list(hooks)
        self.letters: list[dict[str, Any]] = []
        self.refused = 0
        daemon.answers |= {"webhook.list": self._list, "webhook.replay": self._replay}

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        wanted = [each for each in self.all if params.get("webhookId") in (None, each["id"])]
        offset = params.get("offset", 0)
        page = wanted[offset : offset + params["limit"]]
        return {"webhooks": page, "deadLetters": self.letters[::-1], "total": len(wanted)}

    def _replay(self, params: dict[str, Any]) -> dict[str, Any]:
        number = params.get("deadLetterId")
        attempt = None
        if number == 13:
            raise RpcError("CURSOR_EXPIRED", "The event is no longer in the log", oldest=99)
        if number is not None:
            taken = number != self.refused
            attempt = {
                "delivered": taken,
                "status": 204 if taken else 500,
                "error": "500 no",
                "durationMs": 7,
            }
            if taken:
                self.letters = [each for each in self.letters if each["id"] != number]
        return {"webhook": self.all[0], "attempt": attempt}


def test_create(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    Sessions(daemon, session("shop", "s1"))
    daemon.answers["webhook.create"] = hook()
    secret = tmp_path / "secret"
    secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    done = run(
        *("webhook", "create", "https://shop.example/hook", "--session", "shop"),
        *("--event", "message.received", "--event", "session.status", "--secret-file", str(secret)),
        *("--header", "Authorization: Bearer a:b"),
    )
    assert (done.returncode, done.stdout) == (0, f"{ID}\n")
    assert "not signed" not in done.stderr
    assert daemon.asked("webhook.create") == [
        {
            "url": "https://shop.example/hook",
            "sessionId": "s1",
            "events": ["message.received", "session.status"],
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "headers": {"Authorization": "Bearer a:b"},
        }
    ]


def test_a_secret_comes_from_stdin_or_is_made(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["webhook.create"] = hook()
    run("webhook", "create", "https://shop.example", "--secret-file", "-", stdin="mine\n")
    done = run("webhook", "create", "https://shop.example", "--new-secret")
    given, made = (params["secret"] for params in daemon.asked("webhook.create"))
    assert given == "mine"
    assert made.startswith("whsec_")
    assert done.stdout == f"{ID}\n{made}\n"
    shown = json.loads(run("--json", "webhook", "create", "https://shop.example", "--new-secret").stdout)
    assert shown["secret"] == daemon.asked("webhook.create")[-1]["secret"]


def test_a_webhook_without_a_secret_is_told_to_be_unsigned(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["webhook.create"] = hook(signed=False)
    assert "not signed" in run("webhook", "create", "https://shop.example").stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["create"],
        ["create", "https://x.example", "--header", "nothing"],
        ["create", "https://x.example", "--new-secret", "--secret-file", "-"],
        ["create", "https://x.example", "--secret-file", "-"],
        ["replay", "wh_1", "--after", "3", "--dead-letters"],
        ["delte"],
    ],
)
def test_bad_usage_asks_nothing(run: Run, daemon: FakeDaemon, argv: list[str]) -> None:
    done = run("webhook", *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert daemon.requests == []


def test_without_a_command_help_names_them(run: Run) -> None:
    shown = run("webhook", "--help").stdout
    for word in ("create", "list", "show", "test", "replay", "delete"):
        assert word in shown


def test_a_list_fits_into_80_columns(env: dict[str, str], run: Run, daemon: FakeDaemon) -> None:
    failing = hook(
        id="session:a-long-name-of-a-session",
        source="session",
        sessionId="a-long-name-of-a-session",
        url="https://a-very-long-name.of-a-shop.example/with/a/long/path/that/goes/on",
        failingSince="2026-11-21T10:00:00.000Z",
        lag=123456,
        deadLetters=9999,
    )
    Hooks(daemon, hook(), failing, hook(id="config", source="config", disabledReason="410"))
    plain = run("webhook", "list").stdout.splitlines()
    assert plain[0].split() == ["ID", "SESSION", "STATE", "LAG", "DEAD", "URL"]
    assert plain[1].split() == [ID, "(all)", "ok", "2", "0", "https://shop.example/hook?…"]
    assert plain[2].split()[2:5] == ["failing", "123456", "9999"]
    assert "disabled" in plain[3]
    with Terminal(["webhook", "list"], env, columns=80, lines=24) as terminal:
        assert terminal.end() == 0
        assert len(terminal.screen.text().splitlines()) == 4
    assert json.loads(run("webhook", "list", "--json").stdout)["total"] == 3


def test_show_tells_what_fails_and_what_was_given_up(run: Run, daemon: FakeDaemon) -> None:
    hooks = Hooks(
        daemon,
        hook(failingSince="2026-11-21T10:00:00.000Z", lastError="500 no", deadLetters=1, headers=["X-A"]),
    )
    hooks.letters = [letter(4)]
    shown = run("webhook", "show", "wh_0").stdout
    for text in ("State: failing", "2026-11-21 10:00:00: 500 no", "Headers: X-A", "5, 2 events behind"):
        assert text in shown
    assert shown.splitlines()[-1].split() == [
        *("4", "2026-11-21", "10:00:00", "14", "s1", "message.received", "500", r"no\x1b[2J"),
    ]


def test_which_webhook_is_meant(run: Run, daemon: FakeDaemon) -> None:
    Hooks(daemon, hook(), hook(id="wh_02"), hook(id="wh_0"))
    assert run("webhook", "show", "wh_0").stdout.splitlines()[0].split() == ["Id:", "wh_0"]
    assert "begin with" in run("webhook", "show", "wh_").stderr
    assert run("webhook", "show", "nothing").returncode == 1


def test_test_tells_how_it_went(run: Run, daemon: FakeDaemon) -> None:
    Hooks(daemon, hook())
    daemon.answers["webhook.test"] = {"delivered": True, "status": 204, "error": None, "durationMs": 12}
    assert run("webhook", "test", ID).stdout == f"{ID}: delivered, 204 in 12 ms.\n"
    refused = {"delivered": False, "status": 500, "error": "500 no", "durationMs": 12}
    daemon.answers["webhook.test"] = refused
    done = run("webhook", "test", ID)
    assert (done.returncode, done.stdout) == (1, "")
    assert "500 no" in done.stderr
    done = run("webhook", "test", ID, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, refused)


def test_replay(run: Run, daemon: FakeDaemon) -> None:
    hooks = Hooks(daemon, hook())
    assert run("webhook", "replay", "wh_").stdout == f"{ID}: tries what is waiting.\n"
    assert run("webhook", "replay", "wh_", "--after", "0").stdout == f"{ID}: begins again after 0.\n"
    assert run("webhook", "replay", "wh_", "--dead-letter", "4").stdout.endswith("delivered, 204 in 7 ms.\n")
    assert [params.get("after") for params in daemon.asked("webhook.replay")] == [None, 0, None]
    hooks.letters = [letter(number) for number in (11, 12, 13, 14)]
    daemon.requests.clear()
    done = run("webhook", "replay", "wh_", "--dead-letters", "--json")
    assert json.loads(done.stdout) == {"sent": 3, "expired": 1, "error": None}
    assert "no longer in the log" in done.stderr
    assert [params["deadLetterId"] for params in daemon.asked("webhook.replay")] == [11, 12, 13, 14]


def test_dead_letters_are_sent_until_one_is_not_taken(run: Run, daemon: FakeDaemon) -> None:
    hooks = Hooks(daemon, hook())
    hooks.letters = [letter(number) for number in (1, 2, 3)]
    hooks.refused = 2
    done = run("webhook", "replay", "wh_", "--dead-letters")
    assert (done.returncode, done.stdout) == (1, f"{ID}: 1 dead letters delivered.\n")
    assert "500 no" in done.stderr
    assert len(hooks.letters) == 2


def test_delete_asks_first(run: Run, daemon: FakeDaemon) -> None:
    Hooks(daemon, hook())
    daemon.answers["webhook.delete"] = {"deleted": True}
    assert run("webhook", "delete", "wh_").returncode == 2
    assert daemon.asked("webhook.delete") == []
    assert run("webhook", "delete", "wh_", "--yes").stdout == f"{ID}: deleted.\n"
    assert daemon.asked("webhook.delete") == [{"webhookId": ID}]

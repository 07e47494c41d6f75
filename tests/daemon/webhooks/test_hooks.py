"""The whole daemon in this process, its clients, and receivers on loopback."""

import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from standardwebhooks import Webhook

from daemon import logs, main
from daemon.config import load, parse
from daemon.store import EventLog
from daemon.store import webhooks as table
from daemon.webhooks import schedule
from daemon.webhooks.delivery import Delivery
from protocol.client.aio import Client, connect
from protocol.errors import RpcError

from .receiver import Answer, Receiver, Request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  the specification's example
OTHER = "a passphrase of our own"
TOKEN = "Bearer t0ken-of-the-shop"  # noqa: S105


SECRETS = (SECRET, SECRET[6:], OTHER, "passphrase", TOKEN, "t0ken", "n0t-base64")


class Daemon:
    """A daemon that can be started again; `config` is what its file says beside the usual."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = ""
        self.log = io.StringIO()

    def write(self) -> Path:
        """Write the file; gives its path."""
        text = f"""
            daemon.state_dir = "{self.directory}/state"
            rpc.socket = "{self.directory}/wasup.sock"
            log.format = "json"
        """
        path = self.directory / "config.toml"
        path.write_text(text + self.config)
        return path

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Client]:
        config = load(self.write(), {})
        async with trio.open_nursery() as nursery:
            await nursery.start(main.run, config)
            async with connect(str(config.rpc.socket)) as client:
                yield client
                await client.call("daemon.shutdown")


class Changes:
    """Told whenever a webhook may stand elsewhere than before."""

    def __init__(self) -> None:
        self.next = trio.Event()

    def watch(self, monkeypatch: pytest.MonkeyPatch, of: type, name: str) -> None:
        """Have the method tell."""
        method = getattr(of, name)

        def telling(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self.next.set()
            self.next = trio.Event()
            return result

        monkeypatch.setattr(of, name, telling)


CHANGES = Changes()


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    CHANGES.watch(monkeypatch, Delivery, "_save")
    CHANGES.watch(monkeypatch, EventLog, "publish")
    CHANGES.watch(monkeypatch, EventLog, "park")


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    async def no_browser(_fleet: object) -> None:
        pass

    monkeypatch.setattr("daemon.main._look_for_browser", no_browser)
    monkeypatch.setattr(schedule, "FIRST_S", 0.02)
    monkeypatch.setattr(schedule, "LONGEST_S", 0.05)
    made = Daemon(tmp_path)
    logs.configure("debug", "json", made.log)
    yield made
    for secret in SECRETS:
        assert secret not in made.log.getvalue()


async def events_of(client: Client, **where: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await client.call("events.list", {"limit": 1000, **where}))["events"]
    return events


async def touch(client: Client, session_id: str, times: int = 1) -> None:
    for number in range(times):
        await client.call("session.update", {"sessionId": session_id, "name": f"name {number}"})


async def listed(client: Client, **where: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await client.call("webhook.list", where)
    return answer


async def only(client: Client, **where: Any) -> dict[str, Any]:
    (hook,) = (await listed(client, **where))["webhooks"]
    found: dict[str, Any] = hook
    return found


async def caught_up(client: Client, **where: Any) -> None:
    """Wait until every webhook has been told of everything."""
    await until(client, lambda hooks: not any(hook["lag"] for hook in hooks), **where)


async def until(client: Client, condition: Callable[[list[dict[str, Any]]], object], **where: Any) -> None:
    """Wait until the webhooks are as they should be."""
    with trio.fail_after(20):
        while True:
            change = CHANGES.next
            if condition((await listed(client, **where))["webhooks"]):
                return
            await change.wait()


def failing(times: int, status: int = 500) -> Callable[[Request], Answer]:
    left = [times]

    def answer(_request: Request) -> Answer:
        left[0] -= 1
        return Answer(204 if left[0] < 0 else status)

    return answer


async def test_of_the_configuration_of_a_session_and_of_the_api(daemon: Daemon) -> None:
    """Each gets what it wants, as events.list gives it, signed with its own secret."""
    everything, of_shop, of_desk = Receiver(), Receiver(), Receiver()
    async with everything.serve() as one, of_shop.serve() as two, of_desk.serve() as three:
        daemon.config = f"""
            webhooks.url = "{one}/all?key=1"
            webhooks.secret = "{OTHER.split()[0]}"
        """
        async with daemon.run() as client:
            settings = {"webhookUrl": f"{two}/shop", "webhookSecret": SECRET}
            await client.call("session.create", {"name": "S", "id": "shop", "settings": settings})
            await client.call("session.create", {"name": "D", "id": "desk"})
            made = await client.call(
                "webhook.create",
                {
                    "url": f"{three}/desk",
                    "sessionId": "desk",
                    "events": ["session.updated"],
                    "headers": {"Authorization": TOKEN, "X-Shop": "7"},
                },
            )
            await touch(client, "shop", 3)
            await touch(client, "desk", 3)
            await caught_up(client)
            logged = await events_of(client)
            hooks = (await listed(client))["webhooks"]
            assert [hook["id"] for hook in hooks] == ["config", "session:shop", made["id"]]
            assert [hook["source"] for hook in hooks] == ["config", "session", "api"]
            assert [hook["url"] for hook in hooks] == [f"{one}/all?…", f"{two}/shop", f"{three}/desk"]
            assert [hook["signed"] for hook in hooks] == [True, True, False]
            assert hooks[2]["headers"] == ["Authorization", "X-Shop"]
            assert {hook["cursor"] for hook in hooks} == {logged[-1]["seq"]}
            assert (await only(client, sessionId="desk"))["id"] == made["id"]
            assert (await listed(client, limit=1, offset=1))["total"] == 3
    by_seq = sorted((request.event for request in everything.requests), key=lambda event: event["seq"])
    assert by_seq[: len(logged)] == logged
    assert logged[0]["type"] == "daemon.started"
    assert [request.event for request in of_shop.requests] == [
        event for event in logged if event["sessionId"] == "shop"
    ]
    assert [request.event["type"] for request in of_desk.requests] == ["session.updated"] * 3
    assert {request.path for request in everything.requests} == {"/all?key=1"}
    assert {request.headers["authorization"] for request in of_desk.requests} == {TOKEN}
    for request in of_shop.requests:
        Webhook(SECRET).verify(request.body, request.headers)
    for request in everything.requests:
        Webhook(OTHER.split()[0].encode()).verify(request.body, request.headers)


async def test_no_secret_is_told(daemon: Daemon) -> None:
    """Neither in results nor in the log, whatever a receiver says of what it got."""
    receiver = Receiver(
        lambda request: Answer(500, body=json.dumps({"headers": request.headers, "s": SECRET}).encode())
    )
    told = ""
    async with receiver.serve() as url, daemon.run() as client:
        settings = {"webhookUrl": f"{url}/shop", "webhookSecret": SECRET}
        for method, params in (
            ("session.create", {"name": "S", "id": "shop", "settings": settings}),
            ("webhook.create", {"url": url, "secret": OTHER, "headers": {"Authorization": TOKEN}}),
            ("session.get", {"sessionId": "shop"}),
            ("webhook.test", {"webhookId": "session:shop"}),
            ("webhook.replay", {"webhookId": "session:shop", "after": 0}),
            ("webhook.create", {"url": url, "secret": "whsec_n0t-base64!"}),
            ("daemon.health", {}),
            ("events.list", {}),
        ):
            try:
                told += json.dumps(await client.call(method, params))
            except RpcError as error:
                told += json.dumps(error.to_wire())
            await receiver.until(lambda: receiver.requests)
        await receiver.until(lambda: len(receiver.requests) > 8)
        told += json.dumps(await listed(client))
    assert "webhook_failed" in daemon.log.getvalue()
    for secret in SECRETS:
        assert secret not in told


async def test_dead_letters_and_replay(daemon: Daemon) -> None:
    daemon.config = "webhooks.retry_for = 0\n"
    receiver = Receiver(failing(2))
    async with receiver.serve() as url, daemon.run() as client:
        await client.call("session.create", {"name": "S", "id": "shop", "settings": {"webhookUrl": url}})
        await touch(client, "shop", 3)
        await caught_up(client)
        letters = (await listed(client))["deadLetters"]
        assert [(letter["type"], letter["attempts"]) for letter in letters] == [
            ("session.updated", 1),
            ("session.created", 1),
        ]
        assert letters[0]["error"] == "500"
        assert (await only(client))["deadLetters"] == 2
        receiver.answer = failing(1)
        params = {"webhookId": "session:shop", "deadLetterId": letters[1]["id"]}
        answer = await client.call("webhook.replay", params)
        assert (answer["attempt"]["delivered"], answer["attempt"]["status"]) == (False, 500)
        answer = await client.call("webhook.replay", params)
        assert (answer["attempt"]["delivered"], answer["webhook"]["deadLetters"]) == (True, 1)
        assert receiver.seqs[-1] == letters[1]["seq"]
        assert receiver.requests[-1].headers["webhook-id"] == receiver.requests[0].headers["webhook-id"]
        with pytest.raises(RpcError, match="WEBHOOK_NOT_FOUND"):
            await client.call("webhook.replay", params)
        receiver.requests.clear()
        await client.call("webhook.replay", {"webhookId": "session:shop", "after": 0})
        await caught_up(client)
        assert receiver.seqs == [event["seq"] for event in await events_of(client, sessions=["shop"])]
        with pytest.raises(RpcError, match="INVALID_PARAMS"):
            await client.call("webhook.replay", {"webhookId": "session:shop", "after": 10**9})


async def test_metrics(daemon: Daemon) -> None:
    """Requests by outcome, how far behind, and dead letters; a deleted webhook has none."""
    daemon.config = "webhooks.retry_for = 0\n"
    receiver = Receiver(failing(1))
    async with receiver.serve() as url, daemon.run() as client:
        await client.call("session.create", {"name": "S", "id": "shop"})
        hook = (await client.call("webhook.create", {"url": url, "events": ["session.updated"]}))["id"]
        await touch(client, "shop", 3)
        await caught_up(client)
        assert await metrics(client, hook) == {
            "requests_total{delivered}": 2,
            "requests_total{failed}": 1,
            "lag_events": 0,
            "lag_seconds": 0,
            "dead_letters": 1,
            "disabled": 0,
        }
        receiver.answer = lambda _request: Answer(410)
        await touch(client, "shop")
        await until(client, lambda hooks: hooks[0]["disabledReason"])
        found = await metrics(client, hook)
        assert (found["requests_total{failed}"], found["lag_events"], found["disabled"]) == (2, 1, 1)
        assert found["lag_seconds"] > 0
        await client.call("webhook.delete", {"webhookId": hook})
        assert await metrics(client, hook) == {}


async def metrics(client: Client, hook: str) -> dict[str, float]:
    text = (await client.call("daemon.metrics"))["text"]
    return {
        sample.name.removeprefix("wasup_webhook_")
        + (f"{{{sample.labels['result']}}}" if "result" in sample.labels else ""): sample.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no annotations
        for sample in family.samples
        if sample.labels.get("webhook") == hook
    }


async def test_gone_and_enabled_again(daemon: Daemon) -> None:
    receiver = Receiver(lambda _request: Answer(410))
    async with receiver.serve() as url:
        async with daemon.run() as client:
            await client.call("session.create", {"name": "S", "id": "shop", "settings": {"webhookUrl": url}})
            await receiver.until(lambda: receiver.requests)
            await touch(client, "shop", 3)
            await until(client, lambda hooks: hooks[0]["disabledReason"])
            hook = await only(client)
            assert hook["lag"] >= 3
            (problem,) = (await client.call("daemon.health"))["problems"][-1:]
            assert (problem["code"], problem["sessionId"]) == ("WEBHOOK_DISABLED", "shop")
        assert len(receiver.requests) == 1
        async with daemon.run() as client:
            assert (await only(client))["disabledReason"]
            receiver.answer = lambda _request: Answer()
            assert (await client.call("webhook.test", {"webhookId": "session:shop"}))["delivered"]
            await client.call("webhook.replay", {"webhookId": "session:shop"})
            await caught_up(client)
            hook = await only(client)
            assert (hook["disabledReason"], hook["lastError"]) == (None, None)
            logged = [event["seq"] for event in await events_of(client, sessions=["shop"])]
    assert receiver.requests[1].event["type"] == "webhook.test"
    assert receiver.seqs[2:] == logged


async def test_a_corrected_url_gets_what_waited(daemon: Daemon) -> None:
    """And a change while the daemon runs needs no restart; null is the end of it."""
    receiver = Receiver()
    async with receiver.serve() as url, daemon.run() as client:
        await client.call(
            "session.create",
            {"name": "S", "id": "shop", "settings": {"webhookUrl": "http://127.0.0.1:1/"}},
        )
        await touch(client, "shop")
        await until(client, lambda hooks: hooks[0]["failingSince"])
        assert (await only(client))["lastError"] == "Connection refused"
        codes = [problem["code"] for problem in (await client.call("daemon.health"))["problems"]]
        assert "WEBHOOK_FAILING" in codes
        await client.call("session.update", {"sessionId": "shop", "settings": {"webhookUrl": url}})
        await caught_up(client)
        assert receiver.seqs == [event["seq"] for event in await events_of(client, sessions=["shop"])]
        await client.call("session.update", {"sessionId": "shop", "settings": {"webhookUrl": None}})
        assert (await listed(client))["total"] == 0
        count = len(receiver.requests)
        await touch(client, "shop")
        await client.call("session.update", {"sessionId": "shop", "settings": {"webhookUrl": url}})
        await touch(client, "shop")
        await caught_up(client)
        assert len(receiver.requests) == count + 2  # from the setting on
        await client.call("session.delete", {"sessionId": "shop", "backup": False})
        assert (await listed(client))["total"] == 0


async def test_the_configuration_is_reloaded(daemon: Daemon) -> None:
    """Another URL, events and secret without a restart, its place kept; a bad file changes nothing."""
    first, second = Receiver(), Receiver()
    async with first.serve() as one, second.serve() as two:
        daemon.config = f'webhooks.url = "{one}/hook"\n'
        async with daemon.run() as client:
            await client.call("session.create", {"name": "S", "id": "shop"})
            await caught_up(client)
            taken = first.seqs
            secret = daemon.directory / "secret"
            secret.write_text(f"{SECRET}\n")
            secret.chmod(0o600)
            daemon.config = f"""
                webhooks.url = "{two}/hook"
                webhooks.events = ["session.updated"]
                webhooks.secret_file = "{secret}"
            """
            daemon.write()
            secret.chmod(0o640)
            with pytest.raises(RpcError, match="open to other users"):
                await client.call("daemon.reloadConfig")
            assert (await only(client))["url"] == f"{one}/hook"
            secret.chmod(0o600)
            answer = await client.call("daemon.reloadConfig")
            assert "webhooks" in answer["reloaded"]
            hook = await only(client)
            assert (hook["id"], hook["url"], hook["signed"]) == ("config", f"{two}/hook", True)
            await touch(client, "shop")
            await caught_up(client)
            assert first.seqs == taken
            assert [request.event["type"] for request in second.requests] == ["session.updated"]
            Webhook(SECRET).verify(second.requests[0].body, second.requests[0].headers)
            second.answer = failing(10**6)
            await touch(client, "shop")
            await until(client, lambda hooks: hooks[0]["failingSince"])
            daemon.config += "webhooks.retry_for = 0\n"  # a rule for all: what waits is given up
            daemon.write()
            os.kill(os.getpid(), signal.SIGHUP)
            await until(client, lambda hooks: hooks[0]["deadLetters"])
            daemon.config = ""
            daemon.write()
            await client.call("daemon.reloadConfig")
            assert (await listed(client))["webhooks"] == []


async def test_both_sides_restart(daemon: Daemon) -> None:
    receiver = Receiver()
    async with receiver.serve() as url, daemon.run() as client:
        await client.call("webhook.create", {"url": url, "secret": SECRET})
        await client.call("session.create", {"name": "S", "id": "shop"})
        await caught_up(client)
    async with daemon.run() as client:  # nobody listens
        await touch(client, "shop", 200)
    async with daemon.run() as client:
        await touch(client, "shop")
        async with receiver.serve():
            await caught_up(client)
            logged = await events_of(client)
    for session in ("shop", None):
        told = [r.event["seq"] for r in receiver.requests if r.event["sessionId"] == session]
        happened = [event["seq"] for event in logged if event["sessionId"] == session and event["seq"] > 1]
        assert list(dict.fromkeys(told)) == happened
    for request in receiver.requests:
        Webhook(SECRET).verify(request.body, request.headers)


async def test_deleted_is_deleted(daemon: Daemon) -> None:
    receiver = Receiver(lambda _request: Answer(hang=True))
    async with receiver.serve() as url, daemon.run() as client:
        await client.call("session.create", {"name": "S", "id": "shop"})
        made = await client.call("webhook.create", {"url": url, "sessionId": "shop"})
        await touch(client, "shop")
        await receiver.until(lambda: receiver.requests)
        await client.call("webhook.delete", {"webhookId": made["id"]})
        for method in ("delete", "test", "replay"):
            with pytest.raises(RpcError, match="WEBHOOK_NOT_FOUND"):
                await client.call(f"webhook.{method}", {"webhookId": made["id"]})
        await touch(client, "shop")
        assert (await listed(client)) == {"webhooks": [], "deadLetters": [], "total": 0}
    assert len(receiver.requests) == 1


async def test_what_cannot_be_delivered_is_refused_at_once(daemon: Daemon) -> None:
    daemon.config = 'webhooks.url = "http://127.0.0.1:1/"\n'
    async with daemon.run() as client:
        await client.call("session.create", {"name": "S", "id": "shop"})
        bad = "https://169.254.169.254/"
        settings = {"webhookUrl": bad}
        for method, params, path in (
            ("webhook.create", {"url": bad}, "$.url"),
            ("webhook.create", {"url": "http://example.org/"}, "$.url"),
            ("webhook.create", {"url": "https://a:b@example.org/"}, "$.url"),
            ("webhook.create", {"url": "https://example.org/", "secret": "whsec_-"}, "$.secret"),
            ("session.create", {"name": "x", "settings": settings}, "$.settings.webhookUrl"),
            ("session.update", {"sessionId": "shop", "settings": settings}, "$.settings.webhookUrl"),
            (
                "session.update",
                {"sessionId": "shop", "settings": {"webhookSecret": " "}},
                "$.settings.webhookSecret",
            ),
        ):
            with pytest.raises(RpcError) as refused:
                await client.call(method, params)
            assert (refused.value.code, refused.value.details["path"]) == ("INVALID_PARAMS", path)
        with pytest.raises(RpcError, match="SESSION_NOT_FOUND"):
            await client.call("webhook.create", {"url": "https://example.org/", "sessionId": "none"})
        with pytest.raises(RpcError, match="stands in the configuration"):
            await client.call("webhook.delete", {"webhookId": "config"})
        await client.call(
            "session.update", {"sessionId": "shop", "settings": {"webhookUrl": "http://127.0.0.1:1/"}}
        )
        with pytest.raises(RpcError, match="session's settings"):
            await client.call("webhook.delete", {"webhookId": "session:shop"})
    daemon.config = ""
    async with daemon.run() as client:  # its place is forgotten with it
        assert [hook["id"] for hook in (await listed(client))["webhooks"]] == ["session:shop"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhooks.url = 'http://example.org/'", "webhooks.url: Expected https"),
        ("webhooks.url = 'https://169.254.1.1/'", "webhooks.url: The address is link-local"),
        ("webhooks.secret = 'whsec_s3cret-'", "webhooks.secret: Expected base64"),
        ("webhooks.secret = 1234567", "webhooks.secret: expected a text, got something else"),
        ("webhooks.events = ['message.recieved']", "webhooks.events: expected a list of event types"),
        (
            "webhooks.allow_addresses = ['1.2.3.4/8']",
            "webhooks.allow_addresses: expected a list of addresses",
        ),
        ("webhooks.allow_http = 1", "webhooks.allow_http: expected true or false"),
    ],
)
def test_the_configuration_is_checked(text: str, said: str) -> None:
    with pytest.raises(Exception, match="webhooks") as refused:
        parse(text, {}, file=Path("/w.toml"))
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "1234567" not in str(refused.value)


async def test_where_a_webhook_stands_is_read_once(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load_state = table.load

    def load(db: apsw.Connection, hook_id: str) -> table.State:
        read.append(hook_id)
        return load_state(db, hook_id)

    monkeypatch.setattr(table, "load", load)
    async with daemon.run() as client:
        for name in ("one", "two", "three"):
            await client.call("session.create", name=name, id=name)
            settings = {"webhookUrl": f"https://{name}.invalid/"}
            await client.call("session.update", sessionId=name, settings=settings)
        hooks = (await client.call("webhook.list"))["webhooks"]
    assert sorted(read) == sorted(hook["id"] for hook in hooks)
    assert len(read) == 3

"""The sender of one life in virtual time, with a page and a journal that do as they are told."""

from collections.abc import AsyncIterator, Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol.errors import RpcError
from supervisors.chrome.errors import CallTimeout
from supervisors.journal import Outgoing
from supervisors.outbox import Outbox
from supervisors.whatsapp.page import Delivery, Failure

TEXT = Outgoing(message_id="A", to="49@c.us", kind="text", content={"body": "hi"})
REACTION = Outgoing(message_id="R", to="49@c.us", kind="reaction", content={"emoji": "x"}, attempts=1)
NOT_READY = Failure(name="Error", message="not connected", code="NOT_READY")


class Page:
    """Answers what `answers` says, one after the other, then that it was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.answers: list[Delivery | Failure | Exception] = []

    async def deliver(self, message: Outgoing, *, check: bool) -> Delivery | Failure:
        self.asked.append((message.message_id, check))
        answer = self.answers.pop(0) if self.answers else Delivery(ack=1, result="OK")
        if isinstance(answer, Exception):
            raise answer
        return answer


class Record:
    """The part of a journal that the sender uses."""

    def __init__(self) -> None:
        self.waiting: list[Outgoing] = []
        self.sending: dict[str, Outgoing] = {}
        self.outcomes: list[tuple[str, str]] = []
        self.is_full = False

    async def take(self, limit: int) -> Sequence[Outgoing]:
        if self.is_full:
            raise RpcError("STORE_FULL")
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.sending |= {message.message_id: message for message in taken}
        return taken

    async def unsettled(self) -> Sequence[Outgoing]:
        return [attrs.evolve(message, attempts=1) for message in self.sending.values()]

    async def next_due(self) -> float | None:
        return None

    def settled(self, message_id: str, ack: int) -> None:
        del self.sending[message_id]
        self.outcomes.append((message_id, f"ack {ack}"))

    def put_back(self, message_id: str) -> None:
        self.waiting.append(attrs.evolve(self.sending.pop(message_id), attempts=1))

    def failed(self, message_id: str, code: str, message: str) -> None:
        del self.sending[message_id]
        self.outcomes.append((message_id, code))


@attrs.frozen
class Stage:
    page: Page
    record: Record
    outbox: Outbox


@pytest.fixture
async def stage(nursery: trio.Nursery) -> AsyncIterator[Stage]:
    page, record = Page(), Record()
    outbox = Outbox("shop", record, page)  # type: ignore[arg-type]  # the parts that it uses
    nursery.start_soon(outbox.run)
    yield Stage(page, record, outbox)
    nursery.cancel_scope.cancel()


async def test_a_full_disk_puts_sending_off_and_ends_nothing(stage: Stage, autojump_clock: MockClock) -> None:
    stage.record.is_full = True
    stage.record.waiting.append(TEXT)
    stage.outbox.connected()
    await trio.sleep(60)  # of virtual time
    assert stage.page.asked == []
    stage.record.is_full = False
    await trio.sleep(6)
    assert stage.record.outcomes == [("A", "ack 1")]


async def test_a_page_that_never_answers_is_asked_about_the_id(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.record.waiting.append(TEXT)
    stage.page.answers = [CallTimeout("Runtime.evaluate", 300), Delivery(ack=2, result=None)]
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert stage.page.asked == [("A", False), ("A", True)]
    assert stage.record.outcomes == [("A", "ack 2")]


async def test_a_reaction_is_tried_again_but_not_guessed_at(stage: Stage, autojump_clock: MockClock) -> None:
    stage.record.waiting.append(REACTION)  # queued again after a failure that was told
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert (stage.page.asked, stage.record.outcomes) == ([("R", False)], [("R", "ack 1")])
    stage.record.sending["R"] = REACTION  # left by a life that ended in between
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert stage.page.asked == [("R", False)]
    assert stage.record.outcomes[-1] == ("R", "OUTCOME_UNKNOWN")


@pytest.mark.parametrize("message", [TEXT, attrs.evolve(REACTION, attempts=0)])
async def test_a_page_that_goes_while_a_message_is_taken_is_not_given_it(
    stage: Stage, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, message: Outgoing
) -> None:
    take = stage.record.take

    async def take_slowly(limit: int) -> Sequence[Outgoing]:
        taken = await take(limit)
        stage.outbox.disconnected()
        return taken

    monkeypatch.setattr(stage.record, "take", take_slowly)
    stage.record.waiting.append(message)
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert (stage.page.asked, stage.record.outcomes) == ([], [])
    monkeypatch.setattr(stage.record, "take", take)
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert [asked for asked, _check in stage.page.asked] == [message.message_id]
    assert stage.record.outcomes == [(message.message_id, "ack 1")]


async def test_what_the_page_answers_while_the_record_is_read_is_not_asked_about_again(
    stage: Stage, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsettled, deliver = stage.record.unsettled, stage.page.deliver

    async def unsettled_slowly() -> Sequence[Outgoing]:
        found = await unsettled()
        await trio.sleep(2)
        return found

    async def deliver_slowly(message: Outgoing, *, check: bool) -> Delivery | Failure:
        try:
            return await deliver(message, check=check)
        finally:
            await trio.sleep(1)

    monkeypatch.setattr(stage.record, "unsettled", unsettled_slowly)
    monkeypatch.setattr(stage.page, "deliver", deliver_slowly)
    reaction = attrs.evolve(REACTION, attempts=0)
    stage.page.answers = [NOT_READY, Delivery(ack=1, result="OK"), CallTimeout("Runtime.evaluate", 300)]
    for message, asked in ((reaction, ["R", "R"]), (TEXT, ["A", "A"])):
        stage.page.asked.clear()
        stage.record.waiting.append(message)
        stage.outbox.connected()
        await trio.sleep(2.5)
        stage.outbox.connected()  # the network was away for a moment
        await trio.sleep(60)
        assert [message_id for message_id, _check in stage.page.asked] == asked
    assert stage.record.outcomes == [("R", "ack 1"), ("A", "ack 1")]


async def test_a_page_that_was_not_ready_is_given_it_again(stage: Stage, autojump_clock: MockClock) -> None:
    """It has done nothing, so that holds for what cannot be asked about too."""
    stage.record.waiting.append(attrs.evolve(REACTION, attempts=0))
    stage.page.answers = [NOT_READY]
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert stage.page.asked == [("R", False), ("R", False)]
    assert stage.record.outcomes == [("R", "ack 1")]


async def test_nothing_is_given_to_a_page_that_is_not_connected(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    stage.outbox.disconnected()
    stage.record.waiting.append(TEXT)
    stage.outbox.wake()
    await wait_all_tasks_blocked()
    assert stage.page.asked == []
    stage.outbox.connected()
    await wait_all_tasks_blocked()
    assert stage.record.outcomes == [("A", "ack 1")]

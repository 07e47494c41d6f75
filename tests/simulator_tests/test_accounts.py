"""The world of phones without any page: who gets what, once, in order."""

import pytest

from tests.simulator.accounts import World
from tests.simulator.errors import SimulatorError
from tests.simulator.models import ACK_DELIVERED, ACK_READ, ACK_SENT, Account, Device, Frame, Message
from tests.simulator.wids import lid_wid, parse_number, pn_wid

ALICE, BOB, CAROL = "+491701234567", "+491701234568", "+491701234569"


class Page:
    """A link that remembers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed = False

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True

    def kinds(self) -> list[str]:
        return [frame["t"] for frame in self.frames]


def linked(world: World, number: str) -> tuple[Account, Device, Page]:
    account = world.account(number)
    device = world.link(account, f"device of {number}", "wasup")
    page = Page()
    device.link = page
    return account, device, page


def text(id_: str, sender: str, to: str, body: str = "hi") -> Message:
    return Message(id_, sender, to, {"type": "chat", "body": body}, 1000)


def test_a_submission_is_acknowledged_delivered_and_read() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    world.know(BOB)
    entry = world.submit(alice, device, text("A1", ALICE, BOB), 1.0)
    assert entry is not None
    assert page.kinds() == ["ack", "receipt"]
    assert page.frames[0]["ack"] == ACK_SENT
    assert page.frames[1]["ack"] == ACK_DELIVERED
    assert [d.recipient for d in world.ledger.deliveries_of(ALICE)] == [BOB]
    assert world.read_sent(alice, BOB, None, 2.0) == 1
    assert page.frames[-1]["ack"] == ACK_READ
    assert world.read_sent(alice, BOB, None, 3.0) == 0


def test_a_repeated_id_is_noted_and_dropped() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    world.know(BOB)
    for _ in range(2):
        world.submit(alice, device, text("A1", ALICE, BOB), 1.0)
    assert [s.duplicate for s in world.ledger.submissions_of(ALICE)] == [False, True]
    assert len(world.ledger.deliveries_of(ALICE)) == 1
    assert page.kinds() == ["ack", "receipt", "ack"]


def test_nobody_there() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    assert world.submit(alice, device, text("A1", ALICE, BOB), 1.0) is None
    assert page.kinds() == ["nack"]
    assert [s.accepted for s in world.ledger.submissions_of(ALICE)] == [False]
    assert not world.ledger.deliveries_of(ALICE)


def test_what_a_page_is_owed_waits_until_it_is_confirmed() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    device.link = None
    first, second = (world.receive(alice, BOB, body, 1.0) for body in ("one", "two"))
    assert page.frames == []
    assert [frame["msg"]["id"] for frame in device.pending.values()] == [first.id, second.id]
    world.confirm(alice, device, 1, 2.0)
    world.confirm(alice, device, 1, 2.0)
    assert [frame["msg"]["id"] for frame in device.pending.values()] == [second.id]
    assert [r.id for r in world.ledger.receptions_of(ALICE)] == [first.id]


def test_two_accounts() -> None:
    world = World()
    alice, alices_device, alices_page = linked(world, ALICE)
    bob, _, bobs_page = linked(world, BOB)
    world.submit(alice, alices_device, text("A1", ALICE, BOB), 1.0)
    assert bobs_page.kinds() == ["msg"]
    assert bobs_page.frames[0]["msg"]["chat"] == pn_wid(ALICE)
    assert not bobs_page.frames[0]["msg"]["fromMe"]
    world.read_received(bob, pn_wid(ALICE), 2.0)
    assert alices_page.frames[-1]["ack"] == ACK_READ


def test_a_contact_who_is_an_account_writes_from_its_own_phone() -> None:
    world = World()
    alice, bob = world.account(ALICE), world.account(BOB)
    entry = world.receive(alice, BOB, "hi", 1.0)
    assert bob.entries[entry.id].from_me
    assert not alice.entries[entry.id].from_me


def test_a_group_is_delivered_when_everybody_has_it() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    alice.auto_deliver = False
    group = world.add_group("Lab", [ALICE, BOB, CAROL], 1.0)
    entry = world.submit(alice, device, text("A1", ALICE, group.id), 1.0)
    assert entry is not None
    assert {d.recipient for d in world.ledger.deliveries_of(ALICE)} == {BOB, CAROL}
    world.receipt(alice, entry, BOB, ACK_DELIVERED, 2.0)
    world.receipt(alice, entry, BOB, ACK_DELIVERED, 2.0)
    assert entry.ack == ACK_SENT
    world.receipt(alice, entry, CAROL, ACK_DELIVERED, 2.0)
    assert entry.ack == ACK_DELIVERED
    assert [f["by"] for f in page.frames if f["t"] == "receipt"] == [pn_wid(BOB), pn_wid(CAROL)]


def test_members_of_a_group_by_hidden_id() -> None:
    world = World()
    alice, _, page = linked(world, ALICE)
    group = world.add_group("Lab", [ALICE, BOB], 1.0, addressing="lid")
    world.receive(alice, BOB, "hi", 1.0, group=group.id)
    assert page.frames[-1]["msg"]["author"] == lid_wid(BOB)


def test_a_group_message_reaches_every_account_in_it() -> None:
    world = World()
    alice, _, _ = linked(world, ALICE)
    carol, _, _ = linked(world, CAROL)
    group = world.add_group("Lab", [ALICE, BOB, CAROL], 1.0)
    entry = world.receive(alice, BOB, "hi", 1.0, group=group.id)
    assert carol.entries[entry.id].chat == group.id
    with pytest.raises(SimulatorError, match="not in the group"):
        world.receive(alice, "+4915199999999", "hi", 1.0, group=group.id)


def test_own_messages_reach_the_other_linked_devices() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    other = world.link(alice, "another", "wasup")
    other.link = other_page = Page()
    world.know(BOB)
    world.submit(alice, device, text("A1", ALICE, BOB), 1.0)
    assert page.kinds() == ["ack", "receipt"]
    assert other_page.kinds() == ["msg", "receipt"]


def test_four_devices_and_no_more() -> None:
    world = World()
    alice = world.account(ALICE)
    for i in range(4):
        world.link(alice, f"device {i}", "wasup")
    with pytest.raises(SimulatorError, match="unlink one"):
        world.link(alice, "device 5", "wasup")
    world.unlink(alice, "device 0", "unknown_companion")
    world.link(alice, "device 5", "wasup")


def test_unlinking_tells_the_page() -> None:
    world = World()
    alice, device, page = linked(world, ALICE)
    world.unlink(alice, device.id, "unknown_companion")
    assert page.frames == [{"t": "logout", "reason": "unknown_companion"}]
    assert not alice.devices


def test_history_is_told_once() -> None:
    world = World()
    alice = world.account(ALICE)
    entry = world.receive(alice, BOB, "before", 1.0)
    assert [m["id"] for m in world.snapshot(alice, history=True)["history"]] == [entry.id]
    assert world.snapshot(alice, history=False)["history"] == []


@pytest.mark.parametrize("number", ["", "0170", "+0491", "hello", "+49170123456789012", "12@g.us"])
def test_numbers_that_are_none(number: str) -> None:
    with pytest.raises(SimulatorError, match="not a phone number"):
        parse_number(number)


@pytest.mark.parametrize(
    "number", ["+491701234567", "+49 170 1234567", "491701234567@c.us", "+49 (170) 123-4567"]
)
def test_numbers(number: str) -> None:
    assert parse_number(number) == "+491701234567"

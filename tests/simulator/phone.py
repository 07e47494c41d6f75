"""A phone, and the people it talks to: what a test, or a person at the command line, can do with it."""

import base64
import io
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import trio
import zxingcpp
from PIL import Image, UnidentifiedImageError

from tests.simulator.conversation import Conversation
from tests.simulator.errors import SimulatorError
from tests.simulator.ledger import Delivery, ReadReceipt, Reception, Submission
from tests.simulator.models import ACK_DELIVERED, Account, Entry, Message, new_message_id
from tests.simulator.wids import is_group, parse_number, pn_wid

if TYPE_CHECKING:
    from tests.simulator.connection import Connection
    from tests.simulator.simulator import Simulator

SCAN_DEADLINE_S = 30
T = TypeVar("T")


class Phone(Conversation):
    """One account's phone."""

    def __init__(self, simulator: "Simulator", account: Account) -> None:
        super().__init__(simulator.world, account)
        self._simulator = simulator

    @property
    def number(self) -> str:
        """Its number, `+…`."""
        return self.account.number

    @property
    def wid(self) -> str:
        """Its id, `…@c.us`."""
        return self.account.wid

    @property
    def messages(self) -> list[Entry]:
        """All messages, sent and received, in the order in which they came to be."""
        return list(self.account.entries.values())

    @property
    def submissions(self) -> list[Submission]:
        """What this account's pages asked to send, repeats included."""
        return self._world.ledger.submissions_of(self.number)

    @property
    def deliveries(self) -> list[Delivery]:
        """What of it reached whom."""
        return self._world.ledger.deliveries_of(self.number)

    @property
    def receptions(self) -> list[Reception]:
        """What this account's pages have stored of what was sent to it."""
        return self._world.ledger.receptions_of(self.number)

    @property
    def read_receipts(self) -> list[ReadReceipt]:
        """What this account's pages said they have read."""
        return self._world.ledger.read_receipts_of(self.number)

    @property
    def linked(self) -> list[str]:
        """The ids of the linked devices."""
        return list(self.account.devices)

    @property
    def connected(self) -> bool:
        """Whether a linked page is connected now."""
        return any(device.link for device in self.account.devices.values())

    async def wait_for(self, predicate: Callable[["Phone"], T]) -> T:
        """Wait until the predicate, which is given this phone, is true."""
        return await self._simulator.wait_for(lambda: predicate(self))

    # Linking

    async def scan(self, text: str, wait: bool = True) -> str:
        """Scan a code by its text; the id of the linked device, once the page has stored its login.

        Raises SimulatorError for a code that is not a code, has expired, or is not shown any more.
        """
        return await self._pair(self._find_page(text), wait)

    async def scan_image(self, image: bytes | str, wait: bool = True) -> str:
        """Scan a code from a picture: the bytes of a file, or a `data:image/…` URL."""
        return await self.scan(read_code(image), wait)

    async def enter_code(self, code: str, wait: bool = True) -> str:
        """Type in the eight letters that a page shows for linking by number; case and dashes are free."""
        wanted = re.sub(r"[\s-]", "", code).upper()
        shown = [page for page in self._simulator.pages if page.link_code and page.link_code[1] == wanted]
        for page in shown:
            if page.link_code == (self.number, wanted):
                return await self._pair(page, wait)
        if shown:
            raise SimulatorError(f"the code {code!r} is for another number than {self.number}")
        raise SimulatorError(f"no page shows the code {code!r} for {self.number}: it may have expired")

    def _find_page(self, text: str) -> "Connection":
        ref, *keys = text.strip().split(",")
        if not ref.startswith("2@") or len(keys) not in (3, 4):
            raise SimulatorError(
                "this is not a WhatsApp code: it has four parts, or five, and the first begins with 2@"
            )
        page = self._simulator.issued.get(ref)
        if page is None:
            raise SimulatorError("this code was not issued by this simulator")
        if page.ref != ref:
            raise SimulatorError("this code has expired: scan the one that is shown now")
        if page.keys != keys[:3]:
            raise SimulatorError(
                "this code's keys are not those of the page that shows it: it was mangled on the way"
            )
        return page

    async def _pair(self, page: "Connection", wait: bool) -> str:
        if self.account.offline:
            raise SimulatorError(f"{self.number} is offline")
        if page.device_id in self.account.devices:
            raise SimulatorError("this device is linked already")
        page.pair(self.account)
        if wait:
            with trio.move_on_after(SCAN_DEADLINE_S) as deadline:
                await self._simulator.wait_for(lambda: page.device_id in self.account.devices)
            if deadline.cancelled_caught:
                raise SimulatorError(f"the page did not log in within {SCAN_DEADLINE_S} seconds of the scan")
        return page.device_id

    def unlink(self, device_id: str | None = None, reason: str = "unknown_companion") -> None:
        """Take one linked device, or all, off the list."""
        if device_id is not None and device_id not in self.account.devices:
            raise SimulatorError(
                f"{self.number} has no linked device {device_id!r}; it has {self.linked or 'none'}"
            )
        for linked in [device_id] if device_id else self.linked:
            self._world.unlink(self.account, linked, reason)

    # Messages

    def write(self, chat: str, text: str) -> Entry:
        """A message typed on the phone itself, to a number or a group."""
        now = time.time()
        message = Message(
            new_message_id(), self.number, self._world.resolve(chat), {"type": "chat", "body": text}, int(now)
        )
        entry = self._world.submit(self.account, None, message, now)
        if entry is None:
            raise SimulatorError(f"{chat} is not on WhatsApp")
        return entry

    def read(self, chat: str, by: str | None = None) -> int:
        """The other end (of a group: everybody, or `by`) reads what was sent; how many messages."""
        return self._world.read_sent(self.account, chat, by, time.time())

    def deliver(self) -> None:
        """Recipients confirm what they have got so far; of use after `account.auto_deliver = False`."""
        now = time.time()
        for delivery in self.deliveries:
            entry = self.account.entries[delivery.id]
            self._world.receipt(self.account, entry, delivery.recipient, ACK_DELIVERED, now)

    def add_contact(self, number: str, name: str, on_whatsapp: bool = True, lid_chats: bool = False) -> str:
        """Write a contact into the book; its id. With `lid_chats` its chat goes by its hidden id."""
        if lid_chats:
            self.account.lid_numbers.add(parse_number(number))
        return pn_wid(self._world.add_contact(self.account, number, name, on_whatsapp).number)

    def arrange(self, chat: str, archived: bool = False, pinned: bool = False) -> None:
        """Archive or pin a chat on the phone, or neither; linked pages follow."""
        target = self._world.resolve(chat)
        wid = target if is_group(target) else pn_wid(target)
        for chats, wanted in ((self.account.archived, archived), (self.account.pinned, pinned)):
            (chats.add if wanted else chats.discard)(wid)
        page_wid = self._world.chat_wid(self.account, wid)
        self.account.owe_all({"t": "chat", "chat": {"id": page_wid, "archive": archived, "pin": pinned}})

    def add_group(self, subject: str, participants: Iterable[str], addressing: str = "pn") -> str:
        """Found a group of this phone and others; its id."""
        members = [self.number, *(parse_number(number) for number in participants)]
        return self._world.add_group(subject, members, time.time(), addressing).id

    # Troubles

    def offline(self) -> None:
        """Drop this account's pages and refuse them until `online`."""
        self.account.offline = True
        for device in self.account.devices.values():
            if device.link is not None:
                device.link.close()
        self._simulator.changes.announce()

    def online(self) -> None:
        """Let the pages in again."""
        self.account.offline = False
        self._simulator.changes.announce()

    def fail_sends(self, times: int, error: str = "No sessions") -> None:
        """Let the next `times` messages of the pages fail with an error that WhatsApp throws."""
        self.account.send_errors.extend([error] * times)

    def hold_acks(self) -> None:
        """Take what pages send without telling them so, until `release_acks`."""
        self.account.hold_acks = True

    def release_acks(self) -> None:
        """Answer what was held, and answer again from now on."""
        self.account.hold_acks = False
        ids = {submission.id for submission in self.submissions if submission.accepted}
        for device in self.account.devices.values():
            for entry in [*self.account.entries.values(), *self.account.acts.values()]:
                if device.link is not None and entry.id in ids:
                    self._world.acknowledge(device.link, entry)
        if self.account.auto_deliver:
            self.deliver()

    def push_state(self, state: str, **stream: object) -> None:
        """Put a Socket state (`CONFLICT`, …) on the pages; `stream` may have mode, info, needsUpdate."""
        self._push({"t": "state", "state": state, **stream})

    def push_backend_event(self, name: str) -> None:
        """Let an event such as `account_temporarily_banned` happen on the pages."""
        self._push({"t": "backend_event", "name": name})

    def break_pages(self, kind: str, **more: object) -> None:
        """Let this account's pages go wrong; for the kinds see `Simulator.break_pages`."""
        self._push(self._simulator.fault(kind, **more))


def read_code(image: bytes | str) -> str:
    """The text of the code in a picture; raises SimulatorError when there is none."""
    if isinstance(image, str):
        head, _, data = image.partition(",")
        if not head.startswith("data:image/") or not head.endswith(";base64"):
            raise SimulatorError("a picture is given as bytes or as a data:image/…;base64,… URL")
        image = base64.b64decode(data)
    try:
        with Image.open(io.BytesIO(image)) as picture:
            codes = zxingcpp.read_barcodes(
                picture.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            )
    except UnidentifiedImageError:
        raise SimulatorError("this is not a picture") from None
    if not codes:
        raise SimulatorError("there is no code in this picture")
    return str(codes[0].text)

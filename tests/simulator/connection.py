"""One open page: its frames in and out, the codes it shows while it is not linked.

Frames are JSON objects with a `t`; page/connection.js is the other end.
"""

import secrets
import time
from collections import deque
from typing import TYPE_CHECKING

import trio

from tests.simulator.errors import SimulatorError
from tests.simulator.models import Account, Device, Frame, Message
from tests.simulator.wids import is_group, lid_wid, parse_number, pn_wid

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

MAX_QUEUED_FRAMES = 10_000


class Connection:
    """The server's side of one page; it is the `Link` of a device once the page is linked."""

    def __init__(self, simulator: "Simulator") -> None:
        self.simulator = simulator
        self.device_id = ""
        self.name = ""
        self.keys: list[str] = []
        self.ref: str | None = None
        self.account: Account | None = None
        self.device: Device | None = None
        self.link_code: tuple[str, str] | None = None
        self.link_codes_shown = 0
        self.media_auth = secrets.token_urlsafe(16)
        self.closed = False
        self.superseded = False
        self._pairing_with: Account | None = None
        self._outgoing: deque[Frame] = deque()
        self._wake = trio.Event()
        self._turn = trio.Event()
        self._unlinked = trio.CancelScope()

    # Link

    def send(self, frame: Frame) -> None:
        """Queue a frame; a page that stops reading is dropped when too many have gathered."""
        if len(self._outgoing) >= MAX_QUEUED_FRAMES:
            self.close()
        self._outgoing.append(frame)
        self._wake.set()

    def close(self) -> None:
        """Drop the connection once what is queued has been written."""
        self.closed = True
        self._wake.set()

    async def next_frames(self) -> list[Frame] | None:
        """What is to be written next; None when the connection is to be closed."""
        while not self._outgoing:
            if self.closed:
                return None
            await self._wake.wait()
            self._wake = trio.Event()
        frames = list(self._outgoing)
        self._outgoing.clear()
        return frames

    # Codes

    def turn_code(self) -> None:
        """Let the code that is shown now expire at once; on an idle page, start again."""
        self._turn.set()

    async def show_codes(self) -> None:
        """Show six codes, one after the other, then wait to be asked for more; ended by `pair`."""
        timings = self.simulator.config
        with self._unlinked:
            while True:
                for life_s in [timings.first_code_s] + [timings.next_code_s] * (timings.codes - 1):
                    self.ref = "2@" + secrets.token_urlsafe(96)
                    self.simulator.issued[self.ref] = self
                    self.send({"t": "ref", "ref": self.ref, "ttl": life_s})
                    self.simulator.changes.announce()
                    with trio.move_on_after(life_s):
                        await self._next_turn()
                self.ref = None
                self.send({"t": "idle"})
                self.simulator.changes.announce()
                await self._next_turn()

    async def _next_turn(self) -> None:
        self._turn = trio.Event()
        await self._turn.wait()

    async def age_link_code(self) -> None:
        """Let the code for a phone number live its life, then have the page ask for another, or give up."""
        await trio.lowlevel.checkpoint()
        code, config = self.link_code, self.simulator.config
        await trio.sleep(config.link_code_s)
        if code is not None and self.link_code == code:
            self.tell_link_code(
                "refresh_alt_linking_code"
                if self.link_codes_shown < config.link_codes
                else "force_manual_refresh"
            )

    def tell_link_code(self, event: str) -> None:
        """Let one of WhatsApp's link_device_events happen on the page."""
        if event != "refresh_alt_linking_code":
            self.link_code = None
        self.send({"t": "link_code", "event": event})

    def pair(self, account: Account) -> None:
        """The phone has accepted this page: tell it who it is now; it confirms once it has stored that."""
        self._pairing_with = account
        self.ref = self.link_code = None
        self._unlinked.cancel()
        self.send({"t": "pair_success", "account": self._identity(account)})

    def _identity(self, account: Account) -> Frame:
        return {"wid": account.wid, "lid": account.lid, "pushname": account.name, "platform": "android"}

    # Frames

    async def handle(self, frame: Frame, nursery: trio.Nursery) -> None:
        """Act on one frame of the page; raises SimulatorError for one that makes no sense."""
        match frame:
            case {"t": "hello", "device": str(device_id), "keys": list(keys)}:
                self.device_id, self.keys, self.name = device_id, keys, str(frame.get("name", ""))
                verdict = self.simulator.versions.get(str(frame.get("version")))
                if verdict is None:
                    self._greet(frame, nursery)
                elif verdict == "refused":
                    self.send({"t": "state", "state": "DEPRECATED_VERSION"})
                else:
                    self.send(self.simulator.fault("reload"))
            case {"t": "refresh_qr"}:
                self.turn_code()
            case {"t": "paired"} if self._pairing_with is not None:
                account, self._pairing_with = self._pairing_with, None
                self.name = str(frame.get("name", ""))
                self._admit(
                    account, self.simulator.world.link(account, self.device_id, self.name), history=True
                )
            case {"t": "query", "n": n, "what": str(what)}:
                if what == "link_code":
                    nursery.start_soon(self.age_link_code)
                try:
                    answer: Frame = {"ok": True, "value": self._query(what, frame)}
                except SimulatorError as error:
                    answer = {"ok": False, "error": str(error)}
                self.send({"t": "result", "n": n, **answer})
            case _ if self.account is not None and self.device is not None:
                self._handle_linked(frame, self.account, self.device)
            case {"t": "logout"}:
                self.send({"t": "logout", "reason": "user_initiated"})
            case _:
                raise SimulatorError(f"an unlinked page sent {frame.get('t')!r}")
        self.simulator.changes.announce()

    def _greet(self, frame: Frame, nursery: trio.Nursery) -> None:
        world = self.simulator.world
        if frame.get("wid") is None:
            nursery.start_soon(self.show_codes)
            return
        account = world.accounts.get("+" + str(frame["wid"]).partition("@")[0])
        device = account.devices.get(self.device_id) if account else None
        pairing = self.simulator.pairings.pop(self.device_id, None)
        if account is not None and device is None and pairing is account:
            device = world.link(account, self.device_id, self.name)
        if account is None or device is None:
            self.send({"t": "logout", "reason": "unknown_companion"})
        elif account.offline:
            self.close()
        else:
            self._admit(account, device, history=not frame.get("synced"))

    def _admit(self, account: Account, device: Device, history: bool) -> None:
        self.simulator.pairings.pop(self.device_id, None)
        if device.link is not None and device.link is not self:
            device.link.send({"t": "state", "state": "CONFLICT"})
            device.link.close()
        self.account, self.device, device.link = account, device, self
        self.send({"t": "welcome", "account": self._identity(account), "mediaAuth": self.media_auth})
        if history:
            device.pending.clear()
        self.send(self.simulator.world.snapshot(account, history, device))
        for owed in list(device.pending.values()):
            self.send(owed)
        self.send({"t": "up_to_date"})

    def _handle_linked(self, frame: Frame, account: Account, device: Device) -> None:
        world, now = self.simulator.world, time.time()
        match frame:
            case {"t": "received", "seqs": list(sequences)}:
                for sequence in sequences:
                    world.confirm(account, device, sequence, now)
            case {"t": "send", "id": str(id_), "to": str(to), "content": dict(content)}:
                try:
                    target = world.resolve(to)
                except SimulatorError:
                    target = to if is_group(to) else parse_number("+" + to.partition("@")[0])
                message = Message(id_, account.number, target, content, int(now))
                world.submit(account, device, message, now, to)
            case {"t": "seen", "chat": str(chat)}:
                target = world.resolve(chat)
                world.read_received(account, target if is_group(target) else pn_wid(target), now)
            case {"t": "presence", "chat": str(chat)}:
                account.presence_subscriptions.append(chat)
            case {"t": "logout"}:
                world.unlink(account, device.id, "user_initiated")
            case _:
                raise SimulatorError(f"a page sent {frame.get('t')!r}, which nobody understands")

    def _query(self, what: str, frame: Frame) -> object:
        world = self.simulator.world
        match what:
            case "exists":
                if self.simulator.questions_lost:
                    self.simulator.questions_lost -= 1
                    raise SimulatorError("timed out")
                try:
                    number = world.resolve(str(frame["wid"]))
                except SimulatorError:
                    return None
                if not world.exists(number):
                    return None
                chat = world.chat_wid(self.account, pn_wid(number)) if self.account else pn_wid(number)
                return {"wid": pn_wid(number), "lid": lid_wid(number), "chat": chat}
            case "group":
                group = world.groups.get(str(frame["wid"]))
                if group is None or self.account is None or self.account.number not in group.participants:
                    return None
                return world.group_frame(group)
            case "groups" if self.account is not None:
                return [group.id for group in world.groups_of(self.account.number)]
            case "link_code":
                number = parse_number("+" + str(frame["phone"]).lstrip("+"))
                code = "".join(secrets.choice("123456789ABCDEFGHJKLMNPQRSTVWXYZ") for _ in range(8))
                if self.link_code is None or self.link_code[0] != number:
                    self.link_codes_shown = 0
                self.link_code = (number, code)
                self.link_codes_shown += 1
                return code
            case _:
                raise SimulatorError(f"a page asked for {what!r}, which nobody knows")

    def gone(self) -> None:
        """The page has left."""
        if self.device is not None and self.device.link is self:
            self.device.link = None
        if self._pairing_with is not None:
            self.simulator.pairings[self.device_id] = self._pairing_with
        self.ref = None
        self.simulator.changes.announce()

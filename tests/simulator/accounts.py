"""The world of phones: who is there, what is said, what each linked page is owed.

Pure: it knows nothing of sockets, pages or clocks (`now` is an argument). A page is reached through
a `Link`; a change is announced by calling `World.changed`.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from tests.simulator import actions
from tests.simulator.errors import SimulatorError
from tests.simulator.ledger import Delivery, Ledger, ReadReceipt, Reception, Submission
from tests.simulator.media import MediaStore
from tests.simulator.models import (
    ACK_DELIVERED,
    ACK_READ,
    ACK_SENT,
    MAX_LINKED_DEVICES,
    Account,
    Contact,
    Device,
    Entry,
    Frame,
    Group,
    Link,
    Message,
    new_message_id,
)
from tests.simulator.wids import is_group, lid_wid, parse_number, pn_wid


class World:
    """All accounts and groups of one simulator."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.accounts: dict[str, Account] = {}
        self.groups: dict[str, Group] = {}
        self.ledger = Ledger()
        self.media = MediaStore()
        self.changed = changed
        self._on_whatsapp: set[str] = set()
        self._lids: dict[str, str] = {}
        self._group_ids = itertools.count(120363000000000001)

    # Who exists

    def know(self, number: str) -> str:
        """Put a number on WhatsApp (a contact with a phone of its own that the simulator plays)."""
        number = parse_number(number)
        self._on_whatsapp.add(number)
        self._lids[lid_wid(number)] = number
        return number

    def exists(self, number: str) -> bool:
        """Whether a number is on WhatsApp."""
        return number in self._on_whatsapp

    def account(self, number: str, name: str | None = None, lid_chats: bool = False) -> Account:
        """The account of a number, made on first use."""
        number = self.know(number)
        if number not in self.accounts:
            self.accounts[number] = Account(number, name or f"Phone {number[-4:]}", lid_chats=lid_chats)
            self.changed()
        return self.accounts[number]

    def add_contact(self, account: Account, number: str, name: str, on_whatsapp: bool = True) -> Contact:
        """Write a contact into a phone's book."""
        number = self.know(number) if on_whatsapp else parse_number(number)
        contact = account.contacts[number] = Contact(number, name)
        account.owe_all({"t": "contact", "contact": self.contact_frame(account, contact)})
        self.changed()
        return contact

    def add_group(
        self, subject: str, participants: Iterable[str], now: float, addressing: str = "pn"
    ) -> Group:
        """Found a group; every member that is an account sees it."""
        if addressing not in ("pn", "lid"):
            raise SimulatorError(f"addressing is 'pn' or 'lid', not {addressing!r}")
        members = list(dict.fromkeys(self.know(number) for number in participants))
        id_ = f"{next(self._group_ids)}@g.us"
        group = Group(id_, subject, members, int(now), addressing, admins=set(members[:1]))
        self.groups[group.id] = group
        for number in members:
            if number in self.accounts:
                self.accounts[number].owe_all({"t": "group", "group": self.group_frame(group)})
        self.changed()
        return group

    def group(self, group_id: str) -> Group:
        """A group by its id."""
        try:
            return self.groups[group_id]
        except KeyError:
            known = ", ".join(f"{g.id} ({g.subject})" for g in self.groups.values()) or "there is none"
            raise SimulatorError(f"no group {group_id!r}; known groups: {known}") from None

    def groups_of(self, number: str) -> list[Group]:
        """The groups a number is in."""
        return [group for group in self.groups.values() if number in group.participants]

    def resolve(self, wid: str) -> str:
        """A number or group id from what a page or a person wrote (`…@c.us`, `…@lid`, `…@g.us`, `+…`)."""
        if is_group(wid):
            return self.group(wid).id
        if wid.endswith("@lid"):
            if wid not in self._lids:
                raise SimulatorError(f"nobody has the hidden id {wid}")
            return self._lids[wid]
        return parse_number(wid)

    # Messages

    def submit(
        self, account: Account, device: Device | None, message: Message, now: float, to: str = ""
    ) -> Entry | None:
        """A message that `account` sends, from a page (`device`) or typed on the phone (None).

        `to` is the chat's id as the page wrote it.
        The page is answered first, whoever is concerned hears of it afterwards. A repeated id is noted in
        the ledger and dropped. None when the recipient does not exist, or the send is to fail.
        """
        if message.kind in actions.KINDS and actions.of(self, account, message) is None:
            self._refuse(account, device, message, now, to, "message not found")
            return None
        if device is not None and account.send_errors:
            self._refuse(account, device, message, now, to, account.send_errors.popleft(), thrown=True)
            return None
        chat = message.to if is_group(message.to) else pn_wid(message.to)
        known = account.entries.get(message.id) or account.acts.get(message.id)
        entry: Entry | None = known or Entry(message, chat, from_me=True, ack=ACK_SENT)
        if is_group(message.to):
            reachable = message.to in self.groups and account.number in self.groups[message.to].participants
        else:
            reachable = self.exists(message.to)
        if known is None and not reachable:
            entry = None
        if entry is None:
            self._refuse(account, device, message, now, to, "recipient not found")
            return None
        if device is not None:
            self._note(account, message, now, to, known is not None, None)
        if device is not None and device.link is not None and not account.hold_acks:
            self.acknowledge(device.link, entry)
        if known is None and message.kind in actions.KINDS:
            account.acts[message.id] = entry
            actions.perform(self, account, message, but=device.id if device else None)
        elif known is None:
            account.entries[message.id] = entry
            account.owe_all(self.message_frame(account, entry), but=device.id if device else None)
            self._deliver(account, entry, now)
        self.changed()
        return entry

    def _note(
        self, account: Account, message: Message, now: float, to: str, duplicate: bool, error: str | None
    ) -> None:
        content = message.content
        chat = message.to if is_group(message.to) else pn_wid(message.to)
        self.ledger.submissions.append(
            Submission(
                account.number,
                message.id,
                chat,
                message.text,
                now,
                duplicate=duplicate,
                accepted=error is None,
                kind=message.kind,
                to=to or chat,
                quoted_id=content.get("quotedStanzaID"),
                mentions=tuple(content.get("mentionedJidList") or ()),
                target=content.get("target"),
                media=self.media.describe(content) if error is None else None,
                error=error,
                content=content,
            )
        )

    def _refuse(
        self, account: Account, device: Device | None, message: Message, now: float, to: str, error: str,
        thrown: bool = False,
    ) -> None:  # fmt: skip
        if device is None:
            return
        self._note(account, message, now, to, False, error)
        if device.link is not None:
            device.link.send({"t": "nack", "id": message.id, "thrown": error if thrown else None})
        self.changed()

    def acknowledge(self, link: Link, entry: Entry) -> None:
        """Tell a page that the server has its message."""
        link.send({"t": "ack", "id": entry.id, "ack": entry.ack, "ts": entry.message.t})

    def receive(self, account: Account, sender: str, text: str, now: float, **more: Any) -> Entry:
        """A message that somebody writes to `account`, or to a group that both are in (`group`)."""
        sender = self.know(sender)
        to = self.resolve(more.pop("group", None) or account.number)
        if is_group(to) and sender not in self.group(to).participants:
            raise SimulatorError(f"{sender} is not in the group {to}")
        if sender == account.number:
            raise SimulatorError("a phone does not write to itself here: use write() for its own messages")
        id_ = more.pop("id", None) or new_message_id()
        hidden = bool(more.pop("hidden", False))
        message = Message(id_, sender, to, {"type": "chat", "body": text, **more}, int(now))
        if sender in self.accounts:
            self.submit(self.accounts[sender], None, message, now)
            return account.entries[message.id]
        for number in self._recipients(message):
            if number in self.accounts:
                self._file(self.accounts[number], message, now, hidden)
        self.changed()
        return account.entries[message.id]

    def _recipients(self, message: Message) -> list[str]:
        members = self.group(message.to).participants if is_group(message.to) else [message.to]
        return [number for number in members if number != message.sender]

    def concerned(self, message: Message) -> set[str]:
        """The numbers in whose chat a message is."""
        return {message.sender, *self._recipients(message)}

    def _file(self, account: Account, message: Message, now: float, hidden: bool = False) -> None:
        if message.id in account.entries:
            return
        chat = message.to if is_group(message.to) else pn_wid(message.sender)
        entry = account.entries[message.id] = Entry(message, chat, from_me=False, hidden=hidden)
        account.owe_all(self.message_frame(account, entry))
        self.ledger.deliveries.append(
            Delivery(message.sender, account.number, message.id, chat, message.text, now, message.kind)
        )

    def _deliver(self, account: Account, entry: Entry, now: float) -> None:
        for number in self._recipients(entry.message):
            if number in self.accounts:
                self._file(self.accounts[number], entry.message, now)
            else:
                self.ledger.deliveries.append(
                    Delivery(account.number, number, entry.id, entry.chat, entry.text, now, entry.kind)
                )
            if account.auto_deliver and not account.hold_acks:
                self.receipt(account, entry, number, ACK_DELIVERED, now)

    def receipt(self, account: Account, entry: Entry, by: str, ack: int, now: float) -> None:
        """`by` has received (2) or read (3) a message that `account` sent; repeats are dropped."""
        everyone = set(self._recipients(entry.message))
        marks = entry.read_by if ack == ACK_READ else entry.delivered_to
        if not entry.from_me or by in marks or by not in everyone:
            return
        marks.add(by)
        if ack == ACK_READ:
            entry.delivered_to.add(by)
        if everyone <= entry.read_by:
            entry.ack = ACK_READ
        elif everyone <= entry.delivered_to:
            entry.ack = max(entry.ack, ACK_DELIVERED)
        group = self.groups.get(entry.chat)
        account.owe_all(
            {
                "t": "receipt",
                "chat": self.chat_wid(account, entry.chat),
                "ids": [entry.id],
                "ack": ack,
                "total": entry.ack,
                "by": group.wid_of(by) if group else None,
                "ts": int(now),
            }
        )
        self.changed()

    def read_sent(self, account: Account, chat: str, by: str | None, now: float) -> int:
        """Whoever is at the other end of `chat` reads what `account` sent; how many messages that were."""
        target = self.resolve(chat)
        wid = target if is_group(target) else pn_wid(target)
        unread = [e for e in account.entries.values() if e.from_me and e.chat == wid and e.ack < ACK_READ]
        for entry in unread:
            for number in [parse_number(by)] if by else self._recipients(entry.message):
                self.receipt(account, entry, number, ACK_READ, now)
        return len(unread)

    def read_received(self, account: Account, chat: str, now: float) -> None:
        """`account` has read a chat: senders that are accounts see it."""
        unread = [
            e for e in account.entries.values() if not e.from_me and e.chat == chat and e.ack < ACK_READ
        ]
        for entry in unread:
            entry.ack = ACK_READ
            sender = self.accounts.get(entry.message.sender)
            if sender is not None:
                self.receipt(sender, sender.entries[entry.id], account.number, ACK_READ, now)
        if unread:
            ids = tuple(entry.id for entry in unread)
            self.ledger.read_receipts.append(ReadReceipt(account.number, chat, ids, now))
        self.changed()

    # Devices

    def link(self, account: Account, device_id: str, name: str) -> Device:
        """Link a page to a phone; a page that was linked already stays as it is."""
        if device_id in account.devices:
            return account.devices[device_id]
        if len(account.devices) >= MAX_LINKED_DEVICES:
            raise SimulatorError(
                f"{account.number} has {MAX_LINKED_DEVICES} linked devices: unlink one first"
            )
        device = account.devices[device_id] = Device(device_id, name)
        self.changed()
        return device

    def unlink(self, account: Account, device_id: str, reason: str) -> None:
        """Take a page off the phone's list; it is told now, or when it next connects."""
        device = account.devices.pop(device_id, None)
        if device is not None and device.link is not None:
            device.link.send({"t": "logout", "reason": reason})
        self.changed()

    def confirm(self, account: Account, device: Device, sequence: int, now: float) -> None:
        """A page has stored what it was owed under this number."""
        frame = device.pending.pop(sequence, None)
        if frame is not None and frame["t"] == "msg":
            self.ledger.receptions.append(Reception(account.number, device.id, frame["msg"]["id"], now))
        self.changed()

    # What pages are told

    def chat_wid(self, account: Account, chat: str) -> str:
        """The id by which an account's pages know a chat; `chat` is by number, or a group's."""
        if is_group(chat) or not (account.lid_chats or parse_number(chat) in account.lid_numbers):
            return chat
        return lid_wid(parse_number(chat))

    def user_wid(self, account: Account, number: str, group: Group | None) -> str:
        """The id by which an account's pages know somebody, in a group or in the direct chat."""
        if number == account.number:
            return account.lid if group or account.lid_chats else account.wid
        return group.wid_of(number) if group else self.chat_wid(account, pn_wid(number))

    def contact_frame(self, account: Account, contact: Contact) -> Frame:
        """A contact as a page learns of it."""
        wid = pn_wid(contact.number)
        lid, chat = lid_wid(contact.number), self.chat_wid(account, wid)
        return {"id": wid, "lid": lid, "name": contact.name, "chat": chat}

    def group_frame(self, group: Group) -> Frame:
        """A group as a page learns of it."""
        members = [
            {"id": group.wid_of(n), "isAdmin": n in group.admins, "isSuperAdmin": i == 0}
            for i, n in enumerate(group.participants)
        ]
        return {"id": group.id, "subject": group.subject, "creation": group.created, "participants": members}

    def message_frame(self, account: Account, entry: Entry, kind: str = "msg") -> Frame:
        """A message as a page learns of it."""
        message, group = entry.message, self.groups.get(entry.chat)
        sender = self.accounts.get(message.sender)
        book = account.contacts.get(message.sender)
        author = None
        if group:
            author = account.lid if entry.from_me else group.wid_of(message.sender)
        number = message.to if entry.from_me else message.sender
        peer = None if group else {"id": pn_wid(number), "lid": lid_wid(number)}
        return {
            "t": kind,
            "msg": {
                "id": message.id, "chat": self.chat_wid(account, entry.chat), "fromMe": entry.from_me,
                "author": author, "peer": peer, "ts": message.t, "ack": entry.ack, "content": entry.content,
                "notifyName": sender.name if sender else book.name if book else message.sender,
            },
        }  # fmt: skip

    def chat_frames(self, account: Account, device: Device | None) -> list[Frame]:
        """How chats stand for a page: what it has of unread messages, whether archived, whether pinned."""
        pending = device.pending.values() if device else ()
        owed = {frame["msg"]["id"] for frame in pending if frame["t"] == "msg"}
        received = [e for e in account.entries.values() if not e.from_me and e.id not in owed]
        unread = Counter(entry.chat for entry in received if entry.ack < ACK_READ)
        return [
            {
                "id": self.chat_wid(account, chat),
                "unreadCount": unread[chat],
                "archive": chat in account.archived,
                "pin": chat in account.pinned,
            }
            for chat in dict.fromkeys([*unread, *account.archived, *account.pinned])
        ]

    def snapshot(self, account: Account, history: bool, device: Device | None = None) -> Frame:
        """What a page needs on connecting; with the messages so far if it has just been linked."""
        return {
            "t": "sync",
            "chats": self.chat_frames(account, device),
            "contacts": [self.contact_frame(account, contact) for contact in account.contacts.values()],
            "groups": [self.group_frame(group) for group in self.groups_of(account.number)],
            "history": [self.message_frame(account, e)["msg"] for e in account.entries.values()]
            if history
            else [],
        }

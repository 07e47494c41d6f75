"""What the people that a phone talks to do: they write, send files, react, edit, revoke, vote, call."""

import secrets
import time
from collections.abc import Iterable
from typing import Any

from tests.simulator.accounts import World
from tests.simulator.actions import perform
from tests.simulator.errors import SimulatorError
from tests.simulator.groups import change
from tests.simulator.models import Account, Entry, Frame, Message, new_message_id
from tests.simulator.wids import is_group, parse_number, pn_wid


class Conversation:
    """The other ends of one account's chats; `by` and `from_` are numbers, now and then the account's own."""

    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self.account = account

    def message(self, message_id: str) -> Entry:
        """A message by its id; SimulatorError when the phone has none of that id."""
        try:
            return self.account.entries[message_id]
        except KeyError:
            raise SimulatorError(f"{self.account.number} has no message {message_id!r}") from None

    def media(self, message_id: str) -> bytes:
        """The bytes of the file that a message carries, sent or received, as the phone decrypts them."""
        return self._world.media.read(self.message(message_id).message.content)

    # Messages

    def receive(
        self, from_: str, text: str, group: str | None = None, message_id: str | None = None,
        quoting: str | None = None, mentions: Iterable[str] = (), hidden: bool = False,
    ) -> Entry:  # fmt: skip
        """Somebody writes to this account, or to a group it is in.

        `quoting` is the id of a message of the chat, `mentions` are numbers. A `hidden` message comes as
        `ciphertext` until `reveal`.
        """
        more: dict[str, Any] = {"id": message_id, "hidden": hidden}
        if quoting is not None:
            quoted = self.message(quoting)
            more["quotedStanzaID"] = quoting
            more["quotedMsg"] = {"type": quoted.kind, "body": quoted.text}
            more["quotedParticipant"] = pn_wid(quoted.message.sender)
        if mentioned := [pn_wid(parse_number(number)) for number in mentions]:
            more["mentionedJidList"] = mentioned
        return self._receive(from_, group, {"body": text, **more})

    def _receive(self, from_: str, group: str | None, content: dict[str, Any]) -> Entry:
        text = content.pop("body", "")
        return self._world.receive(self.account, from_, text, time.time(), group=group, **content)

    def reveal(self, message_id: str) -> None:
        """The keys of a `hidden` message have come: pages can read it now."""
        entry = self.message(message_id)
        entry.hidden = False
        self.account.owe_all(self._world.message_frame(self.account, entry, "decrypted"))

    def receive_media(
        self, from_: str, kind: str, data: bytes, mimetype: str, filename: str | None = None,
        caption: str | None = None, group: str | None = None,
    ) -> Entry:  # fmt: skip
        """Somebody sends a file: an `image`, `video`, `audio`, `ptt`, `document` or `sticker`."""
        about = {"mimetype": mimetype, "filename": filename, "caption": caption}
        content = {name: value for name, value in about.items() if value is not None}
        return self._receive(from_, group, {"type": kind, **self._world.media.publish(kind, data), **content})

    def receive_location(
        self, from_: str, lat: float, lng: float, name: str | None = None, group: str | None = None
    ) -> Entry:
        """Somebody sends a place."""
        return self._receive(from_, group, {"type": "location", "lat": lat, "lng": lng, "loc": name or ""})

    def receive_contact(self, from_: str, name: str, number: str, group: str | None = None) -> Entry:
        """Somebody sends a contact."""
        card = vcard(name, parse_number(number))
        return self._receive(from_, group, {"type": "vcard", "vcardFormattedName": name, "body": card})

    def receive_poll(
        self, from_: str, question: str, options: Iterable[str], group: str | None = None, most: int = 0
    ) -> Entry:
        """Somebody asks; `most` options may be chosen, 0: as many as one likes."""
        poll = {
            "type": "poll_creation",
            "pollName": question,
            "pollOptions": [{"name": name, "localId": i} for i, name in enumerate(options)],
            "pollSelectableOptionsCount": most,
        }
        return self._receive(from_, group, poll)

    # What is done to messages

    def react(self, by: str, message_id: str, emoji: str) -> None:
        """Somebody reacts to a message; an empty emoji takes the reaction back."""
        self._act(by, message_id, {"type": "reaction", "text": emoji})

    def edit(self, by: str, message_id: str, text: str) -> None:
        """Whoever wrote a message changes its text."""
        if self.message(message_id).message.sender != parse_number(by):
            raise SimulatorError(f"{message_id} is not a message of {by}")
        self._act(by, message_id, {"type": "protocol", "subtype": "message_edit", "body": text})

    def revoke(self, by: str, message_id: str) -> None:
        """Whoever wrote a message, or a group's admin, deletes it for everyone."""
        own = self.message(message_id).message.sender == parse_number(by)
        subtype = "sender_revoke" if own else "admin_revoke"
        self._act(by, message_id, {"type": "protocol", "subtype": subtype})

    def vote(self, by: str, message_id: str, options: Iterable[str]) -> None:
        """Somebody votes in a poll, by the options' names; a later vote replaces an earlier one."""
        known = [option["name"] for option in self.message(message_id).message.content.get("pollOptions", ())]
        chosen = list(options)
        if not set(chosen) <= set(known):
            raise SimulatorError(f"{message_id} can be answered with: {known or 'nothing, it is no poll'}")
        self._act(by, message_id, {"type": "poll_update", "options": chosen})

    # What else happens

    def presence(self, by: str, state: str, group: str | None = None) -> None:
        """Somebody is `available`, `composing`, `recording` or `unavailable`; for connected pages."""
        number = self._world.know(by)
        in_ = self._world.group(group) if group else None
        frame = {
            "t": "presence",
            "chat": self._world.chat_wid(self.account, in_.id if in_ else pn_wid(number)),
            "by": self._world.user_wid(self.account, number, in_),
            "state": state,
        }
        self._push(frame)

    def call(self, by: str, video: bool = False) -> str:
        """Somebody calls; the call's id. For connected pages."""
        number, id_ = self._world.know(by), secrets.token_hex(16).upper()
        from_ = self._world.chat_wid(self.account, pn_wid(number))
        self._push({"t": "call", "id": id_, "from": from_, "video": video, "ts": int(time.time())})
        return id_

    def change_group(
        self, group: str, action: str, participants: Iterable[str] = (), by: str | None = None,
        subject: str | None = None,
    ) -> None:  # fmt: skip
        """People of a group: `add`, `remove`, `promote`, `demote`, `join`, `leave`; or a new `subject`."""
        change(self._world, self._world.group(group), action, participants, time.time(), by, subject)

    def _push(self, frame: Frame) -> None:
        links = [device.link for device in self.account.devices.values() if device.link is not None]
        if not links:
            raise SimulatorError(f"no page of {self.account.number} is connected")
        for link in links:
            link.send(frame)

    def _act(self, by: str, message_id: str, content: dict[str, object]) -> None:
        by, entry = self._world.know(by), self.message(message_id)
        if by not in self._world.concerned(entry.message):
            raise SimulatorError(f"{by} is not in the chat of {message_id}")
        to = entry.chat if is_group(entry.chat) else entry.message.to
        told = {**content, "target": message_id}
        perform(self._world, self.account, Message(new_message_id(), by, to, told, int(time.time())))


def vcard(name: str, number: str) -> str:
    """A contact as people send it to one another."""
    tel = f"TEL;type=CELL;waid={number.removeprefix('+')}:{number}"
    return f"BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{tel}\nEND:VCARD"

"""What supervisors record, as transactions of the store: see `supervisors.journal.Journal`."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import apsw
import msgspec

from daemon.contents import outgoing
from daemon.files import MediaFiles
from daemon.store import Store, StoreError, incidents, messages, outbox, sessions
from daemon.store.events import append_event
from daemon.store.messages import Content, Observed
from daemon.store.records import MessageRow
from daemon.tallies import Tallies
from protocol.errors import ERRORS, RpcError
from protocol.events import CallReceivedData, ChatPresenceData, GroupUpdatedData, SessionAlertData
from protocol.models import ConnectionInfo, EventType, Media, MessageError, MessageStatus, Record
from protocol.times import rfc3339
from supervisors import machine
from supervisors.faults import reached
from supervisors.journal import ConnectionFacts, Outgoing
from supervisors.machine import Publish, State
from supervisors.whatsapp.meanings import type_of
from supervisors.whatsapp.news import (
    AccountNews,
    Acked,
    Call,
    Edited,
    GroupChange,
    MessageChange,
    PageMessage,
    Presence,
    Reacted,
    Revoked,
    Voted,
)

# A page that was not ready for a message is given it again after this long.
NOT_READY_MS = 2000
# wa-js' ACK -> the protocol's status.
_STATUS_OF_ACK: dict[int, MessageStatus] = {1: "sent", 2: "delivered", 3: "read", 4: "played"}


def now_ms() -> int:
    """Return the time as milliseconds since 1970."""
    return int(time.time() * 1000)


class StoreJournal:
    """The journal of one session; `activity` is told when it last did something (session id -> ms)."""

    def __init__(
        self,
        store: Store,
        files: MediaFiles,
        session_id: str,
        activity: MutableMapping[str, int],
        retry_limit: Callable[[], int],
        tallies: Tallies,
    ) -> None:
        self._store = store
        self._files = files
        self._retry_limit = retry_limit
        self._session_id = session_id
        self._activity = activity
        self._tallies = tallies

    def transition(
        self,
        state: State,
        facts: ConnectionFacts,
        restarts_ms: Sequence[int],
        events: Sequence[Publish],
        happened: Sequence[machine.Incident],
        recorded: Callable[[], None],
    ) -> None:
        at_ms = now_ms()
        for told in events:
            self._tallies.happened(told)

        def job(db: apsw.Connection) -> None:
            sessions.update(
                db,
                self._session_id,
                at_ms,
                status=state.status,
                reason=state.reason,
                desired=state.desired,
                phone_number=facts.phone_number,
                linked_at=facts.linked_at_ms,
                connection_info=connection_info(facts),
                restarts=restarts_ms,
            )
            for event in events:
                append_event(
                    db,
                    type=event.type,  # type: ignore[arg-type]  # the machine's own words; a test holds them
                    session_id=self._session_id,
                    at_ms=at_ms,
                    data=event.data,
                )
            for incident in happened:
                _record_incident(db, self._session_id, incident, at_ms)

        self._store.record(job, recorded)

    def alerted(self, kind: str, detail: str) -> None:
        at_ms = now_ms()
        data = SessionAlertData(kind=kind, detail=detail)
        self._store.record(
            lambda db: append_event(
                db, type="session.alert", session_id=self._session_id, at_ms=at_ms, data=data
            )
        )

    async def is_sending(self) -> bool:
        with _told_as_rpc_error():
            return await self._store.read(lambda db: outbox.queue_length(db, self._session_id)) > 0

    def received(self, message: PageMessage, *, recovered: bool) -> None:
        reached("received.told")
        at_ms = self._touch()
        observed = Observed(
            id=message.id,
            key=message.key,
            chat_id=message.chat_id,
            sender=message.author,
            recipient=message.to,
            timestamp=at_ms if message.timestamp is None else message.timestamp * 1000,
            content=_content(message),
        )

        def job(db: apsw.Connection) -> MessageRow | None:
            if not message.from_me:
                messages.received(db, self._session_id, observed, at_ms, recovered=recovered)
                reached("received.written")
                return None
            status = _STATUS_OF_ACK.get(message.ack or 0)
            if messages.own_from_phone(db, self._session_id, observed, at_ms, recovered=recovered) is None:
                if status is not None:  # known already: the page may know more of what became of it
                    return messages.ack(db, self._session_id, message.id, status, at_ms)
            elif status is not None:
                messages.ack(db, self._session_id, message.key, status, at_ms)
            return None

        def recorded() -> None:
            reached("received.committed")
            self._drop_file(pending.committed)

        pending = self._store.record(job, recorded)

    def acked(self, ack: Acked) -> None:
        status = _STATUS_OF_ACK.get(ack.ack)
        if status is None:
            return
        reached("ack.told")
        self._note_ack(ack.id, status, "ack")

    async def keep_file(self, key: str, data: bytes) -> None:
        await self._files.keep_downloaded(self._session_id, key, data)

    def changed(self, change: MessageChange) -> None:
        at_ms = self._touch()
        session_id = self._session_id

        def job(db: apsw.Connection) -> None:
            match change:
                case Edited(key=key, text=text):
                    messages.edited(db, session_id, key, text, at_ms)
                case Revoked(key=key):
                    messages.deleted(db, session_id, key, at_ms)
                case Reacted(key=key):
                    more: dict[str, Any] = {"from": change.sender, "emoji": change.emoji}
                    messages.noted(db, session_id, key, "message.reaction", at_ms, more)
                case Voted(key=key):
                    more = {"from": change.sender, "options": change.options}
                    messages.noted(db, session_id, key, "message.poll_vote", at_ms, more)

        self._store.record(job)

    def noticed(self, news: AccountNews) -> None:
        at_ms = self._touch()
        match news:
            case Presence():
                kind: EventType = "chat.presence"
                data: Record = ChatPresenceData(
                    chat_id=news.chat_id, sender=news.sender, state=news.state or "unavailable"
                )
            case Call():
                kind = "call.received"
                data = CallReceivedData(
                    call_id=news.call_id, sender=news.sender, video=news.video, group=news.group
                )
            case GroupChange():
                kind = "group.updated"
                data = GroupUpdatedData(
                    group_id=news.group_id, action=news.action, participants=news.participants, by=news.by
                )

        def job(db: apsw.Connection) -> None:
            append_event(db, type=kind, session_id=self._session_id, at_ms=at_ms, data=data)

        self._store.record(job)

    def resolved(self, message_id: str, key: str, chat_id: str) -> None:
        reached("key.told")
        at_ms = now_ms()
        self._store.record(
            lambda db: outbox.resolve_key(db, self._session_id, message_id, key, at_ms, chat_id=chat_id)
        )

    def settled(self, message_id: str, ack: int) -> None:
        self._note_ack(message_id, _STATUS_OF_ACK.get(ack, "played"), "settled")

    def _note_ack(self, message_id: str, status: MessageStatus, step: str) -> None:
        at_ms = self._touch()

        def job(db: apsw.Connection) -> MessageRow | None:
            row = messages.ack(db, self._session_id, message_id, status, at_ms)
            reached(f"{step}.written")
            return row

        def recorded() -> None:
            reached(f"{step}.committed")
            row = pending.committed
            if row is not None and row.origin == "api":
                self._tallies.acknowledged(status, (at_ms - row.created_at) / 1000)
            self._drop_file(row)

        pending = self._store.record(job, recorded)

    def _drop_file(self, row: MessageRow | None) -> None:
        """Remove the file of a message of ours that WhatsApp has; not before that is on record."""
        if row is not None and row.origin == "api" and row.media is not None:
            self._files.drop(self._session_id, row.id)

    def failed(self, message_id: str, code: str, message: str) -> None:
        at_ms = self._touch()
        error = MessageError(code=code, message=message)
        self._store.record(lambda db: outbox.fail(db, self._session_id, message_id, error, at_ms))

    def keys_missing(self, message_id: str) -> None:
        at_ms = self._touch()
        error = MessageError(
            code="NO_ENCRYPTION_SESSION",
            message=ERRORS["NO_ENCRYPTION_SESSION"].message,
            details={"action": ERRORS["NO_ENCRYPTION_SESSION"].action},
        )
        self._store.record(
            lambda db: outbox.keys_missing(
                db,
                self._session_id,
                message_id,
                at_ms,
                limit=self._retry_limit(),
                delay_ms=backoff_ms,
                error=error,
            )
        )

    async def next_due(self) -> float | None:
        with _told_as_rpc_error():
            due_ms = await self._store.read(lambda db: outbox.next_retry_at(db, self._session_id))
        return None if not due_ms else max(0.0, (due_ms - now_ms()) / 1000)

    async def take(self, limit: int) -> Sequence[Outgoing]:
        at_ms = now_ms()

        def job(db: apsw.Connection) -> list[MessageRow]:
            taken = outbox.take(db, self._session_id, at_ms, limit)
            if taken:
                reached("sending.written")
            return taken

        with _told_as_rpc_error():
            rows = await self._store.write(job)
        if rows:
            reached("sending.recorded")
        return self._sendable(rows)

    async def unsettled(self) -> Sequence[Outgoing]:
        # Not a read: that would not see outcomes that are still on their way to the disk.
        with _told_as_rpc_error():
            rows = await self._store.write(lambda db: outbox.unsettled(db, self._session_id))
        return self._sendable(rows)

    def put_back(self, message_id: str) -> None:
        at_ms = now_ms()
        self._store.record(
            lambda db: outbox.requeue(db, self._session_id, message_id, at_ms, retry_at=at_ms + NOT_READY_MS)
        )

    def caught_up(self, until_s: int) -> None:
        self._store.record(lambda db: sessions.catch_up(db, self._session_id, until_s * 1000))

    async def caught_up_s(self) -> int | None:
        def query(db: apsw.Connection) -> int | None:
            mark = sessions.caught_up(db, self._session_id)
            return messages.newest(db, self._session_id) if mark is None else mark

        mark_ms = await self._store.read(query)
        return None if mark_ms is None else mark_ms // 1000

    def _sendable(self, rows: Sequence[MessageRow]) -> list[Outgoing]:
        """Return what can be sent; what says nothing because it cannot be decrypted has failed."""
        for row in rows:
            if not row.readable:
                self.failed(row.id, "INTERNAL_ERROR", "What it says cannot be decrypted")
        return [self._outgoing(row) for row in rows if row.readable]

    def _outgoing(self, row: MessageRow) -> Outgoing:
        return outgoing(row, self._files.outgoing(self._session_id, row.id))

    def _touch(self) -> int:
        at_ms = self._activity[self._session_id] = now_ms()
        return at_ms


@contextlib.contextmanager
def _told_as_rpc_error() -> Iterator[None]:
    """Raise STORE_FULL where the disk does not let the store be read or written, for whatever reason."""
    try:
        yield
    except StoreError as error:
        raise RpcError("STORE_FULL", str(error)) from error


def backoff_ms(count: int) -> int:
    """Return how long to wait after the count-th failure: 2 s, doubled, a minute at most, with jitter."""
    return int(min(60_000, 2000 * 2 ** (count - 1)) * random.uniform(0.8, 1.2))  # noqa: S311  no secret


def connection_info(facts: ConnectionFacts) -> ConnectionInfo | None:
    """Return what clients see of the link, None where there never was one."""
    if facts.connected_at_ms is None:
        return None
    return ConnectionInfo(
        connected_at=rfc3339(facts.connected_at_ms),
        client_version=facts.client_version,
        device_model=facts.device_model,
        platform=facts.platform,
        wid=facts.wid,
    )


def _record_incident(db: apsw.Connection, session_id: str, incident: machine.Incident, at_ms: int) -> None:
    match incident:
        case machine.Note(kind=kind, detail=detail, action=action):
            recovered_at = at_ms if incident.over else None
            incidents.note(db, session_id, kind, detail, action, at_ms, recovered_at=recovered_at)
        case machine.Tried(action=action):
            incidents.tried(db, session_id, action)
        case machine.Over(only=only, but=but):
            incidents.over(db, session_id, at_ms, only=only, but=but)


def _content(message: PageMessage) -> Content:
    media = None
    if message.mimetype is not None:
        media = Media(mimetype=message.mimetype, filename=message.filename, bytes=message.bytes)
    options: dict[str, Any] = {}
    if message.options:
        options["options"] = message.options
    if message.location is not None:
        options |= msgspec.to_builtins(message.location)
    if message.kind == "ptt":
        options["ptt"] = True
    return Content(
        type=type_of(message) or message.kind,
        text=message.text if message.location is None else message.location.name,
        media=media,
        quoted_id=message.quoted_id,
        mentions=message.mentions,
        options=options,
    )

"""All webhooks: each delivers in a task of its own, and is replaced when what it is changes."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs
import msgspec
import structlog
import trio

from daemon.journal import now_ms
from daemon.store import webhooks as table
from protocol.errors import RpcError
from protocol.times import parse, rfc3339

from . import guard
from .delivery import Delivery, message_id
from .sender import Sender

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

    import apsw

    from daemon.config import WebhooksSettings
    from daemon.store import Store
    from daemon.store.webhooks import Hook, State

    from .sender import Attempt

__all__ = ["Webhooks"]

_log = structlog.get_logger(__name__)

_CLOSE_S: Final = 1.0
_CONFIGURE_S: Final = 1.0
"""How long the start waits until what the configuration says is in the store."""


@attrs.define(eq=False)
class _Running:
    delivery: Delivery
    sender: Sender
    scope: trio.CancelScope = attrs.Factory(trio.CancelScope)
    ended: trio.Event = attrs.Factory(trio.Event)


class Webhooks:
    """The webhooks of the store, kept in step with it by `refresh`. `tls` is whom they trust."""

    def __init__(
        self, store: Store, settings: WebhooksSettings, *, version: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self.policy = _policy(settings)
        self._store = store
        self._settings = settings
        self._version = version
        self._tls = tls
        self.requests: Final[dict[str, Counter[str]]] = {}
        """How the requests of each webhook went since the start: `delivered`, `failed`."""
        self._running: dict[str, _Running] = {}
        self._lock = trio.Lock()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled; `started` when every webhook follows the log.

        While the store takes nothing (its pages are checked, its disk is full) those follow that it knows;
        what the configuration has changed comes later.
        """
        configuring = self._store.record(_following(self._settings))
        with trio.move_on_after(_CONFIGURE_S):
            await configuring.wait()
        async with trio.open_nursery() as self._nursery:
            await self.refresh()
            task_status.started()
            if not configuring.done:
                await configuring.wait()
                await self.refresh()
            await trio.sleep_forever()

    async def configure(self, settings: WebhooksSettings) -> None:
        """Follow changed settings: the configuration's webhook keeps its place, unless there is none now.

        Raises StoreFull, StoreError: then all stays as it was.
        """
        await self._store.write(_following(settings))
        async with self._lock:
            policy = _policy(settings)
            for_all = (policy, settings.retry_for) != (self.policy, self._settings.retry_for)
            self._settings, self.policy = settings, policy
            for hook_id in [*self._running] if for_all else ():
                hook = self._running[hook_id].delivery.hook
                self._start(hook, await self._stop(hook_id))
        await self.refresh()

    def __iter__(self) -> Iterator[tuple[Hook, State]]:
        """Every webhook and where it stands, oldest first."""
        found = sorted(self._running.values(), key=lambda each: _order(each.delivery.hook))
        return iter([(each.delivery.hook, each.delivery.state) for each in found])

    def get(self, hook_id: str) -> tuple[Hook, State]:
        """Return a webhook and where it stands. Raises WEBHOOK_NOT_FOUND."""
        delivery = self._get(hook_id).delivery
        return delivery.hook, delivery.state

    async def refresh(self) -> None:
        """Take over what has changed in the store: webhooks begin, go on as they are now, or end."""
        async with self._lock:
            wanted = await self._store.read(
                lambda db: {
                    hook.id: (hook, None if hook.id in self._running else table.load(db, hook.id))
                    for hook in table.list_(db)
                }
            )
            for hook_id in [*self._running]:
                if hook_id not in wanted:
                    await self._stop(hook_id)
                    del self.requests[hook_id]
            for hook_id, (hook, state) in wanted.items():
                if state is not None:
                    self._start(hook, state)
                elif (running := self._running[hook_id]).delivery.hook != hook:
                    moved = running.delivery.hook.url != hook.url
                    self._start(hook, _at_once(await self._stop(hook_id), enable=moved))

    async def rewind(self, hook_id: str, after: int) -> None:
        """Have a webhook deliver again what follows `after`. Raises as `webhooks.rewind` does."""
        async with self._paused(hook_id):
            await self._store.write(lambda db: table.rewind(db, hook_id, after))

    async def try_now(self, hook_id: str) -> None:
        """Try at once what waits for its next attempt, and enable the webhook. Raises WEBHOOK_NOT_FOUND."""
        async with self._lock:
            hook = self._get(hook_id).delivery.hook
            self._start(hook, _at_once(await self._stop(hook_id), enable=True))

    async def test(self, hook_id: str) -> Attempt:
        """Send an event that is not in the log. Raises WEBHOOK_NOT_FOUND."""
        running = self._get(hook_id)
        event = {
            "seq": 0,
            "type": "webhook.test",
            "sessionId": running.delivery.hook.session_id,
            "timestamp": rfc3339(now_ms()),
            "data": {},
        }
        return await running.sender.post(f"test_{secrets.token_hex(12)}", msgspec.json.encode(event))

    async def send_dead_letter(self, hook_id: str, number: int) -> Attempt:
        """Try a dead letter once more; it is forgotten when it is taken.

        Raises WEBHOOK_NOT_FOUND, CURSOR_EXPIRED if its event is no longer in the log.
        """
        running = self._get(hook_id)
        letter = await self._store.read(lambda db: table.dead_letter(db, hook_id, number))
        page = await self._store.log.list(letter.seq - 1, 1)
        if letter.type is None or not page.events or page.events[0].seq != letter.seq:
            raise RpcError(
                "CURSOR_EXPIRED", "The event is no longer in the log", oldest=self._store.log.oldest
            )
        event = page.events[0]
        attempt = await running.sender.post(message_id(event.seq, parse(event.record.timestamp)), event.json)
        if attempt.delivered:
            await self._store.write(lambda db: table.drop_dead_letter(db, hook_id, number))
        return attempt

    def _get(self, hook_id: str) -> _Running:
        running = self._running.get(hook_id)
        if running is None:
            raise RpcError("WEBHOOK_NOT_FOUND", webhookId=hook_id)
        return running

    @contextlib.asynccontextmanager
    async def _paused(self, hook_id: str) -> AsyncIterator[None]:
        """Let a webhook's state be changed in the store; it goes on from there, or as it was."""
        async with self._lock:
            hook = self._get(hook_id).delivery.hook
            state = await self._stop(hook_id)
            try:
                yield
                state = await self._store.read(lambda db: table.load(db, hook_id))
            finally:
                self._start(hook, state)

    def _start(self, hook: Hook, state: State) -> None:
        assert self._nursery is not None  # noqa: S101  `run` comes first
        sender = Sender(hook, self.policy, version=self._version, tls=self._tls)
        counts = self.requests.setdefault(hook.id, Counter())

        async def post(message_id: str, body: bytes) -> Attempt:
            attempt = await sender.post(message_id, body)
            counts["delivered" if attempt.delivered else "failed"] += 1
            return attempt

        delivery = Delivery(
            hook,
            state,
            store=self._store,
            post=post,
            retry_for_s=self._settings.retry_for,
            now_ms=now_ms,
            chance=random.random,
        )
        running = self._running[hook.id] = _Running(delivery, sender)
        self._nursery.start_soon(self._run, running)

    async def _run(self, running: _Running) -> None:
        try:
            with running.scope:
                await running.delivery.run()
                await trio.sleep_forever()  # disabled: it can still be tested
        finally:
            with trio.move_on_after(_CLOSE_S, shield=True):
                await running.sender.close()
            running.ended.set()

    async def _stop(self, hook_id: str) -> State:
        """End a webhook's task; return where it stood, which is on its way to the disk too."""
        running = self._running[hook_id]
        running.scope.cancel()
        await running.ended.wait()
        del self._running[hook_id]
        return running.delivery.state


def _policy(settings: WebhooksSettings) -> guard.Policy:
    return guard.Policy(
        allow_http=settings.allow_http, allow_addresses=guard.networks(settings.allow_addresses)
    )


def _following(settings: WebhooksSettings) -> Callable[[apsw.Connection], None]:
    """Return the job that keeps the configuration's webhook in step with it."""

    def job(db: apsw.Connection) -> None:
        table.follow_config(db, settings.url, settings.events, settings.secret or None, at_ms=now_ms())

    return job


def _order(hook: Hook) -> tuple[int, str]:
    return hook.created_at, hook.id


def _at_once(state: State, *, enable: bool) -> State:
    """Return the state with nothing waiting for its time."""
    return attrs.evolve(
        state,
        lanes=tuple(attrs.evolve(lane, next_at=0) for lane in state.lanes),
        disabled=None if enable else state.disabled,
    )

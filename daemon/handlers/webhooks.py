"""webhook.*: where events are POSTed to."""

import secrets
from typing import Final

import apsw

from daemon.dispatch import Call
from daemon.journal import now_ms
from daemon.service import Service
from daemon.store import sessions
from daemon.store import webhooks as table
from daemon.store.webhooks import DeadLetterRow, Hook, State
from daemon.webhooks import guard, signature
from daemon.webhooks.sender import Attempt
from protocol.errors import RpcError
from protocol.models import (
    DeadLetter,
    SettingsPatch,
    Webhook,
    WebhookAttempt,
    WebhookCreateParams,
    WebhookDeleteResult,
    WebhookListParams,
    WebhookListResult,
    WebhookParams,
    WebhookReplayParams,
    WebhookReplayResult,
)
from protocol.times import rfc3339

MOST_OF_A_SESSION: Final = 100
"""How many webhooks webhook.create makes for a session: each costs a task, and requests for every event."""


async def create(service: Service, call: Call, params: WebhookCreateParams) -> Webhook:
    if params.session_id is None and call.peer.role != "admin":
        raise RpcError(
            "FORBIDDEN",
            "A webhook for every session is told of those too that you may not see: it needs the role admin",
            role=call.peer.role or "none",
            required="admin",
            action="Give a `sessionId`, or ask an admin.",
        )
    check(service, params.url, params.secret, "$.url", "$.secret")
    hook = Hook(
        id=f"wh_{secrets.token_hex(12)}",
        source="api",
        session_id=None if params.session_id is None else service.session(params.session_id).id,
        url=params.url,
        events=frozenset(params.events),
        secret=params.secret,
        headers=params.headers,
        created_at=now_ms(),
    )

    def job(db: apsw.Connection) -> None:
        if hook.session_id is not None:
            sessions.get(db, hook.session_id)
            if table.count(db, hook.session_id) >= MOST_OF_A_SESSION:
                raise RpcError(
                    "INVALID_PARAMS",
                    f"The session has {MOST_OF_A_SESSION} webhooks",
                    action="Delete some of them with webhook.delete.",
                )
        table.insert(db, hook)

    async def carry_out() -> Webhook:
        await service.store.write(job)
        await service.webhooks.refresh()
        return await _record(service, hook.id)

    return await service.see_through(carry_out)


async def list_(service: Service, call: Call, params: WebhookListParams) -> WebhookListResult:
    found = [
        (hook, state)
        for hook, state in service.webhooks
        if params.session_id in (None, hook.session_id)
        and params.webhook_id in (None, hook.id)
        and service.visibility.sees(call.peer, hook.session_id)
    ]
    page = found[params.offset : params.offset + params.limit]
    shown = [hook.id for hook, _ in page]

    def query(db: apsw.Connection) -> tuple[list[DeadLetterRow], dict[str, int]]:
        return table.dead_letters(db, shown, params.limit), table.count_dead_letters(db, shown)

    letters, counts = await service.store.read(query)
    return WebhookListResult(
        webhooks=tuple(_webhook(service, hook, state, counts.get(hook.id, 0)) for hook, state in page),
        dead_letters=tuple(
            _dead_letter(letter)
            for letter in letters
            if service.visibility.sees_event(call.peer, letter.session_id, letter.seq)
        ),
        total=len(found),
    )


async def delete(service: Service, _call: Call, params: WebhookParams) -> WebhookDeleteResult:
    async def carry_out() -> WebhookDeleteResult:
        await service.store.write(lambda db: table.delete(db, params.webhook_id))
        await service.webhooks.refresh()
        return WebhookDeleteResult()

    return await service.see_through(carry_out)


async def replay(service: Service, _call: Call, params: WebhookReplayParams) -> WebhookReplayResult:
    async def carry_out() -> WebhookReplayResult:
        attempt = None
        if params.dead_letter_id is not None:
            attempt = await service.webhooks.send_dead_letter(params.webhook_id, params.dead_letter_id)
        elif params.after is not None:
            await service.webhooks.rewind(params.webhook_id, params.after)
        else:
            await service.webhooks.try_now(params.webhook_id)
        return WebhookReplayResult(
            webhook=await _record(service, params.webhook_id),
            attempt=None if attempt is None else _attempt(attempt),
        )

    return await service.see_through(carry_out)


async def test(service: Service, _call: Call, params: WebhookParams) -> WebhookAttempt:
    return _attempt(await service.webhooks.test(params.webhook_id))


def check_settings(service: Service, settings: SettingsPatch) -> None:
    """Refuse settings that name a webhook which could never be delivered. Raises INVALID_PARAMS."""
    check(
        service,
        settings.webhook_url if isinstance(settings.webhook_url, str) else None,
        settings.webhook_secret if isinstance(settings.webhook_secret, str) else None,
        "$.settings.webhookUrl",
        "$.settings.webhookSecret",
    )


def check(service: Service, url: str | None, secret: str | None, url_path: str, secret_path: str) -> None:
    """Refuse a URL or a secret for what can be told at once. Raises INVALID_PARAMS with their paths."""
    path = url_path
    try:
        if url is not None:
            guard.check_url(url, service.webhooks.policy)
        path = secret_path
        if secret is not None:
            signature.keys(secret)
    except (guard.Refused, ValueError) as error:
        raise RpcError(
            "INVALID_PARAMS", f"{path}: {error}", path=path, problem=str(error), action=f"Correct `{path}`."
        ) from None


async def _record(service: Service, hook_id: str) -> Webhook:
    hook, state = service.webhooks.get(hook_id)
    counts = await service.store.read(lambda db: table.count_dead_letters(db, [hook_id]))
    return _webhook(service, hook, state, counts.get(hook_id, 0))


def _webhook(service: Service, hook: Hook, state: State, dead_letters: int) -> Webhook:
    cursor = min([state.cursor, *(lane.cursor for lane in state.lanes)])
    failing = [lane for lane in state.lanes if lane.failing_since is not None]
    first = min(failing, key=lambda lane: lane.failing_since or 0, default=None)
    due = min((lane.next_at for lane in failing), default=None)
    path, mark, _ = hook.url.partition("?")
    return Webhook(
        id=hook.id,
        source=hook.source,
        session_id=hook.session_id,
        url=f"{path}?…" if mark else path,
        events=tuple(sorted(hook.events)),  # type: ignore[arg-type]  # as they came from the channel
        headers=tuple(sorted(hook.headers)),
        signed=hook.secret is not None,
        created_at=rfc3339(hook.created_at),
        cursor=cursor,
        lag=max(0, service.store.log.latest - cursor),
        last_delivered_at=None if state.delivered_at is None else rfc3339(state.delivered_at),
        failing_since=None if first is None else rfc3339(first.failing_since or 0),
        next_attempt_at=None if due is None or state.disabled is not None else rfc3339(due),
        last_error=None if first is None else first.error,
        disabled_reason=state.disabled,
        dead_letters=dead_letters,
    )


def _dead_letter(row: DeadLetterRow) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        webhook_id=row.webhook,
        seq=row.seq,
        upto=row.upto,
        session_id=row.session_id,
        type=row.type,
        given_up_at=rfc3339(row.at_ms),
        attempts=row.attempts,
        error=row.error,
    )


def _attempt(attempt: Attempt) -> WebhookAttempt:
    return WebhookAttempt(
        delivered=attempt.delivered,
        status=attempt.status,
        error=attempt.error,
        duration_ms=round(attempt.duration_s * 1000),
    )

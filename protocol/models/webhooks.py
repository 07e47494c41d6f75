"""Webhooks: their record, and what the `webhook.*` methods take and answer."""

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from .base import MOST_NUMBER, Cursor, EventType, FieldError, Limit, Offset, Params, Record, SessionRef, Time

WebhookUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/]+\S*$(?!\n)", max_length=2048)]
WebhookEvents = Annotated[tuple[EventType, ...], Meta(description="Which events; none named: all")]
WebhookSecret = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        description="One or more, with spaces between; `whsec_` and base64, or any other text as its bytes",
    ),
]
WebhookRef = Annotated[str, Meta(min_length=1, max_length=160, description="A webhook's id")]
HeaderValue = Annotated[str, Meta(max_length=4096)]
WebhookSource = Literal["api", "session", "config"]

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"([!-~]([ \t!-~]*[!-~])?)?")
_OURS = frozenset(
    {"connection", "content-length", "content-type", "content-encoding", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_MOST_HEADERS = 32


class WebhookCreateParams(Params, frozen=True, kw_only=True):
    """What webhook.create is given; without `session_id` it is told of every session, and of the daemon.

    `headers` go with every request; their values, like the secret, are never shown again.
    """

    url: WebhookUrl
    session_id: SessionRef | None = None
    events: WebhookEvents = ()
    secret: WebhookSecret | None = None
    headers: dict[str, HeaderValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.headers) > _MOST_HEADERS:
            raise FieldError("headers", f"Expected at most {_MOST_HEADERS} headers")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name):
                raise FieldError("headers", "Expected names of HTTP headers")
            if name.lower() in _OURS or name.lower().startswith("webhook-"):
                raise FieldError("headers", f"The header {name} is set by the daemon")
            if not _VALUE.fullmatch(value):
                raise FieldError("headers", f"Expected printable ASCII as the value of {name}")


class WebhookParams(Params, frozen=True, kw_only=True):
    """What methods are given that need the webhook alone."""

    webhook_id: WebhookRef


class Webhook(Record, frozen=True, kw_only=True):
    """A webhook and how its deliveries go.

    `source` is where it stands: `api` (webhook.create), `session` (the setting `webhookUrl`) or `config`. A
    query in `url` is left out; of `headers` only names are shown. Everything up to `cursor` has been
    delivered or given up; `lag` events of the log follow it, wanted or not. `failing_since`, `last_error`
    and `next_attempt_at` are of what is waiting to be tried again, None while nothing is. `disabled_reason`
    is why nothing is sent any more.
    """

    id: str
    source: WebhookSource
    session_id: str | None = None
    url: str
    events: WebhookEvents = ()
    headers: tuple[str, ...] = ()
    signed: bool
    created_at: Time
    cursor: int
    lag: int
    last_delivered_at: Time | None = None
    failing_since: Time | None = None
    next_attempt_at: Time | None = None
    last_error: str | None = None
    disabled_reason: str | None = None
    dead_letters: int = 0


class DeadLetter(Record, frozen=True, kw_only=True):
    """An event that was given up for a webhook.

    Without `type`: the log was cut before the webhook had been told of what lay from `seq` to `upto`.
    """

    id: int
    webhook_id: str
    seq: int
    upto: int
    session_id: str | None = None
    type: EventType | None = None
    given_up_at: Time
    attempts: int
    error: str


class WebhookListParams(Params, frozen=True, kw_only=True):
    """What webhook.list is given; with `session_id` only that session's own webhooks."""

    session_id: SessionRef | None = None
    webhook_id: WebhookRef | None = None
    limit: Limit = 50
    offset: Offset = 0


class WebhookListResult(Record, frozen=True, kw_only=True):
    """A page of webhooks, the latest of their dead letters (at most `limit`); `total` counts all webhooks."""

    webhooks: tuple[Webhook, ...]
    dead_letters: tuple[DeadLetter, ...]
    total: int


class WebhookDeleteResult(Record, frozen=True, kw_only=True):
    """The webhook is gone, with its dead letters."""

    deleted: Literal[True] = True


class WebhookReplayParams(Params, frozen=True, kw_only=True):
    """What webhook.replay is given: where in the log to begin again, or one dead letter to send now.

    Without either what is waiting is tried at once. A disabled webhook is enabled.
    """

    webhook_id: WebhookRef
    after: Cursor | None = None
    dead_letter_id: Annotated[int, Meta(ge=1, le=MOST_NUMBER)] | None = None

    def __post_init__(self) -> None:
        if self.after is not None and self.dead_letter_id is not None:
            raise FieldError("after", "Expected at most one of `after` and `deadLetterId`")


class WebhookAttempt(Record, frozen=True, kw_only=True):
    """How one request went; `status` is None where there was no answer."""

    delivered: bool
    status: int | None = None
    error: str | None = None
    duration_ms: int


class WebhookReplayResult(Record, frozen=True, kw_only=True):
    """Where the webhook stands now, and how the dead letter's request went; delivered, it is gone."""

    webhook: Webhook
    attempt: WebhookAttempt | None = None

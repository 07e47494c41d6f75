"""The one table of error codes, and the exception that carries them.

Owns: every code a client can see, its number, its HTTP equivalent, its default message and the default
sentence that says what to do. Must not know: who raises them, or how they travel.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self, TypeVar

import msgspec


class ErrorSpec(msgspec.Struct, frozen=True):
    """One row of the table.

    `code` is the stable word that programs test, `number` the JSON-RPC error code, `status` the HTTP
    equivalent; `action` says what the caller can do, where there is something to do.
    """

    code: str
    number: int
    status: int
    message: str
    action: str | None = None


_TABLE = (
    ErrorSpec(
        "PARSE_ERROR",
        -32700,
        400,
        "The line is not JSON",
        "Send one JSON-RPC 2.0 message a line, in UTF-8, its strings escaped as JSON asks.",
    ),
    ErrorSpec(
        "INVALID_REQUEST",
        -32600,
        400,
        "Not a JSON-RPC 2.0 request",
        'Send {"jsonrpc":"2.0","id":…,"method":"…","params":{…}}.',
    ),
    ErrorSpec("METHOD_NOT_FOUND", -32601, 404, "No such method", "Ask rpc.discover which methods there are."),
    ErrorSpec(
        "INVALID_PARAMS",
        -32602,
        400,
        "Invalid parameters",
        "Ask rpc.discover which parameters the method takes.",
    ),
    ErrorSpec(
        "INTERNAL_ERROR",
        -32603,
        500,
        "The daemon failed",
        "Look in the daemon's log for this request; if it happens again, report it.",
    ),
    ErrorSpec("SESSION_NOT_FOUND", -32001, 404, "No such session", "Ask session.list which sessions exist."),
    ErrorSpec(
        "SESSION_EXISTS",
        -32002,
        409,
        "A session with this id exists",
        "Take another id, or leave it out to be given one.",
    ),
    ErrorSpec(
        "SESSION_BUSY",
        -32003,
        409,
        "Session creation already in progress",
        "Wait until it is done (session.wait), or cut it short with session.stop.",
    ),
    ErrorSpec(
        "SESSION_ALREADY_STARTED",
        -32004,
        409,
        "The session is started already",
        "Use it as it is, or session.restart for a new browser.",
    ),
    ErrorSpec(
        "SESSION_NOT_STARTED", -32005, 400, "The session is not started", "Start it first: session.start."
    ),
    ErrorSpec(
        "SESSION_NOT_CONNECTED",
        -32006,
        400,
        "The session is not connected to WhatsApp",
        "Wait until it is connected (session.wait), or link it: session.qr.",
    ),
    ErrorSpec(
        "SESSION_LIMIT",
        -32007,
        403,
        "No more sessions are allowed",
        "Delete a session, or raise `[sessions] max` or `max_per_uid`.",
    ),
    ErrorSpec(
        "QR_NOT_AVAILABLE",
        -32010,
        400,
        "There is no QR code to scan now",
        "Start the session, and ask again when its status is qr_generated.",
    ),
    ErrorSpec(
        "QR_CODE_EXPIRED",
        -32011,
        400,
        "The QR code has expired and no new one has come",
        "Ask again in a few seconds; if none comes, session.restart.",
    ),
    ErrorSpec(
        "AUTH_EXPIRED",
        -32012,
        401,
        "The phone has unlinked this device",
        "Link it again: session.qr gives a new code.",
    ),
    ErrorSpec(
        "PHONE_NUMBER_IN_USE",
        -32013,
        409,
        "Another session is linked to this phone number",
        "Use the other session, or stop it before this one is started.",
    ),
    ErrorSpec(
        "RESTART_LIMIT_EXCEEDED",
        -32014,
        503,
        "The session died too often and is not restarted for now",
        "Look at the causes in the log, then session.start: it begins a new budget.",
    ),
    ErrorSpec(
        "BROWSER_UNAVAILABLE",
        -32015,
        503,
        "No browser could be started",
        "Install chromium, or set `[browser] path`; the log has the browser's last words.",
    ),
    ErrorSpec(
        "PAGE_TIMEOUT",
        -32016,
        504,
        "The page did not answer in time",
        "Ask again; if it goes on, session.restart.",
    ),
    ErrorSpec(
        "PAGE_ERROR",
        -32017,
        502,
        "The page raised an error",
        "Look at the page with session.screenshot; whatsapp.functions lists what can be called.",
    ),
    ErrorSpec(
        "MESSAGE_NOT_FOUND", -32020, 404, "No such message", "Ask message.list which messages are kept."
    ),
    ErrorSpec(
        "RECIPIENT_NOT_FOUND",
        -32021,
        404,
        "The number is not on WhatsApp",
        "Check the number, with its country code.",
    ),
    ErrorSpec(
        "NO_ENCRYPTION_SESSION",
        -32022,
        502,
        "No sessions: the keys for this recipient are missing",
        "Send it again later; if every recipient is affected, link the session anew (session.clearAuth).",
    ),
    ErrorSpec(
        "MEDIA_TOO_LARGE",
        -32023,
        413,
        "The media is too large",
        "Send less, or raise `[messages] max_media_bytes`.",
    ),
    ErrorSpec("RATE_LIMITED", -32024, 429, "Too many requests", "Wait `retryAfter` seconds, then go on."),
    ErrorSpec(
        "QUEUE_FULL",
        -32025,
        429,
        "The session's outbox is full",
        "Wait until messages have left, or raise `[messages] queue_limit`.",
    ),
    ErrorSpec(
        "IDEMPOTENCY_CONFLICT",
        -32026,
        409,
        "This idempotency key was used for another content",
        "Take a new key for a new message.",
    ),
    ErrorSpec(
        "TOO_MANY_CONNECTIONS",
        -32027,
        429,
        "Too many connections",
        "Close connections that are not needed, or raise `[rpc] max_connections`.",
    ),
    ErrorSpec(
        "OUTCOME_UNKNOWN",
        -32028,
        502,
        "A crash fell between the request and its answer",
        "Look on the phone whether it was done before it is asked for again.",
    ),
    ErrorSpec(
        "FORBIDDEN",
        -32030,
        403,
        "You may not do this",
        "Ask the administrator to add you to `[access]` or to the session's allowedUids.",
    ),
    ErrorSpec(
        "CURSOR_EXPIRED",
        -32031,
        410,
        "The event log no longer reaches back so far",
        "Go on from `oldest`, and read what was missed with session.list and message.list.",
    ),
    ErrorSpec(
        "WEBHOOK_NOT_FOUND", -32032, 404, "No such webhook", "Ask webhook.list which webhooks there are."
    ),
    ErrorSpec(
        "PAGE_NOT_STORED",
        -32033,
        404,
        "This version of WhatsApp's page is not stored",
        "page.list tells which are; page.update stores the newest and uses it, page.use latest keeps none.",
    ),
    ErrorSpec("STORE_FULL", -32040, 507, "The disk is full: nothing was accepted", "Free space on the disk."),
    ErrorSpec(
        "SHUTTING_DOWN", -32050, 503, "The daemon is stopping", "Connect again when it has been started."
    ),
)

ERRORS: Mapping[str, ErrorSpec] = MappingProxyType({spec.code: spec for spec in _TABLE})
"""Every error, by its word."""


class RpcError(Exception):
    """A request that failed, as both ends know it.

    `code` is a key of `ERRORS` (KeyError otherwise), `message` replaces the table's; `details` go into
    `data.details` as they are (JSON values), over the table's `action`.
    """

    def __init__(self, code: str, message: str | None = None, /, **details: object) -> None:
        spec = ERRORS[code]
        self.code = spec.code
        self.number = spec.number
        self.status = spec.status
        self.message = spec.message if message is None else message
        self.details: dict[str, Any] = {} if spec.action is None else {"action": spec.action}
        self.details.update(details)
        super().__init__(code, self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"

    def to_wire(self) -> dict[str, Any]:
        """Return the `error` member of a JSON-RPC response."""
        data = {"code": self.code, "status": self.status, "details": self.details}
        return {"code": self.number, "message": self.message, "data": data}

    @classmethod
    def from_wire(cls, error: object) -> Self:
        """Return the exception for an `error` member, whoever wrote it: nothing in it is trusted.

        A code that this version does not know is kept as it came; what is missing is INTERNAL_ERROR's.
        """
        fields = error if isinstance(error, dict) else {}
        data = fields.get("data")
        data = data if isinstance(data, dict) else {}
        made = cls("INTERNAL_ERROR")
        made.code = _typed(data.get("code"), str, made.code)
        made.number = _typed(fields.get("code"), int, made.number)
        made.status = _typed(data.get("status"), int, made.status)
        made.message = _typed(fields.get("message"), str, made.message)
        made.details = _typed(data.get("details"), dict, {})
        made.args = (made.code, made.message)
        return made


_T = TypeVar("_T")


def _typed(value: object, kind: type[_T], default: _T) -> _T:
    return value if isinstance(value, kind) else default

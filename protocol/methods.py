"""METHODS, the one table of what can be asked.

Checks, handlers, the OpenRPC document and the command line are all fed from here. Must not know: how a
method is carried out.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from . import models as m
from .actions import ACTIONS, ONCE
from .errors import RpcError
from .params import decode, nearest


class Method(msgspec.Struct, frozen=True):
    """One method: what it takes, what it answers, how it fails beside `COMMON_ERRORS`, who may call it."""

    name: str
    params: type[m.Params]
    result: Any
    errors: tuple[str, ...]
    role: m.Role
    summary: str


COMMON_ERRORS = ("INVALID_PARAMS", "INTERNAL_ERROR", "FORBIDDEN", "SHUTTING_DOWN")
"""What any method may fail with."""

_NO_SESSION = ("SESSION_NOT_FOUND",)
_MESSAGE = ("SESSION_NOT_FOUND", "MESSAGE_NOT_FOUND")
_WEBHOOK = ("WEBHOOK_NOT_FOUND",)
_PAGE = ("SESSION_NOT_CONNECTED", "AUTH_EXPIRED", "PAGE_TIMEOUT", "PAGE_ERROR")
_REACH = (*_NO_SESSION, *_PAGE)
_START = (
    "SESSION_NOT_FOUND",
    "SESSION_BUSY",
    "RESTART_LIMIT_EXCEEDED",
    "BROWSER_UNAVAILABLE",
    "PAGE_TIMEOUT",
    "STORE_FULL",
)

_NEWEST_PAGE = (
    "SESSION_NOT_FOUND",
    "SESSION_NOT_STARTED",
    "SESSION_BUSY",
    "PAGE_TIMEOUT",
    "PAGE_ERROR",
    "STORE_FULL",
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method(
                "session.create",
                m.SessionCreateParams,
                m.Session,
                ("SESSION_EXISTS", "SESSION_LIMIT", "STORE_FULL"),
                "operator",
                "Create a session; with `start`, start it too",
            ),
            Method("session.list", m.SessionListParams, m.SessionListResult, (), "reader", "List sessions"),
            Method(
                "session.get", m.SessionParams, m.Session, _NO_SESSION, "reader", "Everything of a session"
            ),
            Method(
                "session.status",
                m.SessionParams,
                m.SessionStatusResult,
                _NO_SESSION,
                "reader",
                "How a session is, in short",
            ),
            Method(
                "session.update",
                m.SessionUpdateParams,
                m.Session,
                ("SESSION_NOT_FOUND", "STORE_FULL"),
                "operator",
                "Change a session's name, description or settings; null puts a setting back to its default",
            ),
            Method(
                "session.start",
                m.LifecycleParams,
                m.StatusResult,
                (*_START, "SESSION_ALREADY_STARTED", "PHONE_NUMBER_IN_USE"),
                "operator",
                "Start a session's browser",
            ),
            Method(
                "session.stop",
                m.LifecycleParams,
                m.StatusResult,
                ("SESSION_NOT_FOUND", "PAGE_TIMEOUT", "STORE_FULL"),
                "operator",
                "Stop a session; answers when its browser is gone",
            ),
            Method(
                "session.restart",
                m.LifecycleParams,
                m.StatusResult,
                (*_START, "PHONE_NUMBER_IN_USE"),
                "operator",
                "Give a session a new browser",
            ),
            Method(
                "session.qr",
                m.SessionQrParams,
                m.SessionQrResult,
                ("SESSION_NOT_FOUND", "QR_NOT_AVAILABLE", "QR_CODE_EXPIRED"),
                "operator",
                "The code that the phone scans to link this session",
            ),
            Method(
                "session.pair",
                m.SessionPairParams,
                m.SessionPairResult,
                (
                    "SESSION_NOT_FOUND",
                    "SESSION_NOT_STARTED",
                    "SESSION_BUSY",
                    "QR_NOT_AVAILABLE",
                    "PAGE_TIMEOUT",
                    "PAGE_ERROR",
                ),
                "operator",
                "The code that links this session when it is typed on the phone; new ones come as events",
            ),
            Method(
                "session.reload",
                m.LifecycleParams,
                m.StatusResult,
                (*_START, "SESSION_NOT_STARTED", "PHONE_NUMBER_IN_USE"),
                "operator",
                "Load a session's page again, in the same browser",
            ),
            Method(
                "session.logout",
                m.SessionParams,
                m.StatusResult,
                (
                    "SESSION_NOT_FOUND",
                    "SESSION_NOT_STARTED",
                    "SESSION_NOT_CONNECTED",
                    "AUTH_EXPIRED",
                    "PAGE_TIMEOUT",
                    "PAGE_ERROR",
                ),
                "operator",
                "Unlink a session, on the phone too; it goes on to a new QR code",
            ),
            Method(
                "session.clearAuth",
                m.SessionParams,
                m.StatusResult,
                ("SESSION_NOT_FOUND", "SESSION_BUSY", "STORE_FULL"),
                "operator",
                "Wipe a session's login, after a backup: its next start shows a QR code; messages are kept",
            ),
            Method(
                "session.screenshot",
                m.SessionParams,
                m.SessionScreenshotResult,
                ("SESSION_NOT_FOUND", "SESSION_NOT_STARTED", "PAGE_TIMEOUT", "PAGE_ERROR"),
                "operator",
                "What a session's page looks like",
            ),
            Method(
                "session.terminateInactive",
                m.NoParams,
                m.TerminateResult,
                ("STORE_FULL",),
                "operator",
                "Stop and clean every inactive or disconnected session, and end browsers that nobody owns",
            ),
            Method(
                "session.terminateAll",
                m.NoParams,
                m.TerminateResult,
                ("STORE_FULL",),
                "admin",
                "Stop every session, and end browsers that nobody owns; no data is deleted",
            ),
            Method(
                "session.wait",
                m.SessionWaitParams,
                m.StatusResult,
                ("SESSION_NOT_FOUND", "PAGE_TIMEOUT"),
                "reader",
                "Wait until a session has a status",
            ),
            Method(
                "session.stats",
                m.SessionStatsParams,
                m.SessionStatsResult,
                _NO_SESSION,
                "reader",
                "A session's messages in figures, by type and by day, and how it went",
            ),
            Method(
                "session.incidents",
                m.SessionIncidentsParams,
                m.SessionIncidentsResult,
                _NO_SESSION,
                "reader",
                "What went wrong with a session, what was done, and when it worked again; newest first",
            ),
            Method(
                "session.log",
                m.SessionLogParams,
                m.SessionLogResult,
                _NO_SESSION,
                "operator",
                "What the daemon's log said of a session of late; the daemon keeps it in memory",
            ),
            Method(
                "session.delete",
                m.SessionDeleteParams,
                m.SessionDeleteResult,
                ("SESSION_NOT_FOUND", "STORE_FULL"),
                "admin",
                "Stop a session and delete it, its login and its messages, after a backup",
            ),
            Method(
                "message.send",
                m.MessageSendParams,
                m.Message,
                (
                    "SESSION_NOT_FOUND",
                    "SESSION_NOT_CONNECTED",
                    "PAGE_TIMEOUT",
                    "PAGE_ERROR",
                    "MESSAGE_NOT_FOUND",
                    "RECIPIENT_NOT_FOUND",
                    "NO_ENCRYPTION_SESSION",
                    "MEDIA_TOO_LARGE",
                    "OUTCOME_UNKNOWN",
                    "RATE_LIMITED",
                    "QUEUE_FULL",
                    "IDEMPOTENCY_CONFLICT",
                    "STORE_FULL",
                ),
                "operator",
                "Send a message, exactly once, whatever crashes",
            ),
            Method(
                "message.get",
                m.MessageParams,
                m.Message,
                ("SESSION_NOT_FOUND", "MESSAGE_NOT_FOUND"),
                "reader",
                "One message",
            ),
            Method(
                "message.list",
                m.MessageListParams,
                m.MessageListResult,
                _NO_SESSION,
                "reader",
                "List a session's messages, newest first",
            ),
            Method(
                "message.retry",
                m.MessageParams,
                m.Message,
                (*_MESSAGE, "STORE_FULL"),
                "operator",
                "Queue a message again that has failed or was cancelled",
            ),
            Method(
                "message.cancel",
                m.MessageParams,
                m.Message,
                (*_MESSAGE, "STORE_FULL"),
                "operator",
                "Take a message out of the queue",
            ),
            Method(
                "message.import",
                m.MessageImportParams,
                m.MessageImportResult,
                (*_NO_SESSION, "STORE_FULL"),
                "admin",
                "Take messages of the past in; known ones stay as they are, nothing is sent or told",
            ),
            Method(
                "message.download",
                m.MessageParams,
                m.MessageDownloadResult,
                (*_MESSAGE, *_PAGE, "MEDIA_TOO_LARGE"),
                "reader",
                "A message's file",
            ),
            Method(
                "message.edit",
                m.MessageEditParams,
                m.Message,
                (*_MESSAGE, *_PAGE),
                "operator",
                "Change the text of a message that was sent",
            ),
            Method(
                "message.delete",
                m.MessageDeleteParams,
                m.Message,
                (*_MESSAGE, *_PAGE),
                "operator",
                "Delete a message, for everyone or from this account's devices",
            ),
            Method(
                "message.react",
                m.MessageReactParams,
                m.Message,
                (*_MESSAGE, *_PAGE),
                "operator",
                "Put an emoji at a message, or take it away",
            ),
            Method(
                "message.markRead",
                m.MessageParams,
                m.Message,
                (*_MESSAGE, *_PAGE),
                "operator",
                "Mark a message's chat as read",
            ),
            Method(
                "message.forward",
                m.MessageForwardParams,
                m.MessageForwardResult,
                (*_MESSAGE, *_PAGE, "RECIPIENT_NOT_FOUND"),
                "operator",
                "Forward a message to another chat",
            ),
            Method(
                "chat.list",
                m.PagedParams,
                m.ChatListResult,
                _REACH,
                "reader",
                "A session's chats",
            ),
            Method(
                "contact.list", m.PagedParams, m.ContactListResult, _REACH, "reader", "A session's contacts"
            ),
            Method("group.list", m.PagedParams, m.GroupListResult, _REACH, "reader", "A session's groups"),
            Method(
                "number.check",
                m.NumberCheckParams,
                m.NumberCheckResult,
                _REACH,
                "operator",
                "Whether a number is on WhatsApp",
            ),
            Method(
                "whatsapp.functions",
                m.SessionParams,
                m.WhatsAppFunctionsResult,
                _REACH,
                "reader",
                "Every function that the page library offers",
            ),
            Method(
                "whatsapp.call",
                m.WhatsAppCallParams,
                Any,
                _REACH,
                "operator",
                "Call a function of the page library",
            ),
            Method(
                "page.list",
                m.NoParams,
                m.PageListResult,
                (),
                "reader",
                "The versions of WhatsApp's page that are kept, and the one that sessions are to have",
            ),
            Method(
                "page.save",
                m.PageSessionParams,
                m.PageVersion,
                _NEWEST_PAGE,
                "admin",
                "Load the newest page in a session, and keep it if the session works with it",
            ),
            Method(
                "page.update",
                m.PageSessionParams,
                m.PageVersion,
                _NEWEST_PAGE,
                "admin",
                "Load the newest page in a session; if that works, keep it, and have all sessions use it",
            ),
            Method(
                "page.use",
                m.PageUseParams,
                m.PageUseResult,
                ("PAGE_NOT_STORED", "STORE_FULL"),
                "admin",
                "Have all sessions use a version that is kept, or the latest, when they next load the page",
            ),
            Method(
                "page.remove",
                m.PageVersionParams,
                m.PageRemoveResult,
                ("PAGE_NOT_STORED", "STORE_FULL"),
                "admin",
                "Keep a version of the page no longer",
            ),
            Method(
                "events.subscribe",
                m.EventsSubscribeParams,
                m.EventsSubscribeResult,
                ("CURSOR_EXPIRED",),
                "reader",
                "Be told of events on this connection, by notifications",
            ),
            Method(
                "events.unsubscribe",
                m.EventsUnsubscribeParams,
                m.EventsUnsubscribeResult,
                (),
                "reader",
                "Be told no more",
            ),
            Method(
                "events.list",
                m.EventsListParams,
                m.EventsListResult,
                ("CURSOR_EXPIRED",),
                "reader",
                "Read the event log",
            ),
            Method(
                "webhook.create",
                m.WebhookCreateParams,
                m.Webhook,
                ("SESSION_NOT_FOUND", "STORE_FULL"),
                "operator",
                "Have events POSTed to a URL, signed, until each has been taken",
            ),
            Method(
                "webhook.list",
                m.WebhookListParams,
                m.WebhookListResult,
                (),
                "reader",
                "List webhooks, how their deliveries go, and what was given up",
            ),
            Method(
                "webhook.delete",
                m.WebhookParams,
                m.WebhookDeleteResult,
                (*_WEBHOOK, "STORE_FULL"),
                "operator",
                "Delete a webhook",
            ),
            Method(
                "webhook.replay",
                m.WebhookReplayParams,
                m.WebhookReplayResult,
                (*_WEBHOOK, "CURSOR_EXPIRED", "STORE_FULL"),
                "operator",
                "Deliver again: from a place in the log, one dead letter, or at once what is waiting",
            ),
            Method(
                "webhook.test",
                m.WebhookParams,
                m.WebhookAttempt,
                _WEBHOOK,
                "operator",
                "Send a webhook one event of the type webhook.test, and tell how it went",
            ),
            *(
                Method(
                    name,
                    params,
                    result,
                    (
                        *_REACH,
                        *(("MESSAGE_NOT_FOUND",) if params is m.MessageParams else ()),
                        *(("RECIPIENT_NOT_FOUND",) if "chat_id" in params.__struct_fields__ else ()),
                        *(("MEDIA_TOO_LARGE",) if {"image", "video"} & {*params.__struct_fields__} else ()),
                        *(("OUTCOME_UNKNOWN",) if name in ONCE else ()),
                    ),
                    "reader" if name == "label.list" else "operator",
                    summary,
                )
                for name, params, result, summary in ACTIONS
            ),
            Method("daemon.health", m.NoParams, m.Health, (), "reader", "How the daemon is"),
            Method(
                "daemon.metrics",
                m.NoParams,
                m.MetricsResult,
                (),
                "reader",
                "The daemon in figures, for a monitoring system",
            ),
            Method(
                "daemon.whoami",
                m.NoParams,
                m.WhoamiResult,
                (),
                "reader",
                "Who the daemon takes the caller for",
            ),
            Method(
                "daemon.reloadConfig",
                m.NoParams,
                m.ReloadResult,
                ("STORE_FULL",),
                "admin",
                "Read the configuration again, as SIGHUP does",
            ),
            Method(
                "daemon.backup",
                m.NoParams,
                m.BackupResult,
                ("STORE_FULL",),
                "admin",
                "Copy the store while it is in use",
            ),
            Method(
                "daemon.forceCleanup",
                m.ForceCleanupParams,
                m.ForceCleanupResult,
                ("STORE_FULL",),
                "admin",
                "Wipe every session, after a backup of all",
            ),
            Method("daemon.shutdown", m.NoParams, m.ShutdownResult, (), "admin", "Stop the daemon in order"),
            Method(
                "rpc.discover",
                m.NoParams,
                dict[str, Any],
                (),
                "reader",
                "The OpenRPC document of all methods",
            ),
        )
    }
)
"""Every method, by its name."""


def find_method(name: str) -> Method:
    """Return the method of that name; raises METHOD_NOT_FOUND, with the nearest name there is."""
    method = METHODS.get(name)
    if method is None:
        near = nearest(name, METHODS)
        advice = {} if near is None else {"action": f"Did you mean `{near}`? rpc.discover names all methods."}
        raise RpcError("METHOD_NOT_FOUND", f"No such method: {name[:100]}", **advice)
    return method


def decode_params(method: Method, raw: msgspec.Raw | bytes) -> Any:
    """Return `raw`, the JSON of a request's params, as the method's Struct.

    Raises INVALID_PARAMS with `path`, `problem` and `action` in its details.
    """
    return decode(method.params, raw)

"""One function per method, one module per name space; `handlers` binds them to the running daemon."""

from collections.abc import Callable
from functools import partial
from typing import Any

from daemon.dispatch import Call, Handler, Handlers
from daemon.handlers import (
    actions,
    events,
    history,
    lifecycle,
    linking,
    messages,
    page_actions,
    pages,
    reach,
    rpc,
    sessions,
    stats,
    upkeep,
    webhooks,
)
from daemon.handlers import daemon as daemon_methods
from daemon.service import Service
from protocol.errors import RpcError
from protocol.methods import METHODS

_HANDLERS: dict[str, Callable[..., Any]] = {
    "session.create": sessions.create,
    "session.list": sessions.list_,
    "session.get": sessions.get,
    "session.status": sessions.status,
    "session.update": sessions.update,
    "session.start": lifecycle.start,
    "session.stop": lifecycle.stop,
    "session.restart": lifecycle.restart,
    "session.reload": lifecycle.reload,
    "session.qr": lifecycle.qr,
    "session.pair": linking.pair,
    "session.logout": linking.log_out,
    "session.screenshot": linking.screenshot,
    "session.clearAuth": upkeep.clear_auth,
    "session.terminateInactive": upkeep.terminate_inactive,
    "session.terminateAll": upkeep.terminate_all,
    "session.wait": lifecycle.wait,
    "session.delete": sessions.delete,
    "session.stats": stats.stats,
    "session.incidents": stats.incidents,
    "session.log": stats.log,
    "message.send": messages.send,
    "message.get": messages.get,
    "message.list": messages.list_,
    "message.import": history.import_,
    "message.retry": actions.retry,
    "message.cancel": actions.cancel,
    "message.download": actions.download,
    "message.edit": actions.edit,
    "message.delete": actions.delete,
    "message.react": actions.react,
    "message.markRead": actions.mark_read,
    "message.forward": actions.forward,
    "chat.list": reach.chats,
    "contact.list": reach.contacts,
    "group.list": reach.groups,
    "number.check": reach.check_number,
    "whatsapp.functions": reach.functions,
    "whatsapp.call": reach.call,
    "page.list": pages.list_,
    "page.save": pages.save,
    "page.update": pages.update,
    "page.use": pages.use,
    "page.remove": pages.remove,
    "events.subscribe": events.subscribe,
    "events.unsubscribe": events.unsubscribe,
    "events.list": events.list_,
    "webhook.create": webhooks.create,
    "webhook.list": webhooks.list_,
    "webhook.delete": webhooks.delete,
    "webhook.replay": webhooks.replay,
    "webhook.test": webhooks.test,
    "daemon.health": daemon_methods.health,
    "daemon.metrics": daemon_methods.metrics,
    "daemon.whoami": daemon_methods.whoami,
    "daemon.backup": history.backup,
    "daemon.forceCleanup": history.force_cleanup,
    "daemon.shutdown": daemon_methods.shutdown,
    "daemon.reloadConfig": daemon_methods.reload_config,
    "rpc.discover": rpc.discover,
    **page_actions.handlers(),
}


def handlers(service: Service) -> Handlers:
    """Return the handler of every method that this daemon has."""
    return {name: _admitting(service, name, handler) for name, handler in _HANDLERS.items()}


def _admitting(service: Service, name: str, handler: Callable[..., Any]) -> Handler:
    """Put before a handler what hides sessions: whoever may not know of one is told that there is none.

    Every method that takes the id of a session, or of a session's webhook, passes here; those that make lists
    of sessions, events or webhooks leave the hidden ones out themselves.
    """
    errors = METHODS[name].errors
    of_session, of_webhook = "SESSION_NOT_FOUND" in errors, "WEBHOOK_NOT_FOUND" in errors
    if not (of_session or of_webhook):
        return partial(handler, service)

    def admit(call: Call, params: Any) -> Any:
        session_id = getattr(params, "session_id", None)
        if of_session and not service.visibility.sees(call.peer, session_id):
            raise RpcError("SESSION_NOT_FOUND", sessionId=session_id)
        if of_webhook:
            hook, _state = service.webhooks.get(params.webhook_id)
            if not service.visibility.sees(call.peer, hook.session_id):
                raise RpcError("WEBHOOK_NOT_FOUND", webhookId=hook.id)
        return handler(service, call, params)

    return admit

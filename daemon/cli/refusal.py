"""What the daemon refuses, as a sentence."""

from protocol.errors import RpcError


def refused(error: RpcError) -> str:
    """Return e.g. `SESSION_NOT_FOUND: No such session. Ask session.list which sessions exist.`"""
    sentence = f"{error.code}: {error.message.rstrip('.')}."
    action = error.details.get("action")
    return f"{sentence} {action}" if isinstance(action, str) and action else sentence

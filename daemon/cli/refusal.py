"""What the daemon refuses, as a sentence."""

from protocol.errors import RpcError


def refused(error: RpcError) -> str:
    """Return e.g. `SESSION_NOT_FOUND: No such session. Ask session.list which sessions exist.`"""
    message, action = error.message, error.details.get("action")
    path = error.details.get("path")
    if isinstance(path, str) and path.startswith("$."):  # a person gave no JSON
        message = message.replace(path, path[2:])
        action = None if action == f"Correct `{path}`." else str(action or "").replace(path, path[2:])
    sentence = f"{error.code}: {message.rstrip('.')}."
    return f"{sentence} {action}" if isinstance(action, str) and action else sentence

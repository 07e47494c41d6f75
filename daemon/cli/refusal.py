"""What the daemon refuses, as a sentence: in the words of the command line where it speaks of methods."""

import re

from protocol.errors import RpcError

_METHOD = re.compile(r"(?<![\w.`])[a-z]+\.[a-z]+[A-Za-z]*\b(?!\.\w)")


def refused(error: RpcError) -> str:
    """Return e.g. `SESSION_NOT_FOUND: No such session. Ask wasupctl list which sessions exist.`"""
    message, action = error.message, error.details.get("action")
    path = error.details.get("path")
    if isinstance(path, str) and path.startswith("$."):  # a person gave no JSON
        message = message.replace(path, path[2:])
        action = None if action == f"Correct `{path}`." else str(action or "").replace(path, path[2:])
    sentence = f"{error.code}: {message.rstrip('.')}."
    return f"{sentence} {in_commands(action)}" if isinstance(action, str) and action else sentence


def in_commands(action: str) -> str:
    """Return what the daemon says is to be done, with commands in the place of methods."""
    found = _METHOD.search(action)
    if found is None:
        return action
    from .tree import commands  # which imports all of the program, this module too

    known = commands() | {"session.qr": "link", "session.status": "show"}  # what people use for it
    return _METHOD.sub(lambda one: f"`wasupctl {known[one[0]]}`" if one[0] in known else one[0], action)

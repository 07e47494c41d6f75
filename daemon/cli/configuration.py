"""The commands about the configuration file."""

import os
from pathlib import Path

from .failures import Failure
from .invocation import QUERY_S, At
from .output import tell


def check(file: Path | None = None, /, *, at: At) -> None:
    """Check a configuration file, as `wasupd --check` does; needs no daemon.

    Args:
        file: The file; else $WASUP_CONFIG, else /etc/wasup/config.toml, else the built-in defaults.
    """
    from daemon import config

    try:
        found = config.load(file, os.environ)
    except config.ConfigError as error:
        raise Failure(str(error)) from None
    name = str(found.file) if found.file else None
    at.result({"file": name, "good": True}, lambda: at.out.line(f"{name or 'The built-in defaults'}: good."))


def reload(*, at: At) -> None:
    """Have the daemon read its configuration again, as SIGHUP does."""
    with at.connect() as client:
        answer = client.call("daemon.reloadConfig", within_s=QUERY_S)

    def show() -> None:
        if answer["file"] is None:
            tell("There is no file: the daemon runs with the built-in defaults.")
        else:
            applied = ", ".join(answer.get("applied", ())) or "nothing that applies at once"
            at.out.line(f"{answer['file']}: read again. Changed: {applied}.")
            if waiting := ", ".join(answer.get("needsRestart", ())):
                at.out.line(f"Needs a restart of the daemon: {waiting}.")

    at.result(answer, show)

"""What a changed configuration does to a running daemon: some keys apply at once, others at its next start.

Pure: whoever holds old values is told by `daemon.main`.
"""

from collections.abc import Iterator
from typing import Any, Final

import attrs

from daemon.access import ROLES
from daemon.config import Config

TABLES: Final = (
    "access", "sessions", "restart", "liveness", "messages", "events", "webhooks", "backup", "encryption",
    "log",
)  # fmt: skip
"""The tables that apply without a restart, whole."""


@attrs.frozen
class Outcome:
    """A configuration that was read again: what is in force now, and the keys that have changed.

    `needs_restart` are those whose new values wait for the daemon's next start.
    """

    config: Config
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]


def merge(old: Config, fresh: Config) -> Outcome:
    """Return what is in force when a daemon that runs with `old` reads `fresh`."""
    before, after = dict(values(old)), dict(values(fresh))
    changed = [key for key in after if after[key] != before[key]]
    live = {field.name: getattr(fresh, field.name) for field in attrs.fields(Config) if field.name in TABLES}
    supervisor = attrs.evolve(
        old.supervisor, restart=fresh.supervisor.restart, liveness=fresh.supervisor.liveness
    )
    return Outcome(
        config=attrs.evolve(old, file=fresh.file, **live, supervisor=supervisor),
        applied=tuple(key for key in changed if key.partition(".")[0] in TABLES),
        needs_restart=tuple(key for key in changed if key.partition(".")[0] not in TABLES),
    )


def values(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield every key by its path, and its value."""
    yield "daemon.state_dir", config.state_dir
    for role in ROLES:
        yield f"access.{role}", getattr(config.access, role)
    tables = {**attrs.asdict(config, recurse=False), **attrs.asdict(config.supervisor, recurse=False)}
    for table, settings in tables.items():
        if table not in ("file", "state_dir", "access", "supervisor"):
            for field in attrs.fields(type(settings)):
                yield f"{table}.{field.name}", getattr(settings, field.name)

"""Where a daemon's socket may be. Pure: the environment is an argument."""

from collections.abc import Mapping


def socket_candidates(explicit: str | None, env: Mapping[str, str]) -> list[str]:
    """Return the paths to try, in order: one that is named, here or by `$WASUP_SOCKET`, or the usual ones."""
    named = explicit or env.get("WASUP_SOCKET")
    if named:
        return [named]
    directories = [
        env.get("RUNTIME_DIRECTORY", "").split(":")[0],
        _below(env.get("XDG_RUNTIME_DIR"), "wasup"),
        "/run/wasup",
        env.get("STATE_DIRECTORY", "").split(":")[0]
        or _below(env.get("XDG_STATE_HOME"), "wasup")
        or _below(env.get("HOME"), ".local/state/wasup"),
    ]
    return list(dict.fromkeys(f"{directory}/wasup.sock" for directory in directories if directory))


def _below(directory: str | None, name: str) -> str:
    return f"{directory}/{name}" if directory else ""

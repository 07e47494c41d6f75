"""Completion of command lines in bash, zsh and fish: the shells ask `wasupctl __complete WORDS…`.

Owns: what may come next, and the shells' scripts. The words are those before the cursor, the last of them as
far as it is typed. The answer is a line for each candidate, a tab and what it is; `:files` stands for the
names of files.
"""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from cyclopts import App
from cyclopts.argument import Argument

from protocol.client.blocking import connect
from protocol.client.errors import CallTimeout, ConnectionLost, DaemonUnreachable
from protocol.errors import RpcError
from protocol.methods import METHODS
from protocol.models import EVENT_TYPES, SessionSettings

from .failures import OK
from .invocation import At
from .printable import printable

REQUEST: Final = "__complete"
"""The word by which the shells ask; no command of a person's."""

FILES: Final = ":files"
_DAEMON_S: Final = 2
"""What a person who pressed Tab waits for the daemon at most."""

_GLOBAL: Final = {"--socket": "The daemon's socket.", "--json": "Print what the daemon answers, as JSON."}

_FILES_OF: Final = frozenset(
    {"FILE", "CSV", "--file", "--output", "--png", "--svg", "--secret-file", "--socket"}
)
"""Arguments that are files, though their type is a text: `-` is possible there."""

Candidate = tuple[str, str]


def completion(shell: Literal["bash", "zsh", "fish"], /, *, at: At) -> None:
    """Print what makes a shell complete wasupctl's commands, options and the names of sessions.

    bash: `wasupctl completion bash > ~/.local/share/bash-completion/completions/wasupctl`; zsh: the same into
    a file `_wasupctl` in a directory of $fpath; fish: into `~/.config/fish/completions/wasupctl.fish`.

    Args:
        shell: The shell.
    """
    sys.stdout.write(_SCRIPTS[shell])


def words_of(request: Sequence[str]) -> list[str]:
    """Return the words that a shell asks about, without the program: after `--`, or as a line of bash."""
    match request:
        case ["--line", line]:
            return _split(line)[1:] or [""]
        case ["--", *words]:
            return words or [""]
    return [""]


def _split(line: str) -> list[str]:
    """Return a line's words as the shell does; a quote may still be open."""
    for end in ("", '"', "'"):
        with suppress(ValueError):
            words = shlex.split(line + end)
            return [*words, ""] if not end and line[-1:].isspace() else words
    return line.split()


def answer(app: App, words: Sequence[str]) -> int:
    """Write what may come in the place of the last word."""
    for word, told in candidates(app, words):
        sys.stdout.write(f"{word}\t{printable(told)}\n" if told else f"{word}\n")
    return OK


def candidates(app: App, words: Sequence[str]) -> list[Candidate]:
    """Return what may come in the place of the last word, with what it is."""
    *before, current = words or [""]
    socket, before = _without_globals(before)
    if words[:-1] and words[-2] == "--socket":
        return [(FILES, "")]
    while before and not before[0].startswith("-") and _subcommands(app) and before[0] in app:
        app, before = app[before[0]], before[1:]
    if _subcommands(app):
        found = [] if before else list(_commands(app))
    else:
        found = list(_arguments(app, before, current, socket))
    if current.startswith("-"):
        found += list(_GLOBAL.items())
    return [(word, told) for word, told in found if word == FILES or word.startswith(current)]


def _without_globals(words: Sequence[str]) -> tuple[str | None, list[str]]:
    socket, left = None, []
    given = iter(words)
    for word in given:
        if word == "--socket":
            socket = next(given, None)
        elif word.startswith("--socket="):
            socket = word.partition("=")[2]
        elif word != "--json":
            left.append(word)
    return socket, left


def _subcommands(app: App) -> list[str]:
    return [name for name in app if not name.startswith("-")]


def _commands(app: App) -> Iterator[Candidate]:
    for name in _subcommands(app):
        yield name, first_sentence(app[name].help)


def first_sentence(text: str) -> str:
    """Return the first line of a help text, without its full stop."""
    return text.strip().partition("\n")[0].removesuffix(".").replace("`", "")


def _arguments(app: App, before: Sequence[str], current: str, socket: str | None) -> Iterator[Candidate]:
    shown = [argument for argument in app.assemble_argument_collection() if argument.parse]
    options = {name: one for one in shown for name in one.names if name.startswith("-")}
    places = [one for one in shown if one.index is not None and one.field_info.is_positional]
    if before and (wanted := options.get(before[-1])) is not None and not wanted.is_flag():
        yield from _values(wanted, current, socket)
        return
    if current.startswith("-"):
        for name, option in options.items():
            if name.startswith("--"):
                yield name, first_sentence(option.parameter.help or "")
        return
    taken = 0
    given = iter(before)
    for word in given:
        if word.startswith("-"):
            if word in options and not options[word].is_flag():
                next(given, None)
        else:
            taken += 1
    place = places[min(taken, len(places) - 1)] if places else None
    if place is not None and (taken < len(places) or place.is_var_positional()):
        yield from _values(place, current, socket)


def _values(argument: Argument, current: str, socket: str | None) -> Iterator[Candidate]:
    """Yield what may stand in the place of an argument, by its type, else by its name."""
    if choices := argument.get_choices():
        yield from ((choice, "") for choice in choices)
        return
    name = argument.names[0]
    if argument.hint in (Path, Path | None) or name in _FILES_OF:
        yield FILES, ""
        return
    match name:
        case "SESSION" | "SESSIONS" | "--session":
            yield from _sessions(current, socket)
        case "--type" | "--event":
            yield from ((kind, "") for kind in EVENT_TYPES)
        case "--set":
            yield from ((f"{key}=", "") for key in SessionSettings.__struct_encode_fields__)
        case "METHOD":
            yield from ((method.name, method.summary) for method in METHODS.values())
        case "WEBHOOK":
            yield from _webhooks(socket)


def _sessions(current: str, socket: str | None) -> Iterator[Candidate]:
    """Yield the name of each session, its id where another has the name or only the id begins so."""
    sessions = _asked(
        socket, lambda client: client.call("session.list", limit=1000, within_s=_DAEMON_S)["sessions"]
    )
    names = [session["name"] for session in sessions]
    for session in sessions:
        name = session["name"]
        unique = name.isprintable() and names.count(name) == 1
        if unique and (name.startswith(current) or not session["id"].startswith(current)):
            yield name, session["status"]
        else:
            yield session["id"], f"{name}, {session['status']}"


def _webhooks(socket: str | None) -> Iterator[Candidate]:
    for hook in _asked(socket, lambda client: client.call("webhook.list", within_s=_DAEMON_S)["webhooks"]):
        yield hook["id"], hook["url"]


def _asked(socket: str | None, question: Any) -> list[dict[str, Any]]:
    """Ask the daemon; nothing comes of one that is not there."""
    with suppress(RpcError, DaemonUnreachable, ConnectionLost, CallTimeout), connect(socket) as client:
        found: list[dict[str, Any]] = question(client)
        return found
    return []


_BASH: Final = r"""# bash completion for wasupctl
_wasupctl() {
    local line=${COMP_LINE:0:COMP_POINT} word=$2 candidate told
    COMPREPLY=()
    while IFS=$'\t' read -r candidate told; do
        if [[ $candidate == :files ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
        fi
        [[ $candidate == *= ]] && compopt -o nospace
        [[ $word == [\"\']* ]] || printf -v candidate %q "$candidate"
        COMPREPLY+=("$candidate")
    done < <("$1" __complete --line "$line" 2>/dev/null)
    # What stands before the last colon or equals sign is another word to bash.
    local typed=${line##*[[:space:]]}
    local before=${typed%"$word"}
    [[ -n $before && $before == *[:=] ]] && COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _wasupctl wasupctl
"""

_ZSH: Final = r"""#compdef wasupctl
_wasupctl() {
    local -a values shown
    local line candidate told
    while IFS=$'\t' read -r candidate told; do
        if [[ $candidate == :files ]]; then
            _files
            return
        fi
        values+=("$candidate")
        shown+=("${candidate}${told:+  -- $told}")
    done < <("${(Q)words[1]}" __complete -- "${(Q)words[2,CURRENT-1][@]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#values )) || return 1
    if [[ $values[1] == *= ]]; then
        compadd -S '' -l -d shown -a values
    else
        compadd -l -d shown -a values
    fi
}
if [[ $funcstack[1] == _wasupctl ]]; then
    _wasupctl "$@"
else
    compdef _wasupctl wasupctl
fi
"""

_FISH: Final = r"""# fish completion for wasupctl
function __wasupctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c wasupctl -f -a '(__wasupctl_complete)'
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

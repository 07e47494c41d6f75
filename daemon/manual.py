"""The manual pages, made of the program and of the table of keys: `python -m daemon.manual DIRECTORY`.

Writes wasupctl.1, wasupd.8 and wasup-config.toml.5, in man(7)'s macros, as groff and mandoc read them.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, get_args

from cyclopts import App
from cyclopts.argument import Argument

from daemon import __version__
from daemon.__main__ import parser
from daemon.cli.program import EPILOGUE, HELP, application
from daemon.cli.tree import spaces
from daemon.keys import KEYS, TABLES, toml

PAGES: Final = ("wasupctl.1", "wasupd.8", "wasup-config.toml.5")

_ABOUT_CONFIG: Final = """\
A TOML file. wasupd looks for it at --config, then $WASUP_CONFIG, then /etc/wasup/config.toml; without one,
every key has its default. Keys that it does not know are refused. `wasupctl config check` checks a file."""

_ARGS = re.compile(r"\n\s*Args:\n")
_CODE = re.compile(r"`([^`]*)`")


def page(name: str) -> str:
    """Return the page of this name, one of PAGES."""
    make = {"wasupctl.1": _wasupctl, "wasupd.8": _wasupd, "wasup-config.toml.5": _config}[name]
    title, _, section = name.rpartition(".")
    head = f'.TH {_quoted(title.upper())} {section} "" {_quoted(f"wasup {__version__}")} "wasup"'
    return "\n".join([head, ".nh", ".ad l", *make()]) + "\n"


def _wasupctl() -> Iterator[str]:
    app = application(spaces())
    yield from _named("wasupctl", "work with wasupd, which keeps WhatsApp Web sessions alive")
    yield from _section("SYNOPSIS", [".B wasupctl", r"[\fB\-\-socket\fR \fIPATH\fR]", r"[\fB\-\-json\fR]"])
    yield r"\fICOMMAND\fR \fI...\fR"
    yield from _section("DESCRIPTION", [_text(HELP)])
    yield from _paragraphs(EPILOGUE)
    yield from _section("GLOBAL OPTIONS", ())
    yield from _item(
        r"\fB\-\-socket\fR \fIPATH\fR", "The daemon's socket; else $WASUP_SOCKET, else the usual places."
    )
    yield from _item(r"\fB\-\-json\fR", "Print what the daemon answers, as JSON.")
    yield from _item(r"\fB\-h\fR, \fB\-\-help\fR", "Show what a command takes.")
    yield from _section("COMMANDS", ())
    for words, command in _commands(app, ()):
        yield from _command(words, command)
    yield from _section("ENVIRONMENT", ())
    yield from _item(r"\fBWASUP_SOCKET\fR", "The daemon's socket, unless --socket names one.")
    yield from _item(r"\fBNO_COLOR\fR", "No colours, on a terminal either.")
    yield from _also("wasupd (8)", "wasup-config.toml (5)")


def _commands(app: App, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in sorted(name for name in app if not name.startswith("-")):
        inner = app[name]
        if any(not one.startswith("-") for one in inner):
            yield from _commands(inner, (*above, name))
        else:
            yield (*above, name), inner


def _command(words: tuple[str, ...], command: App) -> Iterator[str]:
    arguments = [
        one for one in command.assemble_argument_collection(parse_docstring=True) if one.parse and one.show
    ]
    places = [one for one in arguments if one.index is not None and one.field_info.is_positional]
    usage = [rf"\fB{_escaped(' '.join(words))}\fR", *map(_place, places)]
    if len(places) < len(arguments):
        usage.append(r"[\fIoptions\fR]")
    yield f".SS {_quoted(' '.join(usage), escape=False)}"
    yield from _paragraphs(_ARGS.split(command.help)[0])
    for argument in arguments:
        yield from _item(_head(argument, place=argument in places), argument.parameter.help or "")


def _place(argument: Argument) -> str:
    name = rf"\fI{_escaped(argument.names[0])}\fR"
    if argument.is_var_positional():
        name += "..."
    return name if argument.required or argument.parameter.required else f"[{name}]"


def _head(argument: Argument, *, place: bool) -> str:
    if place:
        return rf"\fI{_escaped(argument.names[0])}\fR"
    names = ", ".join(rf"\fB{_escaped(name)}\fR" for name in argument.names)
    if argument.is_flag():
        return names
    choices = argument.get_choices()
    return names + r" \fI" + _escaped("|".join(choices) if choices else _metavar(argument)) + r"\fR"


def _metavar(argument: Argument) -> str:
    kinds = {int: "NUMBER", float: "NUMBER", Path: "FILE"}
    hints = (argument.hint, *get_args(argument.hint))
    return next((kinds[hint] for hint in hints if hint in kinds), "TEXT")


def _wasupd() -> Iterator[str]:
    made = parser()
    yield from _named("wasupd", "keep WhatsApp Web sessions alive")
    yield from _section("SYNOPSIS", [".B wasupd", r"[\fIoptions\fR]"])
    yield from _section("DESCRIPTION", [_text(made.description or "")])
    yield ".PP"
    yield _text("It runs in the foreground. Programs and wasupctl talk to it on a Unix socket.")
    yield from _section("OPTIONS", ())
    for action in made._actions:
        names = ", ".join(rf"\fB{_escaped(name)}\fR" for name in action.option_strings)
        value = rf" \fI{_escaped(action.metavar)}\fR" if isinstance(action.metavar, str) else ""
        yield from _item(names + value, _sentence(action.help or ""))
    yield from _section("SIGNALS", ())
    yield from _item(
        r"\fBSIGTERM\fR, \fBSIGINT\fR",
        "Stop in order: sessions' browsers end, and come back at the next start.",
    )
    yield from _item(
        r"\fBSIGHUP\fR", "Read the configuration again; what needs a restart keeps its old value."
    )
    yield from _section("EXIT STATUS", ())
    yield from _item("0", "Stopped in order.")
    yield from _item("1", "It could not start or go on; standard error says why.")
    yield from _item("78", "The configuration is refused.")
    yield from _also("wasupctl (1)", "wasup-config.toml (5)")


def _config() -> Iterator[str]:
    yield from _named("wasup-config.toml", "configuration of wasupd")
    yield from _section("DESCRIPTION", [_text(_ABOUT_CONFIG)])
    for table, purpose in TABLES.items():
        yield f".SH {_quoted(f'[{table}]')}"
        yield _text(purpose)
        for key in KEYS:
            if key.path.startswith(f"{table}."):
                default = "" if "Default: " in key.purpose else f"Default: {key.shown or toml(key.default)}. "
                yield from _item(
                    rf"\fB{_escaped(key.path.removeprefix(f'{table}.'))}\fR",
                    f"{key.purpose}\n{default}Takes {key.kind.expected}.",
                )
    yield from _also("wasupd (8)", "wasupctl (1)")


def _named(name: str, told: str) -> Iterator[str]:
    yield from _section("NAME", [rf"{_escaped(name)} \- {_escaped(told)}"])


def _also(*pages: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    yield from (f".BR {_escaped(one)}{',' if one != pages[-1] else ''}" for one in pages)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {_quoted(title)}"
    yield from lines


def _item(head: str, told: str) -> Iterator[str]:
    yield ".TP"
    yield head
    first, *rest = [line for line in told.split("\n") if line] or [""]
    yield _text(first) if first else r"\&"
    for line in rest:
        yield ".br"
        yield _text(line)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """Return a line of running text; what stands in backquotes is bold."""
    line = "".join(
        rf"\fB{_escaped(part)}\fR" if number % 2 else _escaped(part)
        for number, part in enumerate(_CODE.split(" ".join(text.split())))
    )
    return rf"\&{line}" if line[:1] in (".", "'") else line


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _escaped(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("→", r"\(->")


def _quoted(text: str, *, escape: bool = True) -> str:
    return '"' + (_escaped(text) if escape else text).replace('"', r"\(dq") + '"'


def main() -> int:
    """Write the pages into a directory, which is made if need be."""
    arguments = argparse.ArgumentParser(
        prog="python -m daemon.manual", description="Writes the manual pages."
    )
    arguments.add_argument("directory", type=Path)
    directory: Path = arguments.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (directory / name).write_text(page(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every command: what it is called, where help lists it, and the methods that it is the command of."""

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs
from cyclopts import App, Group

from protocol.methods import METHODS

from . import (
    campaign,
    codes,
    completion,
    configuration,
    doctor,
    history,
    lifecycle,
    link,
    log,
    messages,
    page,
    sending,
    service,
    sessions,
    stats,
    top,
    upkeep,
    watch,
    webhooks,
)


@attrs.frozen
class Command:
    """A command of our own making; `name` is one word, or two where it stands in a group."""

    name: str
    run: Callable[..., None]
    methods: Sequence[str] = ()
    """Those that it is the command of; one that merely uses a method leaves it out."""


BY_HAND: Final[Mapping[str, tuple[Command, ...]]] = MappingProxyType(
    {
        "Sessions": (
            Command("create", sessions.create, ("session.create",)),
            Command("list", sessions.list_, ("session.list",)),
            Command("show", sessions.show, ("session.get",)),
            Command("top", top.top),
            Command("link", link.link),
            Command("qr", codes.qr, ("session.qr",)),
            Command("pair", codes.pair, ("session.pair",)),
            Command("wait", codes.wait, ("session.wait",)),
            Command("start", lifecycle.start, ("session.start",)),
            Command("stop", lifecycle.stop, ("session.stop",)),
            Command("restart", lifecycle.restart, ("session.restart",)),
            Command("reload", lifecycle.reload, ("session.reload",)),
            Command("logout", lifecycle.logout, ("session.logout",)),
            Command("clear-auth", lifecycle.clear_auth, ("session.clearAuth",)),
            Command("screenshot", lifecycle.screenshot, ("session.screenshot",)),
            Command("stats", stats.stats, ("session.stats",)),
            Command("incidents", stats.incidents, ("session.incidents",)),
            Command("log", log.log, ("session.log",)),
            Command("update", sessions.update, ("session.update",)),
            Command("delete", sessions.delete, ("session.delete",)),
            Command("terminate-inactive", lifecycle.terminate_inactive, ("session.terminateInactive",)),
            Command("terminate-all", lifecycle.terminate_all, ("session.terminateAll",)),
        ),
        "Messages and events": (
            Command("send", sending.send, ("message.send",)),
            Command("send-many", campaign.send_many),
            Command("messages", messages.messages, ("message.list",)),
            Command("message download", page.download, ("message.download",)),
            Command("export", history.export),
            Command("import", history.import_, ("message.import",)),
            Command("events", watch.events, ("events.list",)),
            Command("watch", watch.watch, ("events.subscribe", "events.unsubscribe")),
            Command("webhook create", webhooks.create, ("webhook.create",)),
            Command("webhook list", webhooks.list_, ("webhook.list",)),
            Command("webhook show", webhooks.show),
            Command("webhook test", webhooks.test, ("webhook.test",)),
            Command("webhook replay", webhooks.replay, ("webhook.replay",)),
            Command("webhook delete", webhooks.delete, ("webhook.delete",)),
        ),
        "Daemon": (
            Command("health", service.health, ("daemon.health",)),
            Command("doctor", doctor.doctor),
            Command("metrics", service.metrics, ("daemon.metrics",)),
            Command("whoami", service.whoami, ("daemon.whoami",)),
            Command("config check", configuration.check),
            Command("config reload", configuration.reload, ("daemon.reloadConfig",)),
            Command("backup", upkeep.backup, ("daemon.backup",)),
            Command("force-cleanup", upkeep.force_cleanup, ("daemon.forceCleanup",)),
            Command("shutdown", service.shutdown, ("daemon.shutdown",)),
            Command("call", service.call),
            Command("completion", completion.completion),
            Command("discover", service.discover, ("rpc.discover",)),
            Command("whatsapp functions", page.functions, ("whatsapp.functions",)),
            Command("whatsapp call", page.call, ("whatsapp.call",)),
        ),
    }
)

GROUPS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "session": ("Sessions", "Sessions, for programs."),
        "message": ("Messages and events", "Do something with a message that is there."),
        "chat": ("Chats, contacts and groups", "List chats, and do something with one."),
        "contact": ("Chats, contacts and groups", "List contacts, and do something with one."),
        "group": ("Chats, contacts and groups", "List groups, and do something with one."),
        "label": ("Chats, contacts and groups", "Labels of a business account."),
        "channel": ("Chats, contacts and groups", "Make, find and follow channels."),
        "status": ("Chats, contacts and groups", "Post as the account's status."),
        "profile": ("Chats, contacts and groups", "The account's own name, picture and about."),
        "calls": ("Chats, contacts and groups", "Calls that come in."),
        "number": ("Chats, contacts and groups", "Look numbers up."),
        "webhook": (
            "Messages and events",
            "Make, list, test, replay and delete webhooks: events POSTed to your programs.",
        ),
        "daemon": ("Daemon", "The daemon itself."),
        "config": ("Daemon", "The daemon's configuration."),
        "page": ("Daemon", "Keep WhatsApp's page at a version that works."),
        "whatsapp": ("Daemon", "Every function of the page library."),
    }
)
"""Groups of commands: where help lists them, and what it says of them."""


def listed() -> Iterator[tuple[str, Command]]:
    """Yield where help lists it, and each command of our own making."""
    for title, made in BY_HAND.items():
        for one in made:
            yield title, one


def generated() -> Iterator[tuple[str, str, str]]:
    """Yield (group, name, method) of each command that is made of a method which has none by hand."""
    taken = {method for _, one in listed() for method in one.methods}
    for method in METHODS:
        if method not in taken:
            space, _, verb = method.partition(".")
            yield "calls" if space == "call" else space, words(verb), method


def commands() -> dict[str, str]:
    """Return the command of each method."""
    made = {method: one.name for _, one in listed() for method in one.methods}
    return made | {method: f"{space} {name}" for space, name, method in generated()}


def spaces() -> list[str]:
    """Return the names of all groups of commands."""
    made = [one.name.partition(" ")[0] for _, one in listed() if " " in one.name]
    return list(dict.fromkeys([*made, *(space for space, _, _ in generated())]))


def add_commands(app: App, wanted: Container[str]) -> None:
    """Give the program its commands; the generated ones only of the groups that are `wanted`."""
    titles = {title: Group(title, sort_key=place) for place, title in enumerate(_TITLES)}
    groups = {}
    for space in spaces():
        title, told = GROUPS.get(space, ("Daemon", ""))
        groups[space] = App(
            name=space, help=told, group=titles[title], help_format="markdown", help_epilogue=""
        )
    for group in groups.values():
        app.command(group)
    for title, one in listed():
        space, _, name = one.name.rpartition(" ")
        if space:
            groups[space].command(one.run, name=name, help_epilogue="")
        else:
            app.command(one.run, name=name, group=titles[title], help_epilogue="")
    for space, name, method in generated():
        if space in wanted:
            from .generated import command  # inspecting types takes a while: only for a command that needs it

            groups[space].command(command(method), name=name, help_epilogue="")


def tell_usage(app: App, given: Sequence[str]) -> None:
    """Have the help of the command that is `given` name its arguments; cyclopts calls optional ones ARGS."""
    usage = ["Usage: wasupctl"]
    for word in given:
        if word.startswith("-") or word not in app:
            break
        app = app[word]
        usage.append(word)
    if any(not name.startswith("-") for name in app):
        return
    arguments = [one for one in app.assemble_argument_collection() if one.parse and one.show]
    places = [one for one in arguments if one.index is not None and one.field_info.is_positional]
    if len(places) < len(arguments):
        usage.append("[OPTIONS]")
    for one in places:
        name = one.name.lstrip("-").upper() + ("..." if one.is_var_positional() else "")
        usage.append(name if one.required else f"[{name}]")
    app.usage = " ".join(usage)


def words(name: str) -> str:
    """Return a name of the channel as the command line writes it: `mark-read` for `markRead`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


_TITLES: Final = ("Sessions", "Messages and events", "Chats, contacts and groups", "Daemon")

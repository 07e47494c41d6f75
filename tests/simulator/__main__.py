"""The simulator at the command line: `python -m tests.simulator serve`, then scan, receive, write, …"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.simulator.client import Client, default_path
from tests.simulator.errors import SimulatorError
from tests.simulator.people import add_commands
from tests.simulator.server import TROUBLES
from tests.simulator.simulator import VERDICTS, Config, Simulator, run

Command = Callable[[Client, argparse.Namespace], str]


async def _serve(port: int, control: Path) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, port, control)
            async for _ in signals:
                nursery.cancel_scope.cancel()


async def _run(port: int, control: Path) -> None:
    async with trio.open_nursery() as nursery:
        simulator: Simulator = await nursery.start(partial(run, Config(port=port, control_path=control)))
        args = simulator.chrome_args
        sys.stdout.write(
            f"WhatsApp Web is simulated on 127.0.0.1:{simulator.port}, controlled by "
            f"{simulator.control_path}\n\n"
            f"Chrome:  {' '.join(json.dumps(arg) for arg in args)} {simulator.url}\n\n"
            f"wasup's configuration:\n\n[browser]\nextra_args = {json.dumps(args)}\n\nCtrl-C ends it.\n"
        )
        sys.stdout.flush()


def _scan(client: Client, options: argparse.Namespace) -> str:
    if options.png is not None:
        device = client.scan_image(options.phone, options.png.read_bytes())
    elif options.text is not None:
        device = client.scan(options.phone, options.text)
    else:
        device = str(client.call("scan", phone=options.phone, code=options.code)["device"])
    return f"{options.phone} has linked the device {device}"


def _accounts(client: Client, _options: argparse.Namespace) -> str:
    lines = []
    for account in client.accounts():
        lines.append(f"{account['number']}  {account['name']}{'  (offline)' if account['offline'] else ''}")
        lines += [
            f"  linked    {d['device']}  {'connected' if d['connected'] else 'away'}"
            for d in account["linked"]
        ]
        lines += [f"  contact   {number}  {name}" for number, name in account["contacts"].items()]
        lines += [f"  group     {id_}  {subject}" for id_, subject in account["groups"].items()]
    return "\n".join(lines) or "no accounts yet: they are made when a phone is first named"


def _messages(client: Client, options: argparse.Namespace) -> str:
    marks = {0: " ", 1: "✓", 2: "✓✓", 3: "✓✓ read"}
    lines = [
        f"→ {m['chat']}  {m['text'] or m['kind']}  {marks.get(m['ack'], '')}"
        if m["fromMe"]
        else f"← {m['chat']}  {m['text'] or m['kind']}"
        for m in client.messages(options.phone)
    ]
    return "\n".join(line.rstrip() for line in lines) or "no messages"


def _ledger(client: Client, options: argparse.Namespace) -> str:
    ledger = client.ledger(options.phone)
    repeats = sum(s["duplicate"] for s in ledger["submissions"])
    summary = (
        f"{len(ledger['submissions'])} submissions ({repeats} repeated), "
        f"{len(ledger['deliveries'])} deliveries, {len(ledger['receptions'])} received by linked devices"
    )
    return json.dumps(ledger, indent=2) if options.json else summary


def _read(client: Client, options: argparse.Namespace) -> str:
    return f"{client.read(options.phone, options.chat, options.by)} messages read"


def _receive(client: Client, options: argparse.Namespace) -> str:
    entry = client.receive(options.phone, options.from_, options.text, options.group)
    return f"received in {entry['chat']} as {entry['id']}"


def _write(client: Client, options: argparse.Namespace) -> str:
    entry = client.write(options.phone, options.to, options.text)
    return f"written to {entry['chat']} as {entry['id']}"


def _unlink(client: Client, options: argparse.Namespace) -> str:
    return f"unlinked: {', '.join(client.unlink(options.phone, options.device)) or 'nothing was linked'}"


def _offline(client: Client, options: argparse.Namespace) -> str:
    client.offline(options.phone)
    return f"{options.phone} is offline"


def _online(client: Client, options: argparse.Namespace) -> str:
    client.online(options.phone)
    return f"{options.phone} is online"


def _requests(client: Client, _options: argparse.Namespace) -> str:
    answer = client.call("requests")
    lines = [f"{r['method']} https://{r['host']}{r['path']}" for r in answer["requests"]]
    lines += [f"STRAY {call['host']}  {call['detail']}" for call in answer["strays"]]
    return "\n".join(lines) or "nothing yet"


def _simple(verb: str) -> Command:
    def command(client: Client, options: argparse.Namespace) -> str:
        params = {k: v for k, v in vars(options).items() if k not in ("run", "control", "command")}
        answer: Any = client.call(verb, **params)
        return "done" if answer is None else json.dumps(answer, ensure_ascii=False)

    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--control", type=Path, default=None, help=f"the control socket ({default_path()})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run_: Command | None, text: str, phone: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run_)
        command.add_argument("--control", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if phone:
            command.add_argument("--phone", required=True, metavar="+49…", help="the account's number")
        return command

    serve = add("serve", None, "run a simulator until Ctrl-C", phone=False)
    serve.add_argument("--port", type=int, default=0, help="the HTTPS port (a free one)")
    scan = add("scan", _scan, "scan a code with a phone")
    what = scan.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="the code's text")
    what.add_argument("--png", type=Path, help="a picture of the code")
    what.add_argument("--code", help="the eight letters of a link by phone number")
    for name in ("receive", "answer"):
        receive = add(name, _receive, "let somebody write to the account")
        receive.add_argument("--from", dest="from_", required=True, metavar="+49…", help="who writes")
        receive.add_argument("--text", required=True)
        receive.add_argument("--group", help="in this group")
    write = add("write", _write, "type a message on the phone itself")
    write.add_argument("--to", required=True, help="a number or a group's id")
    write.add_argument("--text", required=True)
    read = add("read", _read, "let the other end read what was sent")
    read.add_argument("--chat", required=True, help="a number or a group's id")
    read.add_argument("--by", help="in a group: only this member")
    unlink = add("unlink", _unlink, "take linked devices off the phone")
    unlink.add_argument("--device", help="only this one")
    add("offline", _offline, "cut the account off from the server")
    add("online", _online, "let it in again")
    contact = add("contact", _simple("contact"), "write a contact into the phone's book")
    contact.add_argument("--number", required=True)
    contact.add_argument("--name", required=True)
    group = add("group", _simple("group"), "found a group")
    group.add_argument("--subject", required=True)
    group.add_argument("--participants", required=True, nargs="+")
    add_commands(add, _simple)
    codes = add(
        "link-codes", _simple("link-codes"), "let the codes for linking by number expire", phone=False
    )
    codes.add_argument("--what", required=True, choices=("refresh", "end", "break"))
    state = add("state", _simple("state"), "put a Socket state on the account's pages")
    state.add_argument("--state", required=True, help="CONFLICT, TOS_BLOCK, CONNECTED, …")
    add("rotate", _simple("rotate"), "let every code expire now", phone=False)
    down = add("down", _simple("down"), "let nobody reach WhatsApp", phone=False)
    down.add_argument("--kind", choices=TROUBLES, default="closed", help="what is wrong with the network")
    add("up", _simple("up"), "the end of down", phone=False)
    publish = add("publish", _simple("publish"), "have the site give out another version", phone=False)
    publish.add_argument("--version", required=True, help="such as 2.3000.1040000001")
    judge = add("judge", _simple("judge"), "have something be wrong with a version of the page", phone=False)
    judge.add_argument("--version", required=True)
    judge.add_argument("--verdict", choices=VERDICTS, help="what is wrong; nothing, without it")
    add("messages", _messages, "what the phone has sent and received")
    ledger = add("ledger", _ledger, "what was submitted, delivered, received")
    ledger.add_argument("--json", action="store_true", help="every entry")
    add("accounts", _accounts, "all accounts", phone=False)
    add("requests", _requests, "every request that came, and who else was called", phone=False)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    control = options.control or default_path()
    failures: list[BaseException] = []
    try:
        if options.run is None:
            trio.run(_serve, options.port, control)
        else:
            with Client(control) as client:
                sys.stdout.write(options.run(client, options) + "\n")
    except* (SimulatorError, OSError) as group:
        failures = [_first(error) for error in group.exceptions]
    except* KeyboardInterrupt:
        pass
    for error in failures:
        sys.stderr.write(f"simulator: {error}\n")
    return 1 if failures else 0


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    sys.exit(main())

"""The control API for other processes: one JSON object a line over a Unix socket.

`{"verb": "receive", "phone": "+49…", "from": "+49…", "text": "…"}` is answered with
`{"ok": true, "result": …}` or `{"ok": false, "error": "…"}`.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import trio

from tests.simulator import verbs
from tests.simulator.errors import SimulatorError

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

MAX_LINE_BYTES = 32 * 2**20
Answer = Any
Verb = Callable[["Simulator", dict[str, Any]], Awaitable[Answer]]


async def _info(sim: "Simulator", _params: dict[str, Any]) -> Answer:
    return {"url": sim.url, "port": sim.port, "chromeArgs": sim.chrome_args}


async def _accounts(sim: "Simulator", _params: dict[str, Any]) -> Answer:
    return [
        {
            "number": a.number,
            "name": a.name,
            "offline": a.offline,
            "messages": len(a.entries),
            "linked": [
                {"device": d.id, "name": d.name, "connected": d.link is not None} for d in a.devices.values()
            ],
            "contacts": {c.number: c.name for c in a.contacts.values()},
            "groups": {g.id: g.subject for g in sim.world.groups_of(a.number)},
        }
        for a in sim.world.accounts.values()
    ]


async def _scan(sim: "Simulator", params: dict[str, Any]) -> Answer:
    phone = sim.phone(params.pop("phone"))
    if "image" in params:
        return {"device": await phone.scan_image(params["image"])}
    if "code" in params:
        return {"device": await phone.enter_code(params["code"])}
    return {"device": await phone.scan(params["text"])}


async def _receive(sim: "Simulator", params: dict[str, Any]) -> Answer:
    phone = sim.phone(params["phone"])
    return verbs.entry(phone.receive(params["from"], params["text"], params.get("group")))


async def _write(sim: "Simulator", params: dict[str, Any]) -> Answer:
    return verbs.entry(sim.phone(params["phone"]).write(params["to"], params["text"]))


async def _read(sim: "Simulator", params: dict[str, Any]) -> Answer:
    return {"read": sim.phone(params["phone"]).read(params["chat"], params.get("by"))}


async def _contact(sim: "Simulator", params: dict[str, Any]) -> Answer:
    on_whatsapp = params.get("onWhatsapp", True)
    return {"id": sim.phone(params["phone"]).add_contact(params["number"], params["name"], on_whatsapp)}


async def _group(sim: "Simulator", params: dict[str, Any]) -> Answer:
    return {"id": sim.phone(params["phone"]).add_group(params["subject"], params["participants"])}


async def _unlink(sim: "Simulator", params: dict[str, Any]) -> Answer:
    phone = sim.phone(params["phone"])
    before = phone.linked
    phone.unlink(params.get("device"))
    return {"unlinked": [device for device in before if device not in phone.linked]}


async def _offline(sim: "Simulator", params: dict[str, Any]) -> Answer:
    sim.phone(params["phone"]).offline()


async def _online(sim: "Simulator", params: dict[str, Any]) -> Answer:
    sim.phone(params["phone"]).online()


async def _state(sim: "Simulator", params: dict[str, Any]) -> Answer:
    stream = {key: params[key] for key in ("mode", "info", "needsUpdate") if key in params}
    sim.phone(params["phone"]).push_state(params["state"], **stream)


async def _rotate(sim: "Simulator", _params: dict[str, Any]) -> Answer:
    sim.turn_codes()


async def _down(sim: "Simulator", params: dict[str, Any]) -> Answer:
    sim.down(params.get("kind", "closed"))


async def _up(sim: "Simulator", _params: dict[str, Any]) -> Answer:
    sim.up()


async def _publish(sim: "Simulator", params: dict[str, Any]) -> Answer:
    sim.publish(params["version"])


async def _judge(sim: "Simulator", params: dict[str, Any]) -> Answer:
    sim.judge(params["version"], params.get("verdict"))


async def _messages(sim: "Simulator", params: dict[str, Any]) -> Answer:
    return [verbs.entry(entry) for entry in sim.phone(params["phone"]).messages]


async def _ledger(sim: "Simulator", params: dict[str, Any]) -> Answer:
    phone = sim.phone(params["phone"])
    return {
        "submissions": [asdict(s) for s in phone.submissions],
        "deliveries": [asdict(d) for d in phone.deliveries],
        "receptions": [asdict(r) for r in phone.receptions],
        "readReceipts": [asdict(r) for r in phone.read_receipts],
    }


async def _requests(sim: "Simulator", _params: dict[str, Any]) -> Answer:
    return {"requests": [asdict(r) for r in sim.requests], "strays": [asdict(c) for c in sim.strays]}


VERBS: dict[str, Verb] = {
    "info": _info,
    "accounts": _accounts,
    "scan": _scan,
    "receive": _receive,
    "write": _write,
    "read": _read,
    "contact": _contact,
    "group": _group,
    "unlink": _unlink,
    "offline": _offline,
    "online": _online,
    "state": _state,
    "rotate": _rotate,
    "down": _down,
    "up": _up,
    "publish": _publish,
    "judge": _judge,
    "messages": _messages,
    "ledger": _ledger,
    "requests": _requests,
    **verbs.VERBS,
}


async def perform(sim: "Simulator", request: Any) -> Answer:
    """Do what a request says; raises SimulatorError with what was wrong with it."""
    if not isinstance(request, dict) or request.get("verb") not in VERBS:
        raise SimulatorError(f"a request is an object with a verb, one of: {', '.join(VERBS)}")
    params = {key: value for key, value in request.items() if key != "verb"}
    try:
        return await VERBS[request["verb"]](sim, params)
    except KeyError as error:
        raise SimulatorError(f"{request['verb']} needs {error.args[0]!r}") from None


async def serve_control(
    sim: "Simulator", *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on the control socket until cancelled; the socket's file is removed."""
    path = trio.Path(sim.control_path)
    await _remove_stale(path)
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        try:
            await listening.bind(str(path))
        except OSError as error:
            raise SimulatorError(
                f"cannot listen on {path}: {error.strerror}; is a simulator running there?"
            ) from None
        listening.listen(16)
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    accepted, _ = await listening.accept()
                    nursery.start_soon(_attend, sim, trio.SocketStream(accepted))
        finally:
            sim.control_path.unlink(missing_ok=True)


async def _remove_stale(path: trio.Path) -> None:
    """Remove the socket of a simulator that was killed; one that still answers is left alone."""
    try:
        with trio.socket.socket(trio.socket.AF_UNIX) as probe:
            await probe.connect(str(path))
    except ConnectionRefusedError:
        await path.unlink(missing_ok=True)
    except OSError:
        pass


async def _attend(sim: "Simulator", stream: trio.SocketStream) -> None:
    buffer = b""
    async with stream:
        try:
            while data := await stream.receive_some(65536):
                buffer += data
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    await stream.send_all(json.dumps(await _reply(sim, line)).encode() + b"\n")
                if len(buffer) > MAX_LINE_BYTES:
                    return
        except trio.BrokenResourceError:
            pass


async def _reply(sim: "Simulator", line: bytes) -> dict[str, Any]:
    try:
        return {"ok": True, "result": await perform(sim, json.loads(line))}
    except json.JSONDecodeError as error:
        return {"ok": False, "error": f"this line is not JSON: {error}"}
    except SimulatorError as error:
        return {"ok": False, "error": str(error)}

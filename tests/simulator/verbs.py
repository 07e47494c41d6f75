"""The control API's verbs about what people do: files, places, polls, reactions, calls, groups, troubles."""

import base64
from typing import TYPE_CHECKING, Any

from tests.simulator.errors import SimulatorError
from tests.simulator.models import Entry

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

Params = dict[str, Any]


def entry(entry: Entry) -> dict[str, Any]:
    """A message as the control API tells it."""
    return {
        "id": entry.id, "chat": entry.chat, "fromMe": entry.from_me, "kind": entry.kind, "text": entry.text,
        "ack": entry.ack, "time": entry.message.t, "reactions": entry.reactions, "votes": entry.votes,
        "revoked": entry.revoked,
    }  # fmt: skip


async def file(sim: "Simulator", params: Params) -> Any:
    """Somebody sends a file; `data` is base64."""
    optional = {key: params.get(key) for key in ("filename", "caption", "group")}
    data = base64.b64decode(params["data"])
    phone = sim.phone(params["phone"])
    return entry(phone.receive_media(params["from"], params["kind"], data, params["mimetype"], **optional))


async def media(sim: "Simulator", params: Params) -> Any:
    """The file that a message carries, as base64."""
    return {"data": base64.b64encode(sim.phone(params["phone"]).media(params["id"])).decode()}


async def location(sim: "Simulator", params: Params) -> Any:
    """Somebody sends a place."""
    phone, place = sim.phone(params["phone"]), (float(params["lat"]), float(params["lng"]))
    return entry(phone.receive_location(params["from"], *place, params.get("name"), params.get("group")))


async def card(sim: "Simulator", params: Params) -> Any:
    """Somebody sends a contact."""
    phone = sim.phone(params["phone"])
    return entry(phone.receive_contact(params["from"], params["name"], params["number"], params.get("group")))


async def poll(sim: "Simulator", params: Params) -> Any:
    """Somebody asks."""
    phone = sim.phone(params["phone"])
    return entry(
        phone.receive_poll(params["from"], params["question"], params["options"], params.get("group"))
    )


async def react(sim: "Simulator", params: Params) -> Any:
    """Somebody reacts."""
    sim.phone(params["phone"]).react(params["from"], params["id"], params["emoji"])


async def edit(sim: "Simulator", params: Params) -> Any:
    """Somebody edits what they wrote."""
    sim.phone(params["phone"]).edit(params["from"], params["id"], params["text"])


async def revoke(sim: "Simulator", params: Params) -> Any:
    """Somebody deletes for everyone."""
    sim.phone(params["phone"]).revoke(params["from"], params["id"])


async def vote(sim: "Simulator", params: Params) -> Any:
    """Somebody votes."""
    sim.phone(params["phone"]).vote(params["from"], params["id"], params["options"])


async def presence(sim: "Simulator", params: Params) -> Any:
    """Somebody is typing, or there, or gone."""
    sim.phone(params["phone"]).presence(params["from"], params["state"], params.get("group"))


async def call(sim: "Simulator", params: Params) -> Any:
    """Somebody calls."""
    return {"id": sim.phone(params["phone"]).call(params["from"], bool(params.get("video")))}


async def change_group(sim: "Simulator", params: Params) -> Any:
    """People of a group, or its subject."""
    participants, by = params.get("participants", ()), params.get("by")
    phone = sim.phone(params["phone"])
    phone.change_group(params["group"], params["action"], participants, by, params.get("subject"))


async def arrange(sim: "Simulator", params: Params) -> Any:
    """Archive or pin a chat."""
    archived, pinned = bool(params.get("archived")), bool(params.get("pinned"))
    sim.phone(params["phone"]).arrange(params["chat"], archived, pinned)


async def fail_sends(sim: "Simulator", params: Params) -> Any:
    """Let the next messages fail."""
    sim.phone(params["phone"]).fail_sends(int(params["times"]), params.get("error", "No sessions"))


async def link_codes(sim: "Simulator", params: Params) -> Any:
    """What becomes of the codes for linking by number: `refresh`, `end` or `break`."""
    what = {"refresh": sim.refresh_link_codes, "end": sim.end_link_codes, "break": sim.break_link_codes}
    if params["what"] not in what:
        raise SimulatorError(f"link-codes can be told to {', '.join(what)}")
    what[params["what"]]()


async def backend_event(sim: "Simulator", params: Params) -> Any:
    """Something that WhatsApp's server says to the account's pages."""
    sim.phone(params["phone"]).push_backend_event(params["name"])


async def break_(sim: "Simulator", params: Params) -> Any:
    """Let the account's pages go wrong, or, without a phone, all pages."""
    more = {"loads": int(params["loads"])} if "loads" in params else {}
    if "phone" in params:
        sim.phone(params["phone"]).break_pages(params["kind"], **more)
    else:
        sim.break_pages(params["kind"], **more)


VERBS = {
    "backend-event": backend_event,
    "break": break_,
    "file": file,
    "media": media,
    "location": location,
    "card": card,
    "poll": poll,
    "react": react,
    "edit": edit,
    "revoke": revoke,
    "vote": vote,
    "presence": presence,
    "call": call,
    "change-group": change_group,
    "arrange": arrange,
    "fail-sends": fail_sends,
    "link-codes": link_codes,
}

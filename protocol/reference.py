"""The pages of the reference, in Markdown, from the OpenRPC document: docs/api.md and docs/events.md.

Written by `make docs`. Must not know: where examples come from; it is handed requests with their answers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any, TypedDict

Schema = Mapping[str, Any]

_WIDTH = 110
_PREAMBLE = """\
# The methods

JSON-RPC 2.0 over the daemon's Unix socket, one message a line. `params` is always an object; unknown and
missing ones are refused with `INVALID_PARAMS` and the path of the offender. This page is made from the same
table that the daemon checks requests by; `wasupctl call rpc.discover` prints it for programs. Every example
was run against the daemon, with a simulated WhatsApp: the request's line, and the `result` of its answer.
Long texts and lists are cut. Methods without one are [actions](actions.md), which says what was ever run.

Any method may also fail with {common}.
"""

_EVENTS_PREAMBLE = """\
# The events

Everything that happens is one row of an ordered log. [events.subscribe](api.md#eventssubscribe) sends it on
the connection, [events.list](api.md#eventslist) reads it, [webhooks](webhooks.md) POST it. An event is
{shape}, where `seq` is its place in the log and `data` depends on `type`:
"""


class Example(TypedDict):
    """A request and what it was answered."""

    method: str
    params: dict[str, Any]
    result: Any


def methods_page(document: Mapping[str, Any], examples: Sequence[Example]) -> str:
    """Return docs/api.md. `document` is `openrpc.document`'s; the first example of a method is shown."""
    return "\n".join(_methods_page(document, examples)) + "\n"


def events_page(document: Mapping[str, Any], events: Mapping[str, Any]) -> str:
    """Return docs/events.md; `events` has an example of an event by its type, where there is one."""
    return "\n".join(_events_page(document, events)) + "\n"


def _methods_page(document: Mapping[str, Any], examples: Sequence[Example]) -> Iterator[str]:
    methods = document["methods"]
    common = set.intersection(*({_last(error["$ref"]) for error in m["errors"]} for m in methods))
    shown = {example["method"]: example for example in reversed(examples)}
    yield _PREAMBLE.format(common=_list(sorted(common)))
    spaces: dict[str, list[Schema]] = {}
    for method in methods:
        spaces.setdefault(method["name"].partition(".")[0], []).append(method)
    for space, members in spaces.items():
        links = " · ".join(f"[{m['name'].partition('.')[2]}](#{_anchor(m['name'])})" for m in members)
        yield f"- **{space}**: {links}"
    for method in methods:
        yield from _method(method, common, shown.get(method["name"]))
    yield "\n# Shapes\n"
    yield "`?`: may be absent or null. What a record shows beside its fields is in the sentence above them."
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _shape(name, schema)
    yield from _errors(document)


def _method(method: Schema, common: set[str], example: Example | None) -> Iterator[str]:
    yield f"\n## {method['name']}\n"
    yield f"{method['summary']}. Role: {method['x-role']}.\n"
    if not method["description"].endswith(" is given."):
        yield f"{cleandoc(method['description'])}\n"
    if method["params"]:
        yield "| param | | |\n|---|---|---|"
        for param in method["params"]:
            yield _row(param["name"], param["schema"], required=param["required"])
        yield ""
    yield f"Answers {_type(method['result']['schema'])}."
    own = [code for error in method["errors"] if (code := _last(error["$ref"])) not in common]
    if own:
        yield f"Fails with {_list(own)}."
    if example is not None:
        request = {"jsonrpc": "2.0", "id": 1, "method": example["method"], "params": example["params"]}
        yield f"\n```json\n{_json(request)}\n```\n"
        yield f"```json\n{_json(example['result'])}\n```"


def _shape(name: str, schema: Schema) -> Iterator[str]:
    yield f"\n### {name}\n"
    if schema.get("description"):
        yield f"{cleandoc(schema['description'])}\n"
    required = schema.get("required", [])
    if schema.get("properties"):
        yield "| field | | |\n|---|---|---|"
        for field, inner in schema["properties"].items():
            yield _row(field, inner, required=field in required)


def _errors(document: Mapping[str, Any]) -> Iterator[str]:
    yield "\n# Errors\n"
    yield "`error.data.code` is the word that programs test; `error.data.details.action` says what to do.\n"
    yield "| code | number | status | |\n|---|---|---|---|"
    for code, error in document["components"]["errors"].items():
        action = error["data"]["details"].get("action", "")
        text = _cell(f"{error['message'].rstrip('.')}. {action}".strip())
        yield f"| {code} | {error['code']} | {error['data']['status']} | {text} |"


def _events_page(document: Mapping[str, Any], events: Mapping[str, Any]) -> Iterator[str]:
    record = document["components"]["schemas"]["EventRecord"]
    yield _EVENTS_PREAMBLE.format(shape="{" + ", ".join(record["properties"]) + "}")
    yield "| type | data |\n|---|---|"
    for kind, schema in document["x-events"].items():
        yield f"| `{kind}` | {_type(schema)} |"
    told: set[str] = set()
    for schema in document["x-events"].values():
        name = _last(schema["$ref"])
        if name not in told:
            told.add(name)
            yield from _shape(name, document["components"]["schemas"][name])
            kinds = [k for k, s in document["x-events"].items() if s == schema and k in events]
            if kinds:
                yield f"\n```json\n{_json(events[kinds[0]])}\n```"


def _row(name: str, schema: Schema, *, required: bool) -> str:
    options = [s for s in schema.get("anyOf", []) if s.get("type") != "null"]
    inner = options[0] if len(options) == 1 else schema
    notes = [inner.get("description", ""), _bounds(inner)]
    default = schema.get("default")
    if not required and default not in (None, [], {}) and not isinstance(default, dict):
        notes.append(f"default {json.dumps(default)}")
    text = "; ".join(note for note in notes if note)
    return f"| `{name}`{'' if required else '?'} | {_type(schema)} | {_cell(text)} |"


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    of = "" if schema.get("type") in ("integer", "number") else " long"
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low}{of}"
    return f"at most {high}{of}" if not low else f"{low} to {high}{of}"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = _last(schema["$ref"])
        return f"[{name}](api.md#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array" if "items" in schema and schema["items"] is not False:
            return f"list of {_type(schema['items'])}"
        case "array":
            return "list"
        case str() as name:
            return name
        case _:
            return "anything"


def _json(value: object, indent: str = "") -> str:
    """JSON with what fits into a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_json(inner, deeper)}" for key, inner in value.items()]
    else:
        parts = [_json(inner, deeper) for inner in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    inside = f",\n{deeper}".join(parts)
    return f"{first}\n{deeper}{inside}\n{indent}{last}"


def _list(codes: Sequence[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _anchor(name: str) -> str:
    return name.replace(".", "").lower()


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

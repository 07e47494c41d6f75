"""METHODS as an OpenRPC 1.3 document, which rpc.discover answers: https://spec.open-rpc.org."""

from typing import Any

import msgspec

from .errors import ERRORS, ErrorSpec
from .events import EVENT_DATA, NOTIFICATION, EventNotification
from .methods import COMMON_ERRORS, METHODS, Method


def document(version: str) -> dict[str, Any]:
    """Return the document for a daemon of that version: plain JSON values.

    A method's `x-role` is the least role that may call it; `x-events` names the shape of every event's
    `data`, `x-notifications` that of what a subscriber is sent.
    """
    methods = METHODS.values()
    told = [*EVENT_DATA.values(), EventNotification]
    types = [*(m.params for m in methods), *(m.result for m in methods), *told]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, schemas, strict=True))
    params_of = {kind: components.pop(kind.__name__) for kind in {m.params for m in methods}}
    described = {
        "openrpc": "1.3.2",
        "info": {
            "title": "wasup",
            "version": version,
            "description": "The daemon that keeps WhatsApp Web sessions alive, on its Unix socket.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "methods": [_method(m, params_of[m.params], schema_of[m.result]) for m in methods],
        "components": {
            "schemas": components,
            "errors": {spec.code: _error(spec) for spec in ERRORS.values()},
        },
        "x-notifications": {NOTIFICATION: schema_of[EventNotification]},
        "x-events": {type_: schema_of[data] for type_, data in EVENT_DATA.items()},
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return plain


def _method(method: Method, params: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    required = params.get("required", [])
    return {
        "name": method.name,
        "summary": method.summary,
        "description": params.get("description", ""),
        "paramStructure": "by-name",
        "params": [
            {"name": name, "required": name in required, "schema": schema}
            for name, schema in params.get("properties", {}).items()
        ],
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{code}"} for code in (*method.errors, *COMMON_ERRORS)],
        "x-role": method.role,
    }


def _error(spec: ErrorSpec) -> dict[str, Any]:
    details = {} if spec.action is None else {"action": spec.action}
    data = {"code": spec.code, "status": spec.status, "details": details}
    return {"code": spec.number, "message": spec.message, "data": data}

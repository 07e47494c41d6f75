"""The document of rpc.discover is OpenRPC, and says what METHODS say."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from protocol.events import EVENT_DATA
from protocol.methods import METHODS
from protocol.openrpc import document

from .strategies import as_json, json_values

META = Path(__file__).parent / "openrpc_meta_schema"
DOCUMENT = document("1.2.3")


def schema(part: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**part, "components": DOCUMENT["components"]})


def test_the_document_fits_the_meta_schema() -> None:
    of_schemas = DRAFT7.create_resource(json.loads((META / "json-schema.json").read_text()))
    names = ["https://meta.json-schema.tools", "https://meta.json-schema.tools/"]
    registry: Registry[Any] = Registry().with_resources([(name, of_schemas) for name in names])
    meta = json.loads((META / "open-rpc.json").read_text())
    assert list(Draft7Validator(meta, registry=registry).iter_errors(DOCUMENT)) == []
    broken = {**DOCUMENT, "methods": [{"name": "a", "params": [{"name": "b", "schema": {"type": 1}}]}]}
    assert list(Draft7Validator(meta, registry=registry).iter_errors(broken)) != []


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_method_is_there_with_what_it_takes() -> None:
    documented = {method["name"]: method for method in DOCUMENT["methods"]}
    assert set(documented) == set(METHODS)
    for name, method in METHODS.items():
        fields = msgspec.structs.fields(method.params)
        params = {param["name"]: param["required"] for param in documented[name]["params"]}
        assert params == {field.encode_name: field.required for field in fields}
        assert documented[name]["x-role"] == method.role
    assert set(DOCUMENT["x-events"]) == set(EVENT_DATA)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/')[1:]:
        found: Any = DOCUMENT
        for step in part.split('"')[0].split("/"):
            found = found[step]
        assert found


@pytest.mark.parametrize("name", sorted(METHODS))
@settings(max_examples=10)
@given(data=st.data())
def test_results_fit_their_schema(name: str, data: st.DataObject) -> None:
    kind = METHODS[name].result
    result = msgspec.json.decode(as_json(data.draw(json_values(kind))), type=kind)
    (described,) = [m["result"]["schema"] for m in DOCUMENT["methods"] if m["name"] == name]
    schema(described).validate(json.loads(as_json(result)))

"""JSON into a Struct, or an INVALID_PARAMS that names the offender by its path and says what to do.

Must not know: any method.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec

from .errors import RpcError
from .models import FieldError

_MAX_PROBLEM = 300
_AT = re.compile(r"(?P<problem>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<kind>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[\d+\]")

_S = TypeVar("_S", bound=msgspec.Struct)


def decode(kind: type[_S], raw: msgspec.Raw | bytes) -> _S:
    """Return the JSON `raw` as `kind`; raises INVALID_PARAMS with path, problem and action in its details."""
    try:
        decoded: _S = _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise _explained(kind, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("$", str(error), "Send JSON, nested less deeply.") from None
    return decoded


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that `word` was most probably meant to be."""
    import difflib  # only a mistake pays for it

    return next(iter(difflib.get_close_matches(word[:100], list(known), n=1)), None)


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _invalid(path: str, problem: str, action: str) -> RpcError:
    problem = problem[:_MAX_PROBLEM]
    path = path[:_MAX_PROBLEM]
    return RpcError("INVALID_PARAMS", f"{path}: {problem}", path=path, problem=problem, action=action)


def _explained(kind: type[msgspec.Struct], error: msgspec.ValidationError) -> RpcError:
    """Put msgspec's sentence into parts (0.22: its path ends at an unknown or missing field's parent)."""
    found = _AT.fullmatch(str(error))
    problem, path = (found["problem"], found["path"] or "$") if found else (str(error), "$")
    if isinstance(error.__cause__, FieldError):
        path = f"{path}.{error.__cause__.field}"
        return _invalid(path, problem, f"Correct `{path}`.")
    field = _FIELD.fullmatch(problem)
    if field is None:
        choices = [value for node in _types_at(kind, path) for value in getattr(node, "values", ())]
        hint = f": one of {', '.join(map(str, choices))}" if choices else ""
        return _invalid(path, problem, f"Correct `{path}`{hint}.")
    name = field["name"]
    known = [known.encode_name for node in _types_at(kind, path) for known in getattr(node, "fields", ())]
    path += f".{name}" if name.isidentifier() else f"[{msgspec.json.encode(name[:100]).decode()}]"
    if field["kind"] == "missing required":
        return _invalid(path, "This field is required", f"Give `{name}`.")
    near = nearest(name, known)
    hint = f"did you mean `{near}`?" if near else f"there are: {', '.join(known) or 'none'}."
    return _invalid(path, "There is no such field", f"Leave it out, or correct its name: {hint}")


@cache
def _inspected(kind: type[msgspec.Struct]) -> Any:
    from msgspec import inspect

    return inspect.type_info(kind)


def _types_at(kind: type[msgspec.Struct], path: str) -> list[Any]:
    """Return the types, as msgspec inspects them, that a value at `path` may have."""
    from msgspec import inspect  # only a mistake pays for it

    def options(node: Any) -> list[Any]:
        if isinstance(node, inspect.Metadata):
            return options(node.type)
        return [o for t in node.types for o in options(t)] if isinstance(node, inspect.UnionType) else [node]

    nodes = options(_inspected(kind))
    for step in _STEP.finditer(path):
        inner: list[Any] = []
        for node in nodes:
            if step[1] is None:
                inner += options(node.item_type) if hasattr(node, "item_type") else []
            else:
                inner += [
                    o
                    for f in getattr(node, "fields", ())
                    if f.encode_name == step[1]
                    for o in options(f.type)
                ]
        nodes = inner
    return nodes

"""Values of any type that the channel knows, made from the types themselves."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

_TIMES = st.sampled_from(["2026-11-21T10:00:00.000Z", "2026-11-21T10:00:00+01:00"])
_RECIPIENTS = st.sampled_from(["+49 151 12345678", "4915112345678@c.us", "1203630@g.us"])
_BY_NAME = {
    "since": _TIMES,
    "until": _TIMES,
    "to": _RECIPIENTS,
    "chatId": _RECIPIENTS,
    "mentions": st.lists(_RECIPIENTS, max_size=3),
}


def json_values(kind: Any) -> st.SearchStrategy[Any]:
    """Plain JSON values that decode as `kind`, apart from checks that go over several fields."""
    return _of(inspect.type_info(kind))


def _of(node: inspect.Type) -> st.SearchStrategy[Any]:
    match node:
        case inspect.Metadata(type=inner):
            return _of(inner)
        case inspect.StructType(fields=fields):
            named = {f.encode_name: _field(f) for f in fields}
            required = {f.encode_name: named.pop(f.encode_name) for f in fields if f.required}
            return st.fixed_dictionaries(required, optional=named)
        case inspect.UnionType(types=types):
            return st.one_of(*(_of(t) for t in types))
        case inspect.VarTupleType(item_type=item, min_length=least):
            return st.lists(_of(item), min_size=least or 0, max_size=3)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=3)
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case inspect.StrType(min_length=least, max_length=most):
            letters = st.characters(exclude_categories=["Cs"])
            return st.text(letters, min_size=least or 0, max_size=min(most or 9, 9))
        case inspect.IntType(ge=low, le=high):
            return st.integers(min_value=low, max_value=high if high is not None else 2**53)
        case inspect.FloatType(ge=low, le=high):
            return st.floats(min_value=low, max_value=high, allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.RawType() | inspect.AnyType():
            return st.dictionaries(st.text("abc", max_size=3), st.integers(0, 9), max_size=2)
        case _:
            raise AssertionError(node)


def _field(field: inspect.Field) -> st.SearchStrategy[Any]:
    return _BY_NAME[field.encode_name] if field.encode_name in _BY_NAME else _of(field.type)


def as_json(value: object) -> bytes:
    return msgspec.json.encode(value)

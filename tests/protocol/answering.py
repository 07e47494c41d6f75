"""A server of the specification's examples, and what it answers to a line."""

from typing import Any

import msgspec

from protocol.errors import RpcError
from protocol.jsonrpc import (
    Batch,
    Decoder,
    Incoming,
    Invalid,
    Notification,
    Request,
    TooLong,
    encode_batch,
    encode_error,
    encode_result,
)

LIMIT = 4096


def decode(data: bytes) -> list[Incoming]:
    return Decoder(LIMIT).feed(data)


def plain(incoming: Incoming) -> object:
    """What came in, as something that can be compared."""
    match incoming:
        case Request(id=id_, method=method, params=params):
            return ("request", id_, method, bytes(params))
        case Notification(method=method, params=params):
            return ("notification", method, bytes(params))
        case Batch(items=items):
            return [plain(item) for item in items]
        case Invalid(id=id_, error=error):
            return ("invalid", id_, error.to_wire())
        case TooLong(error=error):
            return ("too long", error.to_wire())


def perform(item: Request | Notification | Invalid) -> bytes | None:
    """A server that has the methods of the specification's examples, by name."""
    match item:
        case Invalid(id=id_, error=error):
            return encode_error(id_, error)
        case Notification():
            return None
        case Request(id=id_, method="subtract", params=params):
            numbers = msgspec.json.decode(params)
            return encode_result(id_, numbers["minuend"] - numbers["subtrahend"])
        case Request(id=id_, method="get_data"):
            return encode_result(id_, ["hello", 5])
        case Request(id=id_):
            return encode_error(id_, RpcError("METHOD_NOT_FOUND"))


def answer(line: bytes) -> Any:
    """What that server answers, with the number of an error alone; None for nothing."""
    (incoming,) = decode(line + b"\n")
    match incoming:
        case TooLong():
            raise AssertionError
        case Batch(items=items):
            sent = encode_batch([a for a in map(perform, items) if a is not None])
        case _:
            sent = perform(incoming)
    if sent is None:
        return None
    assert sent.count(b"\n") == 1
    found = msgspec.json.decode(sent)
    for each in found if isinstance(found, list) else [found]:
        assert each["jsonrpc"] == "2.0"
        if "error" in each:
            each["error"] = each["error"]["code"]
    return found


def ok(id_: object, result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": id_, "result": result}


def failed(id_: object, number: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": id_, "error": number}

"""JSON-RPC 2.0, one message a line, without IO: bytes in, requests out; answers in, bytes out.

Owns: framing, what a valid request is, what an invalid one is answered with. Must not know: any method.
https://www.jsonrpc.org/specification, narrowed in one point: positional params are refused (-32602).
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .errors import RpcError

MAX_BATCH = 10_000
"""A batch of more items is refused as a whole: each costs memory, an answer and time of the event loop."""

Id: TypeAlias = str | int | float | None
"""What a request is told from others by; the specification allows null and fractions, and advises against."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that wants an answer; `params` is the JSON of an object, `{}` where none was given."""

    jsonrpc: Literal["2.0"]
    id: Id
    method: str
    params: Raw = Raw(b"{}")


class Notification(msgspec.Struct, frozen=True):
    """A request that wants no answer, not even to its mistakes; `params` may be positional JSON here."""

    method: str
    params: Raw


class Invalid(msgspec.Struct, frozen=True):
    """What is no request: send `error` as the answer to `id`."""

    id: Id
    error: RpcError


class Batch(msgspec.Struct, frozen=True):
    """Requests that came in one array: their answers leave in one array."""

    items: tuple[Request | Notification | Invalid, ...]


class TooLong(msgspec.Struct, frozen=True):
    """A line beyond the limit: send `error` with a null id, then close; the decoder takes no more input."""

    error: RpcError


Incoming: TypeAlias = Request | Notification | Batch | Invalid | TooLong


class _Envelope(msgspec.Struct):
    """What is or is not a request."""

    jsonrpc: Literal["2.0"]
    method: str
    params: Raw = Raw(b"{}")
    id: Id | UnsetType = UNSET


class _Result(msgspec.Struct):
    jsonrpc: str
    id: Id
    result: object


class _Identified(msgspec.Struct):
    id: Id = None


class _Item:
    """One item of a batch that is only counted."""


class _TooManyItemsError(Exception):
    """Ends the counting."""


_request = msgspec.json.Decoder(Request)
_envelope = msgspec.json.Decoder(_Envelope)
_identified = msgspec.json.Decoder(_Identified)
_raw = msgspec.json.Decoder(Raw)
_raws = msgspec.json.Decoder(list[Raw])
_plain = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode

_OBJECT, _LIST = b"{["


class Lines:
    """Cuts a byte stream into lines; holds no more than `max_bytes` of an unfinished one (None: any size)."""

    def __init__(self, max_bytes: int | None) -> None:
        self._max = max_bytes
        self._unfinished = bytearray()
        self.too_long = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their `\\n`, the empty ones left out.

        A line beyond the limit sets `too_long`; whatever follows is dropped.
        """
        if self.too_long:
            return []
        perhaps_long = self._max is not None and len(self._unfinished) + len(data) > self._max
        *ended, rest = data.split(b"\n")
        if ended and self._unfinished:
            self._unfinished += ended[0]
            ended[0] = bytes(self._unfinished)
            self._unfinished = bytearray()
        self._unfinished += rest
        if perhaps_long and self._max is not None:
            fitting = next((n for n, line in enumerate(ended) if len(line) > self._max), len(ended))
            if fitting < len(ended) or len(self._unfinished) > self._max:
                self.too_long = True
                self._unfinished = bytearray()
                ended = ended[:fitting]
        return [line for each in ended if (line := each.strip(b" \t\r"))]


class Decoder:
    """The daemon's side of one connection: bytes of any cut in, what they mean out. Never raises."""

    def __init__(self, max_message_bytes: int) -> None:
        self._lines = Lines(max_message_bytes)
        self._max = max_message_bytes

    def feed(self, data: bytes) -> list[Incoming]:
        """Return what `data` completes, in order; nothing after a TooLong."""
        closed = self._lines.too_long
        found: list[Incoming] = [_decode_line(line) for line in self._lines.feed(data)]
        if self._lines.too_long and not closed:
            problem = f"The line is longer than {self._max} bytes"
            action = "Send less at once, or raise `[rpc] max_message_bytes`; then connect again."
            found.append(TooLong(RpcError("INVALID_REQUEST", problem, action=action)))
        return found


class Response(msgspec.Struct, frozen=True):
    """An answer, on the client's side: a plain JSON `result`, or an `error`."""

    id: Id
    result: Any = None
    error: RpcError | None = None


class Told(msgspec.Struct, frozen=True):
    """A notification, on the client's side, its params plain JSON."""

    method: str
    params: Any


class ClientDecoder:
    """The client's side of one connection."""

    def __init__(self) -> None:
        self._lines = Lines(None)

    def feed(self, data: bytes) -> list[Response | Told]:
        """Return the answers and notifications that `data` completes; ValueError where it is neither."""
        return [_decode_answer(line) for line in self._lines.feed(data)]


def encode_result(id_: Id, result: object) -> bytes:
    """Return the line that answers a request; raises TypeError for what JSON cannot say."""
    return _encode(_Result("2.0", id_, result)) + b"\n"


def encode_error(id_: Id, error: RpcError) -> bytes:
    """Return the line that refuses a request."""
    return _encode({"jsonrpc": "2.0", "id": id_, "error": error.to_wire()}) + b"\n"


def encode_batch(answers: Sequence[bytes]) -> bytes | None:
    """Return one line for the lines that answer a batch; None where no item wants an answer."""
    return b"[" + b",".join(answer[:-1] for answer in answers) + b"]\n" if answers else None


def encode_notification(method: str, params: object) -> bytes:
    """Return the line that tells something and wants no answer; `params` is an object."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params}) + b"\n"


def encode_request(id_: Id, method: str, params: object) -> bytes:
    """Return the line that asks; `params` is an object."""
    return _encode({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}) + b"\n"


def _decode_line(line: bytes) -> Incoming:
    try:
        if not line.isascii():
            line.decode()  # Raw leaves strings unread, so their UTF-8 is checked here
        return _decode_batch(line) if line[0] == _LIST else _decode_one(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Invalid(None, RpcError("PARSE_ERROR", problem=str(error)))


def _decode_batch(line: bytes) -> Batch | Invalid:
    if line.count(b",") >= MAX_BATCH and _beyond_limit(line):
        problem = f"The batch has more than {MAX_BATCH} items"
        return Invalid(None, RpcError("INVALID_REQUEST", problem, action="Send smaller batches."))
    items = _raws.decode(line)
    if not items:
        return Invalid(None, RpcError("INVALID_REQUEST", "The batch is empty"))
    return Batch(tuple(map(_decode_one, items)))


def _beyond_limit(line: bytes) -> bool:
    """Tell whether there are more than MAX_BATCH items, without holding more than one."""
    seen = 0

    def count(_kind: type, _item: object) -> _Item:
        nonlocal seen
        seen += 1
        if seen > MAX_BATCH:
            raise _TooManyItemsError
        return _Item()

    try:
        msgspec.json.decode(line, type=list[_Item], dec_hook=count)
    except _TooManyItemsError:
        return True
    return False


def _decode_one(raw: bytes | Raw) -> Request | Notification | Invalid:
    """Raise DecodeError (but not ValidationError) or RecursionError where `raw` is not JSON."""
    try:
        request = _request.decode(raw)  # the usual
    except msgspec.ValidationError:
        return _decode_other(raw)
    return request if memoryview(request.params)[0] == _OBJECT else _decode_other(raw)


def _decode_other(raw: bytes | Raw) -> Notification | Invalid:
    try:
        envelope = _envelope.decode(raw)
    except msgspec.ValidationError as error:
        _raw.decode(raw)  # the rest was not looked at: not JSON goes before not a request
        return Invalid(_id_of(raw), RpcError("INVALID_REQUEST", problem=str(error)))
    params, id_ = envelope.params, envelope.id
    first = memoryview(params)[0]
    if first == _LIST:
        if id_ is not UNSET:
            return Invalid(id_, _positional())
    elif first != _OBJECT:
        return Invalid(
            None if id_ is UNSET else id_, RpcError("INVALID_REQUEST", problem="params is not an object")
        )
    return Notification(envelope.method, params)


def _positional() -> RpcError:
    problem = "Expected `object`, got `array`"
    action = "Give the parameters by name."
    return RpcError(
        "INVALID_PARAMS", "Positional params are not taken", path="$", problem=problem, action=action
    )


def _id_of(raw: bytes | Raw) -> Id:
    try:
        return _identified.decode(raw).id
    except msgspec.ValidationError:
        return None


def _decode_answer(line: bytes) -> Response | Told:
    match _plain.decode(line):
        case {"method": str(method), **rest}:
            return Told(method, rest.get("params"))
        case {"id": str() | int() | float() | None as id_, "error": error}:
            return Response(id_, error=RpcError.from_wire(error))
        case {"id": str() | int() | float() | None as id_, "result": result}:
            return Response(id_, result)
        case other:
            raise ValueError(f"Neither an answer nor a notification: {str(other)[:100]}")

"""The wire: what is no request, any cut of the stream, any garbage, and what clients make of answers."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RpcError
from protocol.jsonrpc import (
    MAX_BATCH,
    Batch,
    ClientDecoder,
    Decoder,
    Invalid,
    Request,
    Response,
    Told,
    TooLong,
    encode_batch,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
)

from .answering import LIMIT, answer, decode, failed, ok, plain
from .test_jsonrpc_specification import EXAMPLES


@pytest.mark.parametrize("id_", ["a", "", 0, -1, 1, 1.5, 2**64, -(2**70), None])
def test_an_id_comes_back_as_it_was(id_: object) -> None:
    line = msgspec.json.encode({"jsonrpc": "2.0", "method": "get_data", "id": id_})
    assert answer(line) == ok(id_, ["hello", 5])


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        (b'{"jsonrpc":"2.0","method":"a","id":true}', None),
        (b'{"jsonrpc":"2.0","method":"a","id":{}}', None),
        (b'{"jsonrpc":"2.0","method":"a","id":[1]}', None),
        (b'{"jsonrpc":"2.0","method":"a","id":1e999}', None),
        (b'{"jsonrpc":"1.0","method":"a","id":7}', 7),
        (b'{"method":"a","id":7}', 7),
        (b'{"jsonrpc":"2.0","id":7}', 7),
        (b'{"jsonrpc":"2.0","method":null,"id":7}', 7),
        (b'{"jsonrpc":"2.0","method":"a","params":"x","id":7}', 7),
        (b'{"jsonrpc":"2.0","method":"a","params":null,"id":7}', 7),
        (b'{"jsonrpc":"2.0","method":"a","params":1}', None),
        (b'"a"', None),
        (b"null", None),
        (b"1", None),
    ],
)
def test_what_is_no_request_is_refused(line: bytes, id_: object) -> None:
    assert answer(line) == failed(id_, -32600)
    assert answer(b"[" + line + b"]") == [failed(id_, -32600)]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"nonsense",
        b'{"jsonrpc":"2.0","method":1,"id":7',
        b'{"jsonrpc":"2.0","method":"a","params":{"a":"\xff"},"id":7}',
        b'{"jsonrpc":"2.0","method":"a","params":{"a":"\\q"},"id":7}',
        b'{"jsonrpc":"2.0","method":"a","params":{"a":"\\ud800"},"id":7}',
        b'{"jsonrpc":"2.0","method":"a","params":{"a":tru},"id":7}',
        b'{"jsonrpc":"2.0","method":"a","id":7}{}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"a","id":7}',
        b"[" * 2000,
        b'{"a":' * 800,
        b'{"jsonrpc":"2.0","method":"a","params":' + b"[" * 2000,
        b"[1,",
        b"]",
    ],
)
def test_what_is_no_json_is_refused_and_the_connection_goes_on(line: bytes) -> None:
    assert answer(line) == failed(None, -32700)
    found = decode(line + b"\n" + encode_request(8, "a", {}))
    assert plain(found[1]) == ("request", 8, "a", b"{}")


def test_empty_lines_and_carriage_returns_are_tolerated() -> None:
    found = decode(b'\n\r\n  \n {"jsonrpc":"2.0","method":"a","id":1} \r\n')
    assert list(map(plain, found)) == [("request", 1, "a", b"{}")]


def test_params_are_handed_on_unread() -> None:
    (found,) = decode(b'{"jsonrpc":"2.0","method":"a","params": {"x": [1, 2]} ,"id":1,"more":true}\n')
    assert plain(found) == ("request", 1, "a", b'{"x": [1, 2]}')


def test_a_line_at_the_limit_is_taken() -> None:
    line = encode_request(1, "a", {"x": ""})
    line = encode_request(1, "a", {"x": "y" * (LIMIT - len(line) + 1)})
    assert len(line) == LIMIT + 1
    assert isinstance(decode(line)[0], Request)
    longer = line.replace(b'"y', b'"yy')
    for data in (longer, longer[:-1]):
        (found,) = decode(data)
        assert isinstance(found, TooLong)
        assert found.error.number == -32600


def test_nothing_is_taken_after_a_line_that_is_too_long() -> None:
    decoder = Decoder(LIMIT)
    good = encode_request(1, "a", {})
    found = decoder.feed(good + b"x" * (LIMIT + 1) + b"\n" + good)
    assert [type(each) for each in found] == [Request, TooLong]
    assert decoder.feed(good) == []


def test_a_batch_beyond_the_limit_is_refused_as_a_whole() -> None:
    decoder = Decoder(1 << 20)
    (most,) = decoder.feed(b"[" + b",".join([b"1"] * MAX_BATCH) + b"]\n")
    assert isinstance(most, Batch)
    (commas,) = decoder.feed(b'["' + b"," * MAX_BATCH + b'"]\n')
    assert isinstance(commas, Batch)
    (more,) = decoder.feed(b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]\n")
    assert isinstance(more, Invalid)
    assert more.error.number == -32600


PIECES = [
    *(example[1] for example in EXAMPLES),
    b"",
    b"\r",
    b"\xff",
    b"{}",
    b'{"jsonrpc":"2.0","method":"a","params":{"x":"\xc3\xa4"},"id":1}',
    b"x" * (LIMIT + 1),
]


@given(st.lists(st.sampled_from(PIECES)), st.data())
def test_any_cut_of_the_stream_means_the_same(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder = Decoder(LIMIT)
    found = [
        incoming
        for start, end in itertools.pairwise([0, *cuts, len(stream)])
        for incoming in decoder.feed(stream[start:end])
    ]
    assert list(map(plain, found)) == list(map(plain, decode(stream)))


def test_single_bytes_mean_the_same() -> None:
    stream = b"\n".join(PIECES[:-1]) + b"\n"
    decoder = Decoder(LIMIT)
    found = [incoming for byte in stream for incoming in decoder.feed(bytes([byte]))]
    assert list(map(plain, found)) == list(map(plain, decode(stream)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["jsonrpc", "method", "params", "id", "x"]), inner)
        | st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "method": st.text()}, optional={"id": inner})
    ),
)


@given(st.lists(st.binary() | JSON.map(lambda value: str(value).encode("utf-8", "replace"))))
def test_garbage_never_raises(lines: list[bytes]) -> None:
    for incoming in decode(b"\n".join(lines) + b"\n"):
        plain(incoming)


@given(JSON)
def test_json_of_any_shape_is_answered_or_taken(value: object) -> None:
    decoder = Decoder(1 << 24)
    for incoming in decoder.feed(msgspec.json.encode(value) + b"\n"):
        for item in incoming.items if isinstance(incoming, Batch) else (incoming,):
            assert not isinstance(item, TooLong)
            if isinstance(item, Invalid):
                assert item.error.number in (-32600, -32602)


def test_answers_reach_the_client() -> None:
    refused = RpcError("SESSION_NOT_FOUND", sessionId="a")
    stream = (
        encode_result(1, {"a": None})
        + encode_result("b", None)
        + encode_error(None, refused)
        + encode_notification("event", {"subscription": 1})
    )
    decoder = ClientDecoder()
    first, second, third, fourth = decoder.feed(stream[:10]) + decoder.feed(stream[10:])
    assert first == Response(1, {"a": None})
    assert second == Response("b", None)
    assert isinstance(third, Response)
    assert third.id is None
    assert third.error is not None
    assert third.error.to_wire() == refused.to_wire()
    assert fourth == Told("event", {"subscription": 1})


@pytest.mark.parametrize("line", [b"{}", b"[]", b'{"id":1}', b'{"id":[],"result":1}', b"nonsense"])
def test_a_client_refuses_what_is_no_answer(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"Neither|malformed"):
        ClientDecoder().feed(line + b"\n")


def test_no_answers_make_no_batch() -> None:
    assert encode_batch([]) is None
    assert encode_batch([encode_result(1, 2)]) == b'[{"jsonrpc":"2.0","id":1,"result":2}]\n'

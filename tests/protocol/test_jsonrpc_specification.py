"""Every example of the JSON-RPC 2.0 specification, section 7."""

import pytest

from .answering import answer, failed, ok

# https://www.jsonrpc.org/specification#examples, line breaks removed. Positional params: -32602.
EXAMPLES: list[tuple[str, bytes, object]] = [
    (
        "positional parameters",
        b'{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        failed(1, -32602),
    ),
    (
        "positional parameters, the other way round",
        b'{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        failed(2, -32602),
    ),
    (
        "named parameters",
        b'{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        ok(3, 19),
    ),
    (
        "named parameters, the other way round",
        b'{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        ok(4, 19),
    ),
    ("a notification", b'{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ("a notification without params", b'{"jsonrpc": "2.0", "method": "foobar"}', None),
    ("no such method", b'{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', failed("1", -32601)),
    (
        "invalid JSON",
        b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        failed(None, -32700),
    ),
    (
        "invalid request",
        b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
        failed(None, -32600),
    ),
    (
        "batch, invalid JSON",
        b'[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},  {"jsonrpc": "2.0", "method"]',
        failed(None, -32700),
    ),
    ("empty batch", b"[]", failed(None, -32600)),
    ("invalid batch, not empty", b"[1]", [failed(None, -32600)]),
    ("invalid batch", b"[1,2,3]", [failed(None, -32600)] * 3),
    (
        "batch",
        b'[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
        b' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
        b' {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},'
        b' {"foo": "boo"},'
        b' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        b' {"jsonrpc": "2.0", "method": "get_data", "id": "9"} ]',
        [
            failed("1", -32602),
            failed("2", -32602),
            failed(None, -32600),
            failed("5", -32601),
            ok("9", ["hello", 5]),
        ],
    ),
    (
        "batch of notifications",
        b'[ {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},'
        b' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]} ]',
        None,
    ),
]


@pytest.mark.parametrize(("line", "expected"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_the_examples_of_the_specification(line: bytes, expected: object) -> None:
    assert answer(line) == expected

"""The parts that need no program: texts, figures, settings, codes, summaries."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.failures import UsageError
from daemon.cli.figures import ago, duration, size
from daemon.cli.printable import json_text, printable
from daemon.cli.settings import parse_settings
from daemon.cli.summary import summary
from daemon.qr import code_of, half_blocks
from protocol.events import EVENT_TYPES

from .fake import message
from .terminal import decode_plain

_ACTED_UPON = {"Cc", "Zl", "Zp", "Cs"}


@given(st.text())
def test_nothing_printable_is_acted_upon_by_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(char) in _ACTED_UPON for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@pytest.mark.parametrize(
    "text",
    ["", "plain", "Grüße 🎉", "👩\u200d👧", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "a\u00a0b"],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_the_rest_becomes_visible() -> None:
    assert printable("a\x1b[31m\n\u202e\x9b") == r"a\x1b[31m\n\u202e\x9b"


@given(st.recursive(st.text() | st.integers(-(2**63), 2**64 - 1), lambda inner: st.lists(inner)))
def test_json_says_the_same_in_harmless_characters(value: Any) -> None:
    for indent in (-1, 2):
        shown = json_text(value, indent=indent)
        assert json.loads(shown) == value
        assert not any(unicodedata.category(char) in _ACTED_UPON for char in shown.replace("\n", ""))
    assert "\n" not in json_text(value, indent=-1)


def test_figures() -> None:
    assert [duration(s) for s in (0, 1.25, 42, 600, 9000, 300_000)] == [
        "0 s", "1.2 s", "42 s", "10 min", "2 h 30 min", "3 d 11 h",
    ]  # fmt: skip
    assert [size(b) for b in (0, 1024, 15 << 20, 3 << 40)] == ["0 B", "1.0 KiB", "15 MiB", "3.0 TiB"]
    assert ago("1970-01-01T00:01:00.000Z", 360) == "5 min ago"
    assert ago("1970-01-01T00:01:00.000Z", 0) == "now"
    assert ago(None, 0) == "-"


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("autoReconnect=false", False),
        ("reconnectInterval=5000", 5000),
        ("deviceName=42", "42"),
        ("deviceName=null", None),
        ("proxy=socks5://localhost:1080", "socks5://localhost:1080"),
        ("tags=a, b", ["a", "b"]),
        ('tags=["a"]', ["a"]),
        ("webhookEvents=message.sent", ["message.sent"]),
        ("allowedUids=1000", [1000]),
        ("webhookUrl=https://host/?a=b", "https://host/?a=b"),
    ],
)
def test_settings(assignment: str, value: object) -> None:
    assert list(parse_settings([assignment], []).values()) == [value]


def test_tags_are_gathered() -> None:
    assert parse_settings(["tags=a"], ["b", "c"]) == {"tags": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [("x", "key=value"), ("proxi=x", '"proxy"'), ("autoReconnect=maybe", "bool"), ("tags=", "")],
)
def test_what_is_no_setting(assignment: str, problem: str) -> None:
    if not problem:
        assert parse_settings([assignment], []) == {"tags": []}
        return
    with pytest.raises(UsageError, match=problem):
        parse_settings([assignment], [])


@pytest.mark.parametrize("length", [20, 239, 600])
@pytest.mark.parametrize("quiet", [1, 2, 4])
def test_characters_can_be_scanned(length: int, quiet: int) -> None:
    text = ("2@abc/+=," * 100)[:length]
    lines = half_blocks(code_of(text), quiet=quiet, draw="light")
    assert len({len(line) for line in lines}) == 1
    assert decode_plain("\n".join(lines)) == text


@pytest.mark.parametrize("type_", [*EVENT_TYPES, "new.type"])
@pytest.mark.parametrize("data", [{}, {"unexpected": [1]}, {"message": {}}, {"message": 5}, {"name": None}])
def test_every_event_has_a_line_whatever_its_data(type_: str, data: dict[str, Any]) -> None:
    assert isinstance(summary({"type": type_, "data": data}), str)


@pytest.mark.parametrize(
    ("type_", "data", "line"),
    [
        (
            "session.status",
            {"from": "connecting", "to": "connected", "reason": None},
            "connecting → connected",
        ),
        (
            "session.restarting",
            {"reason": "PAGE_HUNG", "attempt": 2, "delay": 2},
            "PAGE_HUNG, attempt 2, in 2 s",
        ),
        ("session.recovered", {"downtime": 3.5}, "after 3.5 s"),
        ("message.sent", {"message": message()}, "3EB0AA to 491701234567@c.us: hello"),
        (
            "message.received",
            {"message": message(direction="in", type="image", text="x" * 400), "recovered": True},
            f"3EB0AA from 491701234567@c.us (caught up): [image] {'x' * 291}…",
        ),
        ("call.received", {"from": "49@c.us"}, '{"from":"49@c.us"}'),
    ],
)
def test_summaries(type_: str, data: dict[str, Any], line: str) -> None:
    assert summary({"type": type_, "data": data}) == line

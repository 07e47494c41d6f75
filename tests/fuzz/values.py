"""Values that fit a type of the channel, and values that nearly do: what a hostile peer would try."""

import json
import random
from functools import cache
from typing import Any

from msgspec import inspect

from protocol.models.messages import CONTENTS

NASTY: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**38 - 1,
    2**53 + 1,
    -(2**63),
    2**64,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    0.1,
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\x1b]0;owned\x07\x1b[2J",
    "a\r\n2026-11-21 [error] forged session_id=x",
    "\u202e\u2066\ufeff",
    "../../../../etc/passwd",
    "/etc/shadow",
    "..",
    "-rf",
    "a" * 65,
    "a" * 100_000,
    "\U0001f600" * 300,
    "%s%n{0}${HOME}$(id)`id`",
    "' OR 1=1; DROP TABLE sessions; --",
    "*",
    "http://169.254.169.254/",
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00+14:00",
    "3EB0",
    "4915112345678@c.us",
    "+49 151 12345678",
    [],
    [None],
    [[[[[[]]]]]],
    list(range(3000)),
    {},
    {"": {}},
    {"__proto__": 1, "constructor": 1},
)
_TEXTS = tuple(value for value in NASTY if isinstance(value, str))
IDS = ("shop", "desk", "none")
"""Sessions that fuzzed requests are about: two that may be there, one that is not."""


_ONE_OF = (frozenset({"data", "path"}), frozenset({"sessionId", "tag"}), frozenset(CONTENTS))
"""Fields of which there has to be one."""


@cache
def _inspected(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


class Values:
    """Makes values, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  for tests

    def of(self, kind: Any) -> Any:
        """A plain JSON value that decodes as the type, as a rule."""
        return self._of(_inspected(kind), "")

    def nasty(self) -> Any:
        """Something that fits hardly anywhere."""
        return self.random.choice(NASTY)

    def mutated(self, value: Any) -> Any:
        """The same with something wrong in one place, or more."""
        while True:
            value = self._mutated(value)
            if self.random.random() < 0.7:
                return value

    def text(self, value: Any) -> str:
        """As JSON; what is no JSON at all now and then."""
        text = json.dumps(value, ensure_ascii=self.random.random() < 0.5)
        if self.random.random() < 0.03:
            at = self.random.randrange(len(text))
            text = text[:at] + self.random.choice(["", '"', "}", "\\", "\0", "[", "9" * 400]) + text[at + 1 :]
        return text

    def _mutated(self, value: Any) -> Any:
        dice = self.random.random()
        match value:
            case dict() if value and dice < 0.8:
                name = self.random.choice([*value])
                return {**value, name: self._mutated(value[name])}
            case dict():
                return {**value, self.random.choice([*_TEXTS, "x"]): self.nasty()}
            case list() if value and dice < 0.6:
                at = self.random.randrange(len(value))
                return [*value[:at], self._mutated(value[at]), *value[at + 1 :]]
            case list() if dice < 0.8:
                short = len(value) < 100 and len(str(value)) < 1000
                return value * self.random.choice([2, 70, 3000]) if short else value
            case str() if dice < 0.4:
                at = self.random.randrange(len(value) + 1)
                return value[:at] + self.random.choice(_TEXTS) + value[at:]
            case str() if dice < 0.5:
                return value * self.random.choice([2, 40, 3000]) if len(value) < 1000 else value
            case bool() | None:
                return self.nasty()
            case int() if dice < 0.6:
                return value + self.random.choice([-1, 1, 2**31, -(2**31), 2**62])
            case _:
                return self.nasty()

    def _of(self, node: inspect.Type, name: str) -> Any:
        match node:
            case inspect.Metadata(type=inner):
                return self._of(inner, name)
            case inspect.StructType(fields=fields):
                names = {f.encode_name for f in fields}
                left_out = {
                    name
                    for choice in _ONE_OF
                    if names >= choice
                    for name in self.random.sample(sorted(choice), len(choice) - 1)
                }
                one = {name for choice in _ONE_OF if names >= choice for name in choice} - left_out
                wanted = [
                    f
                    for f in fields
                    if f.required
                    or f.encode_name in one
                    or (f.encode_name not in left_out and self.random.random() < 0.3)
                ]
                found = {f.encode_name: self._of(f.type, f.encode_name) for f in wanted}
                return found if node.cls.__struct_config__.tag is None else {"type": node.tag, **found}
            case inspect.UnionType(types=types):
                usual = [t for t in types if not isinstance(t, inspect.NoneType)]
                return self._of(self.random.choice(usual or list(types)), name)
            case inspect.VarTupleType(item_type=item, min_length=least):
                return [self._of(item, name) for _ in range((least or 0) + self.random.randrange(3))]
            case inspect.DictType(key_type=key, value_type=value):
                return {self._of(key, ""): self._of(value, "") for _ in range(self.random.randrange(3))}
            case inspect.LiteralType(values=values):
                return self.random.choice(values)
            case inspect.StrType(min_length=least, max_length=most):
                return self._string(name, least or 0, most or 1000)
            case inspect.IntType(ge=low, le=high):
                return self.random.randint(low or 0, min(high or 1000, (low or 0) + 1000))
            case inspect.FloatType(ge=low, le=high):
                return self.random.uniform(low or 0, 0.01 if high is None or high > 1 else high)
            case inspect.BoolType():
                return self.random.random() < 0.5
            case inspect.NoneType():
                return None
            case _:
                return self.nasty()

    def _string(self, name: str, least: int, most: int) -> str:
        match name:
            case "sessionId" | "sessions":
                return self.random.choice(IDS)
            case "id" | "messageId" | "key":
                return self.random.choice(["shop", "desk", "3EB0AA", "true_4915112345678@c.us_3EB0AA"])
            case "to" | "chatId" | "chats" | "mentions" | "sender" | "author" | "participants" | "contactId":
                return self.random.choice(["+4915112345678", "4915112345678@c.us", "1203630@g.us", "77@lid"])
            case "phoneNumber":
                return self.random.choice(["+4915112345678", "+49 151 12345679"])
            case "groupId":
                return "1203630@g.us"
            case "channelId":
                return "1203630@newsletter"
            case "invite":
                return self.random.choice(["AbCdEfGhIjKl", "https://chat.whatsapp.com/AbCdEfGhIjKl"])
            case "function":
                return self.random.choice(["chat.archive", "conn.logout", "none.such"])
            case "mimetype":
                return self.random.choice(["image/png", "text/plain;charset=x"])
            case "path":
                return self.random.choice(["/etc/passwd", "/proc/self/mem", "relative/../x", "/dev/zero"])
            case "url" | "webhookUrl":
                return "http://127.0.0.1:9/"
            case "since" | "until" | "createdAt" | "updatedAt" | "timestamp":
                return self.random.choice(["2026-11-21T10:00:00.000Z", "1970-01-01T00:00:00Z"])
            case "data":
                return "aGVsbG8="
        text = self.random.choice(
            ["a", "Hello", "3EB0", "\x1b[31mred\x07", "../x", "\u202eabc", "é\U0001f600"]
        )
        return (text * (least or 1))[:most]

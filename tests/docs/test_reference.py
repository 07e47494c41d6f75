"""The pages of the reference say what the daemon does."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol.actions import ACTIONS
from protocol.methods import METHODS
from tests.docs.record import EXAMPLES, pages
from tests.docs.scenario import record

# Objects whose keys are data.
BY_KEY = {"byDay", "byType", "sessions"}


def test_the_pages_are_those_of_the_methods() -> None:
    """`make docs` writes them anew."""
    for path, page in pages().items():
        assert path.read_text() == page, path.name


def test_every_method_but_actions_has_an_example() -> None:
    recorded: Any = msgspec.json.decode(EXAMPLES.read_bytes())
    without = {name for name, *_ in ACTIONS}  # docs/actions.md says which of them were ever run
    assert {example["method"] for example in recorded["examples"]} == set(METHODS) - without


@pytest.mark.chrome
async def test_the_examples_are_answered_as_shown(tmp_path: Path) -> None:
    """Played again: the same requests, answers of the same shape; `make docs PLAY=1` records them anew."""
    recorded: Any = msgspec.json.decode(EXAMPLES.read_bytes())
    played = await record(tmp_path)
    assert _shapes(played.examples) == _shapes(recorded["examples"])
    assert {kind: _shape(event) for kind, event in played.events.items()} == {
        kind: _shape(event) for kind, event in recorded["events"].items()
    }


def _shapes(examples: list[Any]) -> list[tuple[str, Any, Any]]:
    return [(e["method"], _shape(e["params"]), _shape(e["result"])) for e in examples]


def _shape(value: Any) -> Any:
    """Names of fields, all the way down; null stands for anything, since what is not known yet is null."""
    match value:
        case dict():
            return {key: key if key in BY_KEY else _shape(inner) for key, inner in value.items()}
        case list():
            return [_shape(inner) for inner in value if isinstance(inner, dict)][:1]
        case _:
            return "value"

"""What the bridge uses, held against the pinned page library."""

import re
from pathlib import Path

from supervisors.whatsapp import library
from supervisors.whatsapp.needs import NAMES, NEEDS, features_without

HERE = Path(library.__file__).parent
BRIDGE = "\n".join(path.read_text() for path in [HERE / "bridge.js", *sorted((HERE / "bridge").glob("*.js"))])


def test_every_event_that_is_listened_for_is_told_by_the_library() -> None:
    bundle = library.load("auto").source
    events = set(re.findall(r"WPP\.on\('([\w.]+)'", BRIDGE)) | set(re.findall(r"\['(conn\.\w+)'", BRIDGE))
    assert len(events) >= 10
    assert [event for event in sorted(events) if f'"{event}"' not in bundle] == []


def test_every_function_that_is_called_is_declared_by_the_library() -> None:
    """The type declarations beside the bundle name them; the page itself is asked by a test with a Chrome."""
    dist = library.load("auto").path.parent
    called = set(re.findall(r"WPP\.((?:chat|conn|contact|group|call|status)\.\w+)\(", BRIDGE))
    assert len(called) >= 15
    for name in sorted(called | {name for name in NAMES if not name.startswith("whatsapp.")}):
        space, function = name.split(".")
        declarations = "\n".join(path.read_text() for path in (dist / space / "functions").glob("*.d.ts"))
        assert re.search(rf"\b{function}\b", declarations), name


def test_what_the_bridge_calls_is_what_it_asks_for() -> None:
    called = set(re.findall(r"WPP\.((?:chat|conn|contact|group)\.\w+)\(", BRIDGE))
    assert called - set(NAMES) == set()


def test_a_missing_name_costs_its_feature_alone() -> None:
    assert features_without(["chat.editMessage"]) == ("edit",)
    assert features_without([]) == ()
    assert set(features_without(NAMES)) == set(NEEDS)

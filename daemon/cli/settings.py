"""`--set key=value`: text into the values of session settings, by the settings' own types. No IO."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from protocol.models import SettingsPatch
from protocol.params import nearest

from .failures import UsageError


def parse_settings(assignments: Iterable[str], tags: Iterable[str]) -> dict[str, Any]:
    """Return the settings that the assignments and tags make.

    A value is JSON where that fits the setting's type, else the text as it stands; a list may be written
    with commas. `null` is the default. Raises UsageError for what is no setting, or no value of it.
    """
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(SettingsPatch)}
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f'Expected key=value, got "{assignment}".')
        if key not in fields:
            near = nearest(key, fields)
            hint = f'did you mean "{near}"?' if near else f"there are: {', '.join(fields)}."
            raise UsageError(f'There is no setting "{key}": {hint}')
        settings[key] = _value(key, text, fields[key])
    chosen = list(tags)
    if chosen:
        settings["tags"] = [*(settings.get("tags") or ()), *chosen]
    return settings


def _value(key: str, text: str, kind: Any) -> Any:
    problem = ""
    for candidate in _candidates(text):
        try:
            msgspec.convert(candidate, kind)
            return candidate  # noqa: TRY300 - the first that fits
        except msgspec.ValidationError as error:
            problem = problem or str(error)
    raise UsageError(f'"{text}" is no value for {key}: {problem}.')


def _candidates(text: str) -> Iterable[Any]:
    with suppress(msgspec.DecodeError):
        yield msgspec.json.decode(text)
    yield text
    parts = [part.strip() for part in text.split(",") if part.strip()]
    yield parts
    with suppress(msgspec.DecodeError):
        yield [msgspec.json.decode(part) for part in parts]

"""Small plots of characters. Pure."""

from collections.abc import Mapping, Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def sparkline(values: Sequence[float], most: float | None = None) -> str:
    """Return a character for each value, higher for more; nothing at all is a space.

    `most` is what the highest stands for, else the greatest value.
    """
    top = most or max(values, default=0)
    if top <= 0:
        return " " * len(values)
    return "".join(
        " " if value <= 0 else _LEVELS[min(len(_LEVELS) - 1, int(value / top * len(_LEVELS)))]
        for value in values
    )


def bar(value: float, most: float, width: int) -> str:
    """Return a bar that is `width` long for `most`, to an eighth of a character; what is there shows."""
    if most <= 0 or value <= 0:
        return ""
    whole, eighths = divmod(max(1, round(value / most * width * 8)), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def bars(values: Mapping[str, int], width: int) -> list[tuple[str, str, str]]:
    """Return (label, bar, number) of each, the greatest first."""
    most = max(values.values(), default=0)
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return [(label, bar(value, most, width), str(value)) for label, value in ordered]


def gathered(values: Sequence[float], width: int) -> list[float]:
    """Return at most `width` sums, each of as many neighbours as it takes."""
    step = max(1, -(-len(values) // width))
    return [sum(values[start : start + step]) for start in range(0, len(values), step)]

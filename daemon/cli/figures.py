"""Figures as people read them. Pure: the current time is an argument."""

from datetime import UTC, datetime

from protocol.times import parse

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """Return e.g. `1.5 s`, `42 s`, `3 min`, `5 h 10 min`, `12 d 3 h`."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ago(time: str | None, now: float) -> str:
    """Return e.g. `3 min ago` for an RFC 3339 time; `-` for None; `now` is in seconds since 1970."""
    if time is None:
        return "-"
    seconds = int(now - parse(time) / 1000)
    return f"{duration(seconds)} ago" if seconds > 0 else "now"


def local(time: str) -> str:
    """Return an RFC 3339 time as `2026-11-21 10:00:00` in the local time zone."""
    return datetime.fromtimestamp(parse(time) // 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """Return e.g. `512 B`, `1.5 KiB`, `300 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024 or unit == "TiB":
            break
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"

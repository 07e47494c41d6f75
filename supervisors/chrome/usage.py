"""What a profile takes of the disk, and what of it can go. Blocks: for threads."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import structlog
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

CACHES: Final = frozenset(
    {
        "Cache",
        "Code Cache",
        "GPUCache",
        "DawnCache",
        "DawnGraphiteCache",
        "DawnWebGPUCache",
        "ShaderCache",
        "GrShaderCache",
        "GraphiteDawnCache",
        "CacheStorage",
        "component_crx_cache",
    }
)
"""The directories that Chrome makes anew by itself; everything else of a profile is kept."""


@frozen(kw_only=True)
class DiskUse:
    """What a session takes of the disk, in bytes; `profile` is without the caches."""

    profile: int
    cache: int
    media: int


def disk_use(directory: Path) -> DiskUse:
    """Count what the session whose directory this is takes of the disk; its snapshots count as profile."""
    cache = sum(map(bytes_in, caches_in(directory / "profile")))
    media = bytes_in(directory / "media") + bytes_in(directory / "downloads")
    return DiskUse(profile=bytes_in(directory) - cache - media, cache=cache, media=media)


def bytes_in(directory: Path) -> int:
    """Return how many bytes the files below a directory have; 0 if there is none."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        total += bytes_in(directory / entry.name)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
                except OSError:  # Chrome removes files while they are counted
                    continue
    except OSError:
        return 0
    return total


def caches_in(profile: Path) -> Iterator[Path]:
    """Yield the caches of a profile."""
    for root, directories, _ in os.walk(profile):
        found = CACHES.intersection(directories)
        yield from (profile.__class__(root) / name for name in found)
        directories[:] = [name for name in directories if name not in CACHES]


def prune(profile: Path, limit_bytes: int) -> int:
    """Remove all caches of a profile that has no Chrome if they exceed the limit; return the bytes freed."""
    caches = list(caches_in(profile))
    used = sum(map(bytes_in, caches))
    if used <= limit_bytes:
        return 0
    for cache in caches:
        shutil.rmtree(cache, ignore_errors=True)
    log.info("caches_pruned", path=str(profile), bytes=used, limit_bytes=limit_bytes)
    return used

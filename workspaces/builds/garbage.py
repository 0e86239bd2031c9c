"""Removes environments that nothing uses any more."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .builder import COMPLETE, environment_folder, lock_path
from .locks import try_locked


@dataclass(frozen=True)
class Collected:
    """What one collection removed: content hashes, and the bytes the disk got back."""

    hashes: tuple[str, ...]
    freed_bytes: int


def collect_garbage(home: Path, hashes_in_use: Collection[str], *, older_than_seconds: float) -> Collected:
    """Remove the environments whose hash is not in `hashes_in_use` and whose last use is longer ago than the time.

    Never one that is being built, whatever its age. What a killed build left behind counts as unused. Build logs go
    with their environment. Files also held by the download cache are not counted as freed.
    """
    home = home.resolve()
    removed: list[str] = []
    freed_bytes = 0
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(home / "environments")):
            if name in hashes_in_use:
                continue
            with try_locked(lock_path(home, name)) as is_mine:
                if is_mine and _last_use(home, name) < time.time() - older_than_seconds:
                    freed_bytes += _remove(home, name)
                    removed.append(name)
    return Collected(tuple(removed), freed_bytes)


def _last_use(home: Path, name: str) -> float:
    folder = environment_folder(home, name)
    marker = folder / COMPLETE
    return (marker if marker.exists() else folder).stat().st_mtime


def _remove(home: Path, name: str) -> int:
    folder = environment_folder(home, name)
    # The marker goes first: from here on nobody takes the rest for an environment.
    (folder / COMPLETE).unlink(missing_ok=True)
    freed_bytes = _own_bytes(folder)
    shutil.rmtree(folder)
    lock_path(home, name).unlink()
    return freed_bytes


def _own_bytes(folder: Path) -> int:
    """Bytes on disk of the files that have no other name outside `folder`."""
    links: dict[tuple[int, int], tuple[int, int, int]] = {}
    for here, _, names in os.walk(folder):
        for name in names:
            facts = os.lstat(os.path.join(here, name))
            if stat.S_ISREG(facts.st_mode):
                key = (facts.st_dev, facts.st_ino)
                links[key] = (links.get(key, (0, 0, 0))[0] + 1, facts.st_nlink, facts.st_blocks * 512)
    return sum(size_bytes for inside, everywhere, size_bytes in links.values() if inside == everywhere)

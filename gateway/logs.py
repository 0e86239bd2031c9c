"""Keeps the gateway's logs from filling the disk."""

from __future__ import annotations

from pathlib import Path

from gateway.admin import Admin
from gateway.options import GatewayOptions

KEPT = 5


def rotate(options: GatewayOptions, admin: Admin, *, most_bytes: int) -> list[Path]:
    """Rename every log above `most_bytes` to `<name>.1` (older ones to .2 … .5) and let Envoy begin a new one.

    No line is lost: Envoy writes to the renamed file until it has opened the new one. Returns what was renamed.
    Raises GatewayUnreachable, with the files renamed; the next call lets Envoy begin new ones.
    """
    full = [log for log in (options.access_log, options.envoy_log) if _size(log) > most_bytes]
    for log in full:
        for number in range(KEPT, 1, -1):
            older = _numbered(log, number - 1)
            if older.exists():
                older.rename(_numbered(log, number))
        log.rename(_numbered(log, 1))
    if full or not options.access_log.exists():
        admin.reopen_logs()
    return full


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0

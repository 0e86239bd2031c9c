"""ISO 8601 durations, the way Azure writes them: PT3S, PT1M30S, PT0.5S. Pure."""

from __future__ import annotations

import re

_PATTERN = re.compile(
    r"^P(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?\Z",
    re.ASCII,
)
_MILLISECONDS = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1000}


def read_ms(text: str) -> int:
    """Milliseconds, rounded. Raises ValueError for anything that is not a duration."""
    found = _PATTERN.match(text)
    if found is None or not any(found.groupdict().values()):
        raise ValueError(f"'{text}' is not a duration such as PT5S")
    return round(sum(float(value) * _MILLISECONDS[unit] for unit, value in found.groupdict().items() if value))


def write_ms(milliseconds: int) -> str:
    """`PT0S` for nothing; hours at most."""
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    parts = [f"{hours}H"] if hours else []
    parts += [f"{minutes}M"] if minutes else []
    if rest or not parts:
        seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
        parts.append(f"{seconds}S")
    return "PT" + "".join(parts)

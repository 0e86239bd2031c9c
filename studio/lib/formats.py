"""How figures, times and states read on a page. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
DAY_SECONDS = 86_400

# Blue and green belong to deployments; the further colours stay apart for colour-blind eyes, in this order.
DEPLOYMENT_COLOURS = ("blue", "green", "orange", "magenta", "sky", "olive", "brown", "slate")

# How a state is shown: settled and fine, under way, needs a person, worth a look, at rest.
_TONES = {
    "good": {"Succeeded", "Ready", "Active", "In force"},
    "busy": {"Creating", "Updating", "Scaling", "Deleting", "InProgress", "Queued", "Running", "Requested", "Starting"},
    "bad": {"Failed"},
    "warn": {"Unready", "Draining", "Expired"},
}


def bytes_text(size_bytes: float) -> str:
    """ "0 B", "812 B", "1.4 MB": three digits at most, powers of 1000."""
    value, unit = float(size_bytes), 0
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_BYTE_UNITS[unit]}" if unit and value < 9.95 else f"{value:.0f} {_BYTE_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """ "80 ms", "4.2 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit_seconds, unit, rest_seconds, rest in (
        (DAY_SECONDS, "d", HOUR_SECONDS, "h"),
        (HOUR_SECONDS, "h", MINUTE_SECONDS, "min"),
        (MINUTE_SECONDS, "min", 1, "s"),
    ):
        if whole >= unit_seconds:
            left = whole % unit_seconds // rest_seconds
            return f"{whole // unit_seconds} {unit}" + (f" {left} {rest}" if left else "")
    return f"{whole} s"


def relative_text(at: datetime, now: datetime) -> str:
    """ "just now", "4 min ago", "in 3 d"; a date beyond 30 days."""
    seconds = (now - at).total_seconds()
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    if distance > 30 * DAY_SECONDS:
        return f"{at:%-d %b %Y}"
    units = ((DAY_SECONDS, "d"), (HOUR_SECONDS, "h"), (MINUTE_SECONDS, "min"), (1, "s"))
    unit_seconds, unit = next(found for found in units if distance >= found[0])
    amount = f"{int(distance // unit_seconds)} {unit}"
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def tone_of(state: str) -> str:
    """ "good", "busy", "bad", "warn", or "rest" for every other state."""
    return next((tone for tone, states in _TONES.items() if state in states), "rest")


def deployment_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour's name for each deployment's, given in order of creation; more than eight share the last colour.

    Deployments called after a colour get that colour; the others get, in order, what is left.
    """
    wanted = list(names)
    taken = {name: name.lower() for name in wanted if name.lower() in DEPLOYMENT_COLOURS}
    left = [colour for colour in DEPLOYMENT_COLOURS if colour not in taken.values()]
    for name in wanted:
        if name not in taken:
            taken[name] = left.pop(0) if left else DEPLOYMENT_COLOURS[-1]
    return taken

"""Where requests go, as a drawing: callers, the endpoint, its deployments, their instances. Pure: places and lines only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
ROW_HEIGHT = 64
DOTS_IN_A_LINE = 10
DOT_PITCH = 20
_LEFT, _RIGHT, _DOTS = 258, 300, 494


@dataclass(frozen=True)
class Row:
    """A deployment as it is. `share` and `mirrored` in percent; `states` of its instances that have not ended."""

    name: str
    colour: str
    share: int
    mirrored: int
    wanted: int
    states: tuple[str, ...]

    @property
    def ready(self) -> int:
        return self.states.count("Ready")

    @property
    def health(self) -> str:
        """ "good", "warn" (fewer than wanted), "bad" (has traffic and nothing to answer it), "rest" (nothing is asked of it)."""
        if self.ready >= self.wanted:
            return "good"
        if not self.ready:
            return "bad" if self.share else "rest"
        return "warn"

    @property
    def sentence(self) -> str:
        what = f"gets a copy of {self.mirrored} % of the requests" if self.mirrored else f"gets {self.share} %"
        return f"{self.name} {what}, {self.ready} of {self.wanted} instances ready"


@dataclass(frozen=True)
class Dot:
    """An instance; `kind` is ready, starting, unready, draining, or missing for one that is wanted and not there."""

    x: int
    y: int
    kind: str


@dataclass(frozen=True)
class Lane:
    """A deployment in the drawing: its middle, the line that leads to it, and its instances."""

    row: Row
    y: int
    line: str
    line_width: float
    line_kind: str
    dots: tuple[Dot, ...]
    dots_more: int


@dataclass(frozen=True)
class Picture:
    height: int
    middle: int
    lanes: tuple[Lane, ...]
    text: str


def draw(endpoint: str, rows: Sequence[Row]) -> Picture:
    """`rows` in order of creation. An endpoint without any has a drawing of the address alone."""
    height = max(1, len(rows)) * ROW_HEIGHT
    middle = height // 2
    lanes = tuple(_lane(row, number * ROW_HEIGHT + ROW_HEIGHT // 2, middle) for number, row in enumerate(rows))
    behind = "; ".join(row.sentence for row in rows) or "nothing is behind it"
    return Picture(height, middle, lanes, f"Callers reach {endpoint}: {behind}.")


def _lane(row: Row, y: int, middle: int) -> Lane:
    half = (_LEFT + _RIGHT) // 2
    line = f"M{_LEFT} {middle} C{half} {middle} {half} {y} {_RIGHT} {y}"
    kind = "live" if row.share else "mirror" if row.mirrored else "none"
    width = {"live": round(2 + row.share * 0.12, 1), "mirror": 2.0, "none": 1.5}[kind]
    known = [_KINDS.get(state, "unready") for state in row.states]
    # instances beyond those wanted are of another revision, or on their way out
    kinds = sorted(known, key=_ORDER.index) + ["missing"] * (row.wanted - len(known))
    most = 2 * DOTS_IN_A_LINE
    lines = -(-min(len(kinds), most) // DOTS_IN_A_LINE)
    dots = tuple(
        Dot(
            _DOTS + number % DOTS_IN_A_LINE * DOT_PITCH,
            y - (lines - 1) * DOT_PITCH // 2 + number // DOTS_IN_A_LINE * DOT_PITCH,
            kind,
        )
        for number, kind in enumerate(kinds[:most])
    )
    return Lane(row, y, line, width, kind, dots, max(0, len(kinds) - most))


_KINDS = {
    "Ready": "ready",
    "Requested": "starting",
    "Starting": "starting",
    "Unready": "unready",
    "Draining": "draining",
}
_ORDER = ["ready", "unready", "starting", "draining"]

"""Charts: lines of figures in, a Plotly figure, a sentence and a table out. Pure, and all three from the same numbers.

Colours are names of the page's own (`var(--…)`); the script that draws a figure puts in what they are, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from monitoring.windows import DAY, Window

Number = float | None
Figure = dict[str, Any]

_EVENT_SYMBOLS = {"traffic": "triangle-down", "scale": "diamond", "deploy": "circle", "failure": "x"}
_EVENT_COLOURS = {
    "traffic": "var(--accent)",
    "scale": "var(--ink-3)",
    "deploy": "var(--ink-2)",
    "failure": "var(--bad)",
}


@dataclass(frozen=True)
class Line:
    """One curve or one layer of bars: a number for every step, None where nothing was measured.

    `dash` is Plotly's (solid, dot, dash); `pattern` tells layers of one colour apart. Hidden ones wait in the legend.
    """

    name: str
    values: Sequence[Number]
    colour: str
    dash: str = "solid"
    pattern: str = ""
    is_hidden: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class Chart:
    """`kind`: "bars" stacked, "lines", or "stairs" for what keeps its value until it changes."""

    name: str
    title: str
    unit: str
    kind: str
    sentence: str
    window: Window
    lines: Sequence[Line] = field(default_factory=tuple)
    marks: Sequence[Mark] = field(default_factory=tuple)
    # how many digits after the point a table shows
    digits: int = 1

    @property
    def is_empty(self) -> bool:
        return all(value is None for line in self.lines for value in line.values)

    @property
    def columns(self) -> list[str]:
        return ["Time (UTC)", *(line.name for line in self.lines)]

    @property
    def table(self) -> list[list[str]]:
        """Newest first; steps in which nothing was measured are left out."""
        rows = []
        for at, *values in zip(self.window.moments, *(line.values for line in self.lines), strict=True):
            if any(value is not None for value in values):
                rows.append([self._moment_text(at), *("–" if v is None else f"{v:,.{self.digits}f}" for v in values)])
        return rows[::-1]

    def rows(self) -> Iterable[list[object]]:
        """For CSV: every step, oldest first, unrounded; empty where nothing was measured."""
        for at, *values in zip(self.window.moments, *(line.values for line in self.lines), strict=True):
            yield [f"{at:%Y-%m-%dT%H:%M:%SZ}", *("" if value is None else value for value in values)]

    def _moment_text(self, at: datetime) -> str:
        return f"{at:%-d %b %Y}" if self.window.step_seconds >= DAY else f"{at:%-d %b %H:%M}"


def figure(chart: Chart) -> Figure:
    """What Plotly.react takes as data and layout."""
    x = [_text(at) for at in chart.window.moments]
    draw = _bars if chart.kind == "bars" else _curve
    data = [draw(chart, line, x) for line in chart.lines]
    if chart.marks:
        data.append(_marks(chart.marks))
    return {"data": data, "layout": _layout(chart)}


def _bars(chart: Chart, line: Line, x: list[str]) -> Figure:
    marker: Figure = {"color": line.colour, "line": {"width": 0}}
    if line.pattern:
        marker["pattern"] = {
            "shape": line.pattern,
            "fillmode": "overlay",
            "solidity": 0.3,
            "size": 6,
            "fgcolor": "var(--surface)",
        }
    step_ms = chart.window.step_seconds * 1000
    return {
        "type": "bar",
        "name": line.name,
        "x": x,
        "y": list(line.values),
        "marker": marker,
        "offset": 0,
        "width": step_ms * 0.9,
        "visible": "legendonly" if line.is_hidden else True,
        "hovertemplate": _hover(chart),
    }


def _curve(chart: Chart, line: Line, x: list[str]) -> Figure:
    shape = "hv" if chart.kind == "stairs" else "linear"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": x,
        "y": list(line.values),
        "connectgaps": False,
        "line": {"color": line.colour, "dash": line.dash, "width": 2, "shape": shape},
        "marker": {"size": 4, "color": line.colour},
        "visible": "legendonly" if line.is_hidden else True,
        "hovertemplate": _hover(chart),
    }


def _hover(chart: Chart) -> str:
    return f"%{{y:,.{chart.digits}f}} {chart.unit}"


def _marks(marks: Sequence[Mark]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Events",
        "x": [_text(mark.at) for mark in marks],
        "y": [1] * len(marks),
        "yaxis": "y2",
        "text": [mark.text for mark in marks],
        "marker": {
            "size": 7,
            "symbol": [_EVENT_SYMBOLS.get(mark.kind, "circle") for mark in marks],
            "color": [_EVENT_COLOURS.get(mark.kind, "var(--ink-3)") for mark in marks],
        },
        "cliponaxis": False,
        "showlegend": False,
        "hovertemplate": "%{x|%H:%M:%S} %{text}<extra></extra>",
    }


def _layout(chart: Chart) -> Figure:
    axis = {
        "gridcolor": "var(--line-soft)",
        "linecolor": "var(--line-soft)",
        "zerolinecolor": "var(--line-soft)",
        "tickfont": {"color": "var(--ink-3)", "size": 12},
        "automargin": True,
    }
    y: Figure = {
        **axis,
        "rangemode": "tozero",
        "title": {"text": chart.unit, "font": {"color": "var(--ink-3)", "size": 12}},
    }
    if chart.kind == "stairs":
        y["dtick"] = _whole_step(chart)
    return {
        "barmode": "stack",
        "hovermode": "x unified",
        "dragmode": "zoom",
        # what somebody has zoomed to or hidden stays when new figures come in
        "uirevision": chart.window.key,
        "margin": {"l": 56, "r": 12, "t": 16, "b": 36},
        "height": 280,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink-2)", "family": "inherit", "size": 13},
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--line-strong)",
            "font": {"color": "var(--ink)"},
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
            "font": {"color": "var(--ink-2)"},
        },
        "showlegend": True,
        "xaxis": {
            **axis,
            "type": "date",
            "range": [_text(chart.window.start), _text(chart.window.end)],
            "showgrid": False,
            "hoverformat": "%-d %b %H:%M UTC",
        },
        "yaxis": y,
        "yaxis2": {"overlaying": "y", "range": [0, 1.02], "visible": False, "fixedrange": True},
        "shapes": [_rule(mark) for mark in chart.marks],
    }


def _whole_step(chart: Chart) -> int:
    """Between ticks that are whole numbers, at most six of them."""
    highest = max((value for line in chart.lines for value in line.values if value is not None), default=0.0)
    return max(1, ceil(highest / 5))


def _rule(mark: Mark) -> Figure:
    at = _text(mark.at)
    line = {"color": _EVENT_COLOURS.get(mark.kind, "var(--ink-3)"), "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def shares_text(counts: Mapping[str, int]) -> str:
    """ "blue 90 (90.0 %), green 10 (10.0 %)"; "" without any."""
    total = sum(counts.values())
    return ", ".join(f"{name} {count:,} ({100 * count / total:.1f} %)" for name, count in counts.items() if total)

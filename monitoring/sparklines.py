"""A curve in a line of text, as inline SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT, EDGE = 96, 24, 2


def sparkline(values: Sequence[float | None], label: str) -> SafeString:
    """From 0 at the bottom to the greatest value at the top; None is a gap. `label` says it to whoever cannot see it."""
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (WIDTH - 2 * EDGE) / max(len(values) - 1, 1)
    parts, is_drawing = [], False
    for number, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        x = EDGE + number * step
        y = HEIGHT - EDGE - value / highest * (HEIGHT - 2 * EDGE)
        # a point alone is a line of no length, which round ends make a dot
        parts.append(f"{'L' if is_drawing else 'M'}{x:.1f} {y:.1f}" + ("" if is_drawing else "h0"))
        is_drawing = True
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}"><path d="{}"/></svg>',
        *(WIDTH, HEIGHT, WIDTH, HEIGHT, label, "".join(parts)),
    )

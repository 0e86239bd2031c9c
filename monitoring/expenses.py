"""Money as a chart: what each day cost, in layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from monitoring import costs
from monitoring.charts import Chart, Line, Number
from monitoring.costs import Kind, Spent
from monitoring.spending import Spending
from studio.lib.formats import DEPLOYMENT_COLOURS, deployment_colours

KIND_COLOURS = {Kind.SERVING: "accent", Kind.IDLE: "dep-slate", Kind.NOT_READY: "warn", Kind.SURGE: "dep-sky"}
# More layers than this cannot be told apart; the smallest become one.
MOST_LAYERS = len(DEPLOYMENT_COLOURS)
OTHERS = "others"


@dataclass(frozen=True)
class Grouping:
    """What money is added up by. `counts_requests`: requests are counted apart for each of them too."""

    key: str
    label: str
    of: Callable[[Spent], str]
    counts_requests: bool = True


BY = (
    Grouping("endpoint", "Endpoint", lambda row: row.endpoint),
    Grouping("deployment", "Deployment", lambda row: f"{row.endpoint} / {row.deployment}"),
    Grouping("type", "Instance type", lambda row: row.instance_type, counts_requests=False),
    Grouping("kind", "What for", lambda row: row.kind.value, counts_requests=False),
)


def money(amount: Decimal) -> str:
    """ "0.00", "12.34", and with more digits what would otherwise read 0.00: "0.0042"."""
    return f"{amount:,.4f}" if 0 < abs(amount) < Decimal("0.1") else f"{amount:,.2f}"


def cost_chart(spent: Spending, by: Grouping) -> Chart:
    """Stacked by day; the dearest groups have layers of their own."""
    totals = costs.totals(spent.rows, by.of)
    names = sorted(totals, key=lambda name: (-totals[name], name))
    kept = names if len(names) <= MOST_LAYERS else names[: MOST_LAYERS - 1]
    days = [moment.date() for moment in spent.window.moments]
    layers = {name: _by_day(spent.rows, days, lambda row, wanted=name: by.of(row) == wanted) for name in kept}  # type: ignore[misc]
    if len(kept) < len(names):
        layers[OTHERS] = _by_day(spent.rows, days, lambda row: by.of(row) not in kept)
    colours = _colours(by, list(layers))
    lines = [Line(name, values, colours[name]) for name, values in layers.items()]
    words = spent.window.words
    sentence = f"{words[:1].upper()}{words[1:]}: {money(spent.total)} {spent.currency}"
    if spent.total and names:
        sentence += f"; most of it {names[0]} ({100 * totals[names[0]] / spent.total:.0f} %)"
    sentence += "."
    return Chart("cost", "Cost per day", spent.currency, "bars", sentence, spent.window, lines, digits=4)


def _by_day(rows: Iterable[Spent], days: list[date], is_meant: Callable[[Spent], bool]) -> list[Number]:
    found = costs.totals((row for row in rows if is_meant(row)), lambda row: row.day)
    return [float(found.get(day, 0)) for day in days]


def _colours(by: Grouping, names: list[str]) -> dict[str, str]:
    if by.key == "kind":
        return {kind.value: f"var(--{colour})" for kind, colour in KIND_COLOURS.items()} | {OTHERS: "var(--ink-3)"}
    last_parts = {name: name.rpartition(" / ")[2] for name in names}
    # Two endpoints may each have a blue: then the name says nothing about the colour.
    own = last_parts if len(set(last_parts.values())) == len(names) else {name: name for name in names}
    found = deployment_colours(own.values())
    return {name: f"var(--dep-{found[own[name]]})" for name in names}

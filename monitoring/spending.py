"""What was spent in a workspace or on one endpoint: rows into costs.Interval, and its sums by what a page asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django.db.models import Q

from deployments.models import Instance, InstanceType
from monitoring import costs
from monitoring.costs import Interval, Kind, Price, Spent
from monitoring.models import Grain, InstanceTypePrice, TrafficBucket
from monitoring.windows import Window
from workspaces.models import Workspace


@dataclass(frozen=True)
class Line:
    """Money for one thing. `per_thousand` is the cost of 1,000 answers below 400, None when there were none."""

    name: str
    total: Decimal
    by_kind: dict[Kind, Decimal]
    successes: int
    per_thousand: Decimal | None


@dataclass(frozen=True)
class Spending:
    """`per_hour` is what an hour costs now; `forecast` what the month will have cost if nothing is changed."""

    window: Window
    rows: list[Spent]
    total: Decimal
    per_hour: Decimal
    month_so_far: Decimal
    forecast: Decimal
    currency: str
    successes: dict[tuple[str, str], int]

    def lines(self, key: Callable[[Spent], str], *, counts: bool = True) -> list[Line]:
        """The dearest first. Without `counts` requests are not told apart by the key, so nothing is said about them."""
        found = []
        for name, total in costs.totals(self.rows, key).items():
            own = [row for row in self.rows if key(row) == name]
            successes = sum(self.successes.get(pair, 0) for pair in {(row.endpoint, row.deployment) for row in own})
            each = total * 1000 / successes if counts and successes else None
            found.append(Line(name, total, costs.totals(own, lambda row: row.kind), successes if counts else 0, each))
        return sorted(found, key=lambda line: (-line.total, line.name))


def spending(workspace: Workspace, window: Window, now: datetime, *, endpoint_name: str = "") -> Spending:
    """`window` is of whole days (UTC), the last one perhaps up to now."""
    month = datetime.combine(now.date().replace(day=1), time(), UTC)
    next_month = (month + timedelta(days=32)).replace(day=1)
    first = min(window.start, month)
    intervals = _intervals(workspace, first, endpoint_name)
    busy, successes = _traffic({one.endpoint for one in intervals}, first, window)
    rows = costs.spent(intervals, window.start, min(window.end, now), busy)
    month_so_far = sum((row.amount for row in costs.spent(intervals, month, now, busy)), Decimal(0))
    per_hour = costs.running_per_hour(intervals, now)
    currency = InstanceType.objects.order_by("pk").values_list("currency", flat=True).first() or "USD"
    return Spending(
        window=window,
        rows=rows,
        total=sum((row.amount for row in rows), Decimal(0)),
        per_hour=per_hour,
        month_so_far=month_so_far,
        forecast=costs.forecast(month_so_far, per_hour, now, next_month),
        currency=currency,
        successes=successes,
    )


def _intervals(workspace: Workspace, since: datetime, endpoint_name: str) -> list[Interval]:
    """Every instance that has run since then."""
    prices: dict[str, list[Price]] = {}
    for name, at, price in InstanceTypePrice.objects.order_by("since").values_list(
        "instance_type__name", "since", "price_per_hour"
    ):
        prices.setdefault(name, []).append(Price(at, price))
    rows = Instance.objects.filter(
        Q(stopped_at__isnull=True) | Q(stopped_at__gt=since), workspace=workspace, started_at__isnull=False
    )
    if endpoint_name:
        rows = rows.filter(endpoint_name=endpoint_name)
    return [
        Interval(
            instance=row.name,
            endpoint=row.endpoint_name,
            deployment=row.deployment_name,
            instance_type=row.instance_type_name,
            revision=row.revision_number,
            started_at=row.started_at or row.created_at,
            first_price=row.price_per_hour,
            ready_at=row.ready_at,
            draining_at=row.draining_at,
            stopped_at=row.stopped_at,
            prices=tuple(price for price in prices.get(row.instance_type_name, ()) if price.since > row.created_at),
        )
        for row in rows
    ]


def _traffic(
    endpoints: set[str], since: datetime, window: Window
) -> tuple[dict[tuple[str, str], set[datetime]], dict[tuple[str, str], int]]:
    """Hours with a request since then, and successes in the window, by endpoint and deployment."""
    busy: dict[tuple[str, str], set[datetime]] = {}
    successes: dict[tuple[str, str], int] = {}
    rows = TrafficBucket.objects.filter(
        measured__endpoint_name__in=endpoints, grain=Grain.HOUR, at__gte=since, at__lt=window.end
    )
    columns = ("measured__endpoint_name", "measured__deployment_name", "at", "statuses")
    for endpoint, deployment, at, statuses in rows.values_list(*columns):
        key = endpoint, deployment
        if statuses:
            busy.setdefault(key, set()).add(at)
        if at >= window.start:
            good = sum(count for status, count in statuses.items() if int(status) < 400)
            successes[key] = successes.get(key, 0) + good
    return busy, successes

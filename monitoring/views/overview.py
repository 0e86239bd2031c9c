"""All endpoints of a workspace at a glance: who is asked most, who fails most, who is slowest, who costs most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from endpoints.models import Endpoint
from monitoring import costs, rollup, series, verdict, windows
from monitoring.sparklines import sparkline
from monitoring.spending import spending
from monitoring.windows import DAY, HOUR, Window
from workspaces.queries import get_workspace_for

ORDERS = {"requests": "Most requests", "errors": "Most errors", "p95": "Slowest", "cost": "Dearest"}


@require_safe
def overview(request: HttpRequest, ws: str) -> HttpResponse:
    """The last 24 hours by the hour; `?order=` is one of ORDERS."""
    workspace, now = get_workspace_for(request.user, ws), timezone.now()
    start = datetime.fromtimestamp(int((now - timedelta(seconds=DAY)).timestamp()) // HOUR * HOUR, UTC)
    window = Window("24h", "the last 24 hours", start, now, HOUR, HOUR)
    endpoints = list(Endpoint.objects.filter(workspace=workspace).order_by("name"))
    today = spending(workspace, windows.named_days("today", now), now)
    money = costs.totals(today.rows, lambda row: row.endpoint)
    seen = series.totals(endpoints, window)
    rows = [_row(endpoint, seen[endpoint.name]) | {"cost": money.get(endpoint.name, 0)} for endpoint in endpoints]
    asked = request.GET.get("order", "")
    order = asked if asked in ORDERS else "requests"
    rows.sort(key=lambda row: (-(row[order] or 0), row["endpoint"].name))
    context = {"workspace": workspace, "rows": rows, "orders": ORDERS, "order": order, "currency": today.currency}
    return render(request, "monitoring/overview.html", context)


def _row(endpoint: Endpoint, steps: list[rollup.Tally]) -> dict[str, Any]:
    whole = rollup.total(steps)
    count, failed = verdict.answered(whole), verdict.failures(whole)
    rates = [step.per_minute(verdict.answered(step)) for step in steps]
    return {
        "endpoint": endpoint,
        "curve": sparkline(rates, f"{count:,} requests in 24 hours, by the hour"),
        "requests": count,
        "errors": failed,
        "error_percent": 100 * failed / count if count else None,
        "p95": rollup.percentile_ms(whole.latencies, 95),
    }

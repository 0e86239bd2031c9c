"""What was spent: on a workspace, and on one endpoint."""

from __future__ import annotations

import csv
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from endpoints.queries import get_endpoint_for
from endpoints.views.door import header
from monitoring import windows
from monitoring.charts import Chart
from monitoring.costs import Kind, Spent
from monitoring.expenses import BY, KIND_COLOURS, Grouping, cost_chart
from monitoring.spending import Spending, spending
from monitoring.views.metrics import drawn
from monitoring.windows import Window
from studio.lib.errors import BadRequest
from workspaces.queries import get_workspace_for

CSV_COLUMNS = ("day", "endpoint", "deployment", "instance_type", "kind", "amount", "currency")


@require_safe
def of_workspace(request: HttpRequest, ws: str) -> HttpResponse:
    """`?range=` is one of windows.DAY_RANGES, or `?from=&to=` in days; `?by=` groups; `?format=` is csv or json (the chart)."""
    workspace, now = get_workspace_for(request.user, ws), timezone.now()
    spent = spending(workspace, _asked_days(request, now), now)
    by = next((one for one in BY if one.key == request.GET.get("by")), BY[0])
    context = {"workspace": workspace, "choices": BY, "template": "monitoring/cost.html"}
    return _answer(request, spent, by, context, file_name=f"{workspace.name}-cost")


@require_safe
def of_endpoint(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """As of_workspace, for one endpoint, by deployment or instance type."""
    endpoint, now = get_endpoint_for(request.user, ws, ep), timezone.now()
    spent = spending(endpoint.workspace, _asked_days(request, now), now, endpoint_name=endpoint.name)
    choices = [one for one in BY if one.key != "endpoint"]
    by = next((one for one in choices if one.key == request.GET.get("by")), choices[0])
    context = header(endpoint) | {"tab": "cost", "choices": choices, "template": "monitoring/endpoint_cost.html"}
    return _answer(request, spent, by, context, file_name=f"{endpoint.name}-cost")


def _answer(
    request: HttpRequest, spent: Spending, by: Grouping, context: dict[str, Any], *, file_name: str
) -> HttpResponse:
    wanted = request.GET.get("format", "")
    if wanted == "csv":
        return _csv(spent, file_name)
    chart = cost_chart(spent, by)
    if wanted == "json":
        return JsonResponse({"charts": {chart.name: drawn(chart)}})
    context |= _page(request, spent, by, chart)
    return render(request, context["template"], context)


def _page(request: HttpRequest, spent: Spending, by: Grouping, chart: Chart) -> dict[str, Any]:
    query = request.GET.copy()
    query.pop("format", None)
    address = query.urlencode()
    return {
        "spent": spent,
        "by": by,
        "lines": spent.lines(by.of, counts=by.counts_requests),
        "kinds": [(kind, _sum(spent.rows, kind), KIND_COLOURS[kind]) for kind in Kind],
        "chart": chart,
        "window": spent.window,
        "ranges": windows.DAY_RANGES,
        "data_url": f"?{address}&format=json",
        "export_url": f"?{address}&format=csv",
        "refresh_seconds": 0,
    }


def _sum(rows: list[Spent], kind: Kind) -> Decimal:
    return sum((row.amount for row in rows if row.kind is kind), Decimal(0))


def _csv(spent: Spending, name: str) -> HttpResponse:
    """One line for each day, deployment, instance type and kind; their sum is the total of the page, to the last digit."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow(CSV_COLUMNS)
    for row in spent.rows:
        writer.writerow(
            [row.day, row.endpoint, row.deployment, row.instance_type, row.kind, f"{row.amount:f}", spent.currency]
        )
    return response


def _asked_days(request: HttpRequest, now: datetime) -> Window:
    begin, end = (request.GET.get(name, "").strip() for name in ("from", "to"))
    if not begin:
        return windows.named_days(request.GET.get("range", ""), now)
    try:
        return windows.custom_days(begin, end, now)
    except ValueError as error:
        raise BadRequest(str(error)) from None

"""An endpoint's Metrics tab: charts, the figures they are drawn from, and the same as CSV."""

from __future__ import annotations

import csv
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from endpoints.models import Endpoint
from endpoints.queries import get_endpoint_for
from endpoints.views.door import header, page
from monitoring import windows
from monitoring.charts import Chart, figure
from monitoring.metrics import endpoint_charts
from monitoring.windows import Window
from studio.lib.errors import BadRequest, NotFound

REFRESH_SECONDS = 10


@require_safe
def metrics(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """`?range=` is one of windows.RANGES, or `?from=&to=` in UTC. Works without JavaScript: sentences and tables."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    window = asked_window(request)
    context = header(endpoint) | range_context(request, window)
    context |= {
        "tab": "metrics",
        "charts": endpoint_charts(endpoint, window),
        "data_url": _address("metrics-data", endpoint, request),
        "export_url": _address("metrics-export", endpoint, request),
        "refresh_seconds": REFRESH_SECONDS if window.is_live else 0,
    }
    return page(request, "monitoring/metrics.html", context)


@require_safe
@never_cache
def data(request: HttpRequest, ws: str, ep: str) -> JsonResponse:
    """What the page's script draws: by the chart's name its figure, sentence and table."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    return JsonResponse(
        {"charts": {chart.name: drawn(chart) for chart in endpoint_charts(endpoint, asked_window(request))}}
    )


@require_safe
def export(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """`?chart=` as CSV, with every step of the window."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    charts = {chart.name: chart for chart in endpoint_charts(endpoint, asked_window(request))}
    chart = charts.get(request.GET.get("chart", "requests"))
    if chart is None:
        raise NotFound("There is no such chart.", hint=f"Use one of {', '.join(charts)}.")
    return csv_of(chart, f"{endpoint.name}-{chart.name}")


def drawn(chart: Chart) -> dict[str, Any]:
    return {
        **figure(chart),
        "sentence": chart.sentence,
        "columns": chart.columns,
        "table": chart.table,
        "empty": chart.is_empty,
    }


def csv_of(chart: Chart, name: str) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow(["time_utc", *chart.columns[1:]])
    writer.writerows(chart.rows())
    return response


def asked_window(request: HttpRequest) -> Window:
    """Raises BadRequest for a time that is none."""
    now = timezone.now()
    begin, end = request.GET.get("from", "").strip(), request.GET.get("to", "").strip()
    if not begin:
        return windows.named(request.GET.get("range", ""), now)
    try:
        return windows.custom(begin, end, now)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def range_context(request: HttpRequest, window: Window) -> dict[str, Any]:
    """What _range.html shows."""
    return {"window": window, "ranges": windows.RANGES}


def _address(name: str, endpoint: Endpoint, request: HttpRequest) -> str:
    """With the same window as this page."""
    asked = {key: request.GET[key] for key in ("range", "from", "to") if request.GET.get(key)}
    address = reverse(f"monitoring:{name}", args=[endpoint.workspace.name, endpoint.name])

    return f"{address}?{urlencode(asked)}"

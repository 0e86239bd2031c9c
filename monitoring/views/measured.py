"""What the Traffic tab shows beside what is wanted: the shares that were measured, and how green compares with blue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from endpoints.models import Endpoint, TrafficVersion
from endpoints.queries import current_traffic, get_endpoint_for
from endpoints.views.door import leads_on_when_gone, list_address
from monitoring import rollup, series, verdict
from monitoring.models import ScrapeState
from monitoring.rollup import Tally
from monitoring.windows import MINUTE, Window
from studio.lib.parts import asks_for_part

LONGEST_MINUTES = 60
# How far a measured share may be off before it is pointed out, in standard deviations.
DEVIATIONS = 3.0


@require_safe
@never_cache
@leads_on_when_gone(list_address)
def measured(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """A part of the Traffic tab, polled; asked for by itself it leads there."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    if not asks_for_part(request):
        return redirect("endpoints:traffic", endpoint.workspace.name, endpoint.name)
    now = timezone.now()
    traffic = current_traffic(endpoint)
    start = _since(endpoint, traffic, now)
    found: dict[str, Tally] = {}
    if start < now:
        window = Window("measured", "", start, now, MINUTE, MINUTE)
        seen = series.traffic(endpoint, window)
        found = {name: seen.sum_of(name) for name in seen.by_deployment}
    state = ScrapeState.objects.filter(source="gateway").first()
    context: dict[str, Any] = {
        "workspace": endpoint.workspace,
        "endpoint": endpoint,
        "names": list(endpoint.deployments.order_by("created_at").values_list("name", flat=True)),
        "shares": _shares(traffic, found),
        "verdicts": _verdicts(traffic, found),
        "since": start,
        "is_too_soon": start >= now,
        "scraped_at": state.scraped_at if state else None,
    }
    return render(request, "monitoring/_measured.html", context)


def _since(endpoint: Endpoint, traffic: TrafficVersion, now: datetime) -> datetime:
    """The first whole minute in which this version was in force, but at most an hour ago."""
    in_force = endpoint.routed_at or traffic.at
    minute = -(-int(max(in_force, traffic.at).timestamp()) // MINUTE) * MINUTE
    hour_ago = int((now - timedelta(minutes=LONGEST_MINUTES)).timestamp()) // MINUTE * MINUTE
    return datetime.fromtimestamp(max(minute, hour_ago), UTC)


def _shares(traffic: TrafficVersion, found: dict[str, Tally]) -> list[dict[str, Any]]:
    counts = {name: verdict.answered(tally) for name, tally in found.items()}
    total = sum(counts.values())
    rows = []
    for name in {**traffic.percents, **found}:
        wanted, count = traffic.percents.get(name, 0), counts.get(name, 0)
        if not wanted and not count:
            continue
        percent = 100 * count / total if total else None
        spread = (wanted * (100 - wanted) / total) ** 0.5 if total else 0.0
        rows.append(
            {
                "name": name,
                "wanted": wanted,
                "percent": percent,
                "count": count,
                "is_off": percent is not None and abs(percent - wanted) > max(DEVIATIONS * spread, 0.5),
                "error_percent": 100 * verdict.failures(found[name]) / count if count else None,
                "p95_ms": rollup.percentile_ms(found[name].latencies, 95) if count else None,
            }
        )
    return rows


def _verdicts(traffic: TrafficVersion, found: dict[str, Tally]) -> list[verdict.Verdict]:
    """Every other deployment with traffic against the one with the greatest share."""
    sharing = sorted(
        (name for name, percent in traffic.percents.items() if percent), key=lambda n: -traffic.percents[n]
    )
    nothing = Tally()
    return [
        verdict.compare(found.get(sharing[0], nothing), found.get(name, nothing), of=name, with_=sharing[0])
        for name in sharing[1:]
    ]

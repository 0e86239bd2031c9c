"""The only reader of buckets: what happened to an endpoint's requests and instances, step by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from endpoints.models import Endpoint
from monitoring import rollup
from monitoring.ingest import INSTANCE_FIELDS, NO_DEPLOYMENT
from monitoring.models import InstanceBucket, TrafficBucket
from monitoring.rollup import InstanceTally, Sums, Tally
from monitoring.windows import Window

_COUNTS = ("statuses", "latencies", "others")


@dataclass(frozen=True)
class TrafficSeries:
    """One tally a step. `by_deployment` is in order of creation, those that are gone last.

    `whole` is everything that was answered, also what no deployment had a part in; its measured time is that of the endpoint.
    """

    window: Window
    by_deployment: dict[str, list[Tally]]
    whole: list[Tally]

    def sum_of(self, deployment: str) -> Tally:
        return rollup.total(self.by_deployment.get(deployment, []))

    @property
    def sum(self) -> Tally:
        return rollup.total(self.whole)


@dataclass(frozen=True)
class InstanceSeries:
    """By deployment and then instance, one tally a step."""

    window: Window
    by_deployment: dict[str, dict[str, list[InstanceTally]]] = field(default_factory=dict)

    def together(self, deployment: str) -> list[InstanceTally]:
        """All instances of a deployment added up, step by step."""
        steps = zip(*self.by_deployment.get(deployment, {}).values(), strict=True)
        return [sum(step, InstanceTally()) for step in steps]


def traffic(endpoint: Endpoint, window: Window) -> TrafficSeries:
    """An endpoint that was made anew under an old name begins with nothing."""
    rows = TrafficBucket.objects.filter(measured__endpoint_name=endpoint.name, **_within(endpoint, window))
    columns = ("measured__deployment_name", "at", "measured_seconds", *_COUNTS)
    steps: dict[str, dict[int, Sums]] = {}
    count = len(window.moments)
    for name, at, *values in rows.values_list(*columns):
        steps.setdefault(name, defaultdict(Sums))[window.position(at)].add(*values)
    found = {name: [sums[at].tally if at in sums else Tally() for at in range(count)] for name, sums in steps.items()}
    nobody = found.pop(NO_DEPLOYMENT, [Tally()] * count)
    ordered = {name: found[name] for name in _in_order(endpoint, found)}
    return TrafficSeries(window, ordered, [_whole(parts) for parts in zip(nobody, *ordered.values(), strict=True)])


def _whole(parts: tuple[Tally, ...]) -> Tally:
    """The first one is of the endpoint itself: it was measured whenever the endpoint was."""
    added = rollup.total(parts)
    return Tally(parts[0].measured_seconds, added.statuses, added.latencies, added.others)


def instances(endpoint: Endpoint, window: Window) -> InstanceSeries:
    """What instances used, also those that are gone."""
    rows = InstanceBucket.objects.filter(measured__endpoint_name=endpoint.name, **_within(endpoint, window))
    count = len(window.moments)
    found: dict[str, dict[str, list[InstanceTally]]] = {}
    for name, instance, at, *values in rows.values_list(
        "measured__deployment_name", "instance_name", "at", *INSTANCE_FIELDS
    ):
        steps = found.setdefault(name, {}).setdefault(instance, [InstanceTally()] * count)
        position = window.position(at)
        steps[position] += InstanceTally(*values)
    return InstanceSeries(window, {name: found[name] for name in _in_order(endpoint, found)})


def totals(endpoints: Iterable[Endpoint], window: Window) -> dict[str, list[Tally]]:
    """By the endpoint's name, one tally a step: for lists. One query."""
    named = {endpoint.name: endpoint for endpoint in endpoints}
    sums: dict[str, dict[int, Sums]] = {name: defaultdict(Sums) for name in named}
    rows = TrafficBucket.objects.filter(
        measured__endpoint_name__in=named, grain=window.grain_seconds, at__gte=window.start, at__lt=window.end
    )
    columns = ("measured__endpoint_name", "measured__deployment_name", "at", "measured_seconds", *_COUNTS)
    for name, deployment, at, seconds, *counts in rows.values_list(*columns):
        if at >= _first(named[name], window):
            sums[name][window.position(at)].add(seconds if deployment == NO_DEPLOYMENT else 0.0, *counts)
    count = len(window.moments)
    return {name: [found[at].tally if at in found else Tally() for at in range(count)] for name, found in sums.items()}


def _first(endpoint: Endpoint, window: Window) -> datetime:
    """The bucket in which the endpoint was made, or the first of the window."""
    return max(window.start, endpoint.created_at - timedelta(seconds=window.grain_seconds))


def _within(endpoint: Endpoint, window: Window) -> dict[str, object]:
    return {"grain": window.grain_seconds, "at__gte": _first(endpoint, window), "at__lt": window.end}


def _in_order(endpoint: Endpoint, found: Iterable[str]) -> list[str]:
    """Deployments in order of creation, then those that are gone."""
    known = list(endpoint.deployments.order_by("created_at").values_list("name", flat=True))
    names = set(found)
    return [name for name in known if name in names] + sorted(names - set(known))

"""Rows in, route table out, in as many queries for a thousand endpoints as for one."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from django.conf import settings
from django.db.models import OuterRef, Q, Subquery

from deployments.models import Deployment, Instance, Revision
from deployments.spec import Probe
from endpoints.models import AuthMode, Endpoint, TrafficVersion
from gateway.errors import RouteTableInvalid
from gateway.routes import DeploymentRoute, EndpointRoute, InstanceTarget, ReadinessProbe, RouteTable, cluster_name

log = logging.getLogger(__name__)
_S = Instance.State
_GOING = "Deleting"
_REVISION_FIELDS = ("request_timeout_ms", "max_concurrent_requests_per_instance", "readiness_probe")


@dataclass(frozen=True)
class WantedRoutes:
    """The route table as the rows want it, and what to tell the rooms below once it is in force.

    `versions`: traffic version by endpoint id. `gone`: endpoints that are being deleted, and so are not in the table.
    `instances`: names of all that have not ended, by the cluster they belong to.
    """

    table: RouteTable
    versions: Mapping[int, int] = field(default_factory=dict)
    gone: tuple[int, ...] = ()
    instances: Mapping[str, frozenset[str]] = field(default_factory=dict)


def route_table() -> RouteTable:
    """What the gateway should have in force now."""
    return wanted_routes().table


def wanted_routes() -> WantedRoutes:
    """An endpoint that breaks a rule of the table is left out and logged, so that it does not hold up the others."""
    endpoints = _endpoints()
    instances = list(_instances())
    deployments = _deployment_routes(instances)
    routes = []
    versions = {}
    for row in endpoints:
        if row.state == _GOING:
            continue
        route = _endpoint_route(row, deployments[row.pk])
        try:
            RouteTable((route,)).validate()
        except RouteTableInvalid as error:
            log.error("not routed: %s", error.message)
            continue
        routes.append(route)
        versions[row.pk] = row.newest_number
    return WantedRoutes(
        table=RouteTable(tuple(routes)),
        versions=versions,
        gone=tuple(row.pk for row in endpoints if row.state == _GOING),
        instances=_names_by_cluster(instances),
    )


@dataclass(frozen=True)
class _EndpointRow:
    """An endpoint with its newest traffic version."""

    pk: int
    name: str
    state: str
    auth_mode: str
    primary_key_sha256: str
    secondary_key_sha256: str
    rate_limit_per_second: int | None
    newest_number: int
    newest_percents: Mapping[str, int] | None
    newest_mirror: Mapping[str, int] | None


def _endpoints() -> list[_EndpointRow]:
    newest = TrafficVersion.objects.filter(endpoint=OuterRef("pk")).order_by("-number")
    rows = Endpoint.objects.annotate(
        newest_number=Subquery(newest.values("number")[:1]),
        newest_percents=Subquery(newest.values("percents")[:1]),
        newest_mirror=Subquery(newest.values("mirror")[:1]),
    ).order_by("name")
    return [_EndpointRow(**row) for row in rows.values(*(part.name for part in fields(_EndpointRow)))]


def _instances() -> Iterable[Instance]:
    rows = Instance.objects.filter(is_admitted=True).exclude(state__in=Instance.ENDED_STATES)
    columns = ("name", "address", "state", "routed", "deployment_id", "endpoint_name", "deployment_name")
    return rows.only(*columns).order_by("name")


def _deployment_routes(instances: Iterable[Instance]) -> Mapping[int, list[DeploymentRoute]]:
    """By endpoint id, in order of creation."""
    targets: dict[int | None, list[InstanceTarget]] = defaultdict(list)
    for instance in instances:
        if _may_be_routed(instance):
            draining = instance.state == _S.DRAINING
            targets[instance.deployment_id].append(InstanceTarget(instance.name, instance.address, draining))
    revisions = [f"{which}_revision__{name}" for which in ("serving", "wanted") for name in _REVISION_FIELDS]
    rows = (
        Deployment.objects.filter(Q(serving_revision__isnull=False) | Q(wanted_revision__isnull=False))
        .select_related("serving_revision", "wanted_revision")
        .only("name", "state", "endpoint_id", "serving_revision_id", "wanted_revision_id", *revisions)
        .order_by("created_at", "pk")
    )
    found: dict[int, list[DeploymentRoute]] = defaultdict(list)
    for row in rows:
        revision = row.serving_revision or row.wanted_revision
        if revision is not None and (row.state != _GOING or targets[row.pk]):
            found[row.endpoint_id].append(_deployment_route(row.name, revision, targets[row.pk]))
    return found


def _may_be_routed(instance: Instance) -> bool:
    """A draining one that has nothing left to answer is about to be stopped."""
    return bool(instance.address) and (instance.state != _S.DRAINING or instance.routed != "")


def _deployment_route(name: str, revision: Revision, targets: Iterable[InstanceTarget]) -> DeploymentRoute:
    probe = Probe.from_mapping(revision.readiness_probe)
    return DeploymentRoute(
        name=name,
        instances=tuple(targets),
        request_timeout_ms=revision.request_timeout_ms,
        max_concurrent_requests=revision.max_concurrent_requests_per_instance,
        readiness=ReadinessProbe(
            period_seconds=probe.period,
            timeout_seconds=probe.timeout,
            success_threshold=probe.success_threshold,
            failure_threshold=probe.failure_threshold,
        ),
    )


def _endpoint_route(row: _EndpointRow, deployments: list[DeploymentRoute]) -> EndpointRoute:
    route = EndpointRoute(
        name=row.name,
        region=settings.STUDIO_REGION.lower(),
        deployments=tuple(deployments),
        traffic=_of_known(row.newest_percents, deployments),
        mirror=_of_known(row.newest_mirror, deployments),
        max_request_bytes=settings.STUDIO_MAX_REQUEST_BYTES,
        rate_limit_per_second=row.rate_limit_per_second,
    )
    if row.auth_mode == AuthMode.AML_TOKEN:
        return replace(route, auth_mode="aml_token")
    hashes = {"primary": row.primary_key_sha256, "secondary": row.secondary_key_sha256}
    return replace(route, key_hashes={slot: digest for slot, digest in hashes.items() if digest})


def _of_known(percents: Mapping[str, int] | None, deployments: Iterable[DeploymentRoute]) -> dict[str, int]:
    """Without zeros: a deployment that is gone may still stand in the allocation with no share."""
    known = {deployment.name for deployment in deployments}
    return {name: percent for name, percent in (percents or {}).items() if percent and name in known}


def _names_by_cluster(instances: Iterable[Instance]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for instance in instances:
        found[cluster_name(instance.endpoint_name, instance.deployment_name)].add(instance.name)
    return {cluster: frozenset(names) for cluster, names in found.items()}

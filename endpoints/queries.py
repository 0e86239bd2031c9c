"""Questions about this room. Fetching a thing is the permission check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from endpoints import traffic
from endpoints.models import Endpoint, TrafficVersion
from studio.lib.errors import Conflict, NotFound
from workspaces.models import Activity, Operation, Target, Workspace
from workspaces.permissions import Need
from workspaces.queries import get_workspace_for


def get_endpoint_for(user: Any, workspace_name: str, name: str, *, need: Need = Need.READ) -> Endpoint:
    """Raises NotFound (unknown, or not a member) or Forbidden (member without the right)."""
    workspace = get_workspace_for(user, workspace_name, need=need)
    endpoint = Endpoint.objects.select_related("workspace").filter(workspace=workspace, name__iexact=name).first()
    if endpoint is None:
        raise NotFound(f"There is no endpoint '{name}' in '{workspace.name}'.")
    return endpoint


def endpoints_in(workspace: Workspace) -> QuerySet[Endpoint]:
    """Endpoints by name, each with `percents_now`, `mirror_now` and `number_now` of its newest traffic version."""
    newest = TrafficVersion.objects.filter(endpoint=OuterRef("pk")).order_by("-number")
    return Endpoint.objects.filter(workspace=workspace).annotate(
        percents_now=Subquery(newest.values("percents")[:1]),
        mirror_now=Subquery(newest.values("mirror")[:1]),
        number_now=Subquery(newest.values("number")[:1]),
    )


def tags_in(workspace: Workspace) -> list[tuple[int, dict[str, str]]]:
    """The tags of every endpoint of the workspace that has some, by its id.

    Read whole: SQLite and Postgres have no common way to ask for one tag whose name may hold anything.
    """
    return list(Endpoint.objects.filter(workspace=workspace).exclude(tags={}).values_list("pk", "tags"))


def current_traffic(endpoint: Endpoint) -> TrafficVersion:
    """The traffic version in force."""
    return TrafficVersion.objects.filter(endpoint=endpoint).order_by("-number")[0]


def traffic_history(endpoint: Endpoint, *, most: int = 30) -> QuerySet[TrafficVersion]:
    """Newest first."""
    return TrafficVersion.objects.filter(endpoint=endpoint).select_related("by").order_by("-number")[:most]


def why_not_serving(endpoint: Endpoint, *, already: Mapping[str, int]) -> dict[str, str]:
    """Each deployment's name, in order of creation, with why it cannot get traffic; "" when it can.

    A deployment that already has a share keeps it, whatever happened to it since.
    """
    reasons: dict[str, str] = {}
    for deployment in endpoint.deployments.order_by("created_at"):
        if already.get(deployment.name):
            reasons[deployment.name] = ""
        elif deployment.state == "Deleting":
            reasons[deployment.name] = f"'{deployment.name}' is being deleted."
        elif deployment.serving_revision_id is None:
            reasons[deployment.name] = (
                f"Deployment '{deployment.name}' is {deployment.state} and has never been ready; "
                "give it traffic once it has Succeeded."
            )
        elif not deployment.instances.filter(state="Ready").exists():
            reasons[deployment.name] = f"Deployment '{deployment.name}' has no ready instance."
        else:
            reasons[deployment.name] = ""
    return reasons


def scoring_uri(endpoint: Endpoint, *, tls: bool = True) -> str:
    """The address to score at, by path."""
    scheme, port = ("https", settings.GATEWAY_TLS_PORT) if tls else ("http", settings.GATEWAY_PORT)
    return f"{scheme}://{settings.STUDIO_HOSTNAME}:{port}/endpoints/{endpoint.name}/score"


def scoring_host(endpoint: Endpoint) -> str:
    """The host name that also leads to the endpoint."""
    return f"{endpoint.name}.{settings.STUDIO_REGION}.inference.{settings.STUDIO_DOMAIN}"


@dataclass(frozen=True)
class Behind:
    """A deployment behind an endpoint, in figures. `ready` counts its instances that are ready now."""

    name: str
    state: str
    wanted: int
    ready: int
    is_serving: bool


def behind(endpoints: Iterable[Endpoint]) -> dict[int, list[Behind]]:
    """What stands behind each endpoint, by its id and in order of creation. One query, however many endpoints."""
    ids = [endpoint.pk for endpoint in endpoints]
    found: dict[int, list[Behind]] = {pk: [] for pk in ids}
    rows = (
        Endpoint.objects.filter(pk__in=ids, deployments__isnull=False)
        .order_by("deployments__created_at")
        .values_list(
            "pk",
            "deployments__name",
            "deployments__state",
            "deployments__wanted_instance_count",
            "deployments__serving_revision",
        )
        .annotate(ready=Count("deployments__instances", filter=Q(deployments__instances__state="Ready")))
    )
    for pk, name, state, wanted, serving_id, ready in rows:
        found[pk].append(Behind(name, state, wanted, ready, serving_id is not None))
    return found


def operations_around(endpoint: Endpoint) -> QuerySet[Operation]:
    """What now runs on the endpoint or on a deployment behind it, oldest first."""
    deployments = endpoint.deployments.values("pk")
    about = Q(target_kind=Target.ENDPOINT, target_id=endpoint.pk)
    about |= Q(target_kind=Target.DEPLOYMENT, target_id__in=deployments)
    return Operation.objects.filter(about, state=Operation.State.IN_PROGRESS).order_by("created_at")


def activity_around(endpoint: Endpoint, *, most: int = 30) -> QuerySet[Activity]:
    """What happened to the endpoint and to its deployments, those that are gone included. Newest first."""
    about = Q(target_kind=Target.ENDPOINT, target_id=endpoint.pk)
    about |= Q(target_kind=Target.DEPLOYMENT, target_name__startswith=f"{endpoint.name}/", at__gte=endpoint.created_at)
    rows = Activity.objects.filter(about, workspace_id=endpoint.workspace_id)
    return rows.select_related("by").order_by("-id")[:most]


@dataclass(frozen=True)
class TrafficPreview:
    """What a change of traffic would do. `sentence` and `mirror_sentence` are "no change" where nothing changes."""

    percents: dict[str, int]
    mirror: dict[str, int]
    sentence: str
    mirror_sentence: str

    @property
    def changes_nothing(self) -> bool:
        return self.sentence == self.mirror_sentence == "no change"


def preview_traffic(
    endpoint: Endpoint, *, percents: Mapping[str, int], mirror: Mapping[str, int], seen_number: int | None = None
) -> TrafficPreview:
    """Check an allocation by the rules `services.set_traffic` goes by, and say what it would change. Changes nothing.

    Raises TrafficInvalid, and Conflict when another version than `seen_number` is in force by now.
    """
    newest = current_traffic(endpoint)
    if seen_number is not None and seen_number != newest.number:
        raise Conflict(
            f"The traffic was changed by somebody else meanwhile (version {newest.number}, you saw {seen_number}).",
            hint="Look at the traffic now in force and decide again.",
        )
    deployments = why_not_serving(endpoint, already=newest.percents | newest.mirror)
    new_percents = traffic.check_percents(percents, deployments=deployments)
    new_mirror = traffic.check_mirror(mirror, percents=new_percents, deployments=deployments)
    return TrafficPreview(
        percents=new_percents,
        mirror=new_mirror,
        sentence=traffic.sentence(newest.percents, new_percents),
        mirror_sentence=traffic.sentence(newest.mirror, new_mirror),
    )

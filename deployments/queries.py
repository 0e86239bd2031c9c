"""Questions about this room. Fetching a thing is the permission check."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from deployments.models import Deployment, Instance, InstanceType, Revision
from deployments.picture import Row
from deployments.quota import Quota, current_quota
from deployments.spec import vcpu_with_reserve
from endpoints.models import Endpoint
from endpoints.queries import current_traffic, get_endpoint_for
from studio.lib.errors import NotFound
from studio.lib.formats import deployment_colours
from workspaces.models import (
    Activity,
    CodeVersion,
    EnvironmentVersion,
    Operation,
    RegisteredModelVersion,
    Target,
    Workspace,
)
from workspaces.permissions import Need

_PARTS = (
    "model_version__model",
    "code_version__code",
    "environment_version__environment",
    "environment_version__build",
    "instance_type",
)
_OF_REVISION = tuple(f"{which}_revision__{part}" for which in ("serving", "wanted") for part in _PARTS)
_HEAVY = tuple(f"{which}_revision__environment_variables" for which in ("serving", "wanted"))


def get_deployment_for(
    user: Any, workspace_name: str, endpoint_name: str, name: str, *, need: Need = Need.READ
) -> Deployment:
    """Raises NotFound (unknown, or not a member) or Forbidden (member without the right)."""
    endpoint = get_endpoint_for(user, workspace_name, endpoint_name, need=need)
    found = _with_parts(Deployment.objects.filter(endpoint=endpoint, name__iexact=name)).first()
    if found is None:
        raise NotFound(f"There is no deployment '{name}' behind '{endpoint.name}'.")
    found.endpoint = endpoint
    return found


def deployments_behind(endpoint: Endpoint) -> list[Deployment]:
    """In order of creation, each with its revisions, `ready_count` and, as `operation`, the newest one with its steps.

    Three queries, however many deployments. `operation` is None when there never was one.
    """
    about = Operation.objects.filter(target_kind=Target.DEPLOYMENT, target_id=OuterRef("pk")).order_by("-created_at")
    rows = _with_parts(Deployment.objects.filter(endpoint=endpoint)).defer(*_HEAVY)
    annotated = list(rows.annotate(operation_id=Subquery(about.values("pk")[:1])))
    ids = [deployment.operation_id for deployment in annotated]
    deployments: list[Deployment] = [*annotated]
    newest = Operation.objects.filter(pk__in=ids).select_related("by").prefetch_related("steps")
    by_target = {operation.target_id: operation for operation in newest}
    for deployment in deployments:
        deployment.endpoint = endpoint
        deployment.operation = by_target.get(deployment.pk)  # type: ignore[attr-defined]
    return deployments


def rows_of_picture(endpoint: Endpoint) -> list[Row]:
    """What the drawing of the traffic shows, in order of creation. Three queries, however many deployments."""
    traffic = current_traffic(endpoint)
    found = list(
        Deployment.objects.filter(endpoint=endpoint)
        .order_by("created_at")
        .values_list("pk", "name", "wanted_instance_count")
    )
    states: dict[int, list[str]] = {pk: [] for pk, *_ in found}
    live = Instance.objects.filter(deployment__endpoint=endpoint).exclude(state__in=Instance.ENDED_STATES)
    for pk, state in live.order_by("created_at", "pk").values_list("deployment_id", "state"):
        states[pk].append(state)
    colours = deployment_colours(name for _, name, _ in found)
    return [
        Row(
            name=name,
            colour=colours[name],
            share=traffic.percents.get(name, 0),
            mirrored=traffic.mirror.get(name, 0),
            wanted=wanted,
            states=tuple(states[pk]),
        )
        for pk, name, wanted in found
    ]


def _with_parts(deployments: QuerySet[Deployment]) -> QuerySet[Deployment]:
    shown = Coalesce(F("serving_revision"), F("wanted_revision"))
    ready = Count("instances", filter=Q(instances__state=Instance.State.READY, instances__revision=shown))
    return deployments.select_related(*_OF_REVISION).annotate(ready_count=ready).order_by("created_at")


def revisions_of(deployment: Deployment, *, most: int = 50) -> QuerySet[Revision]:
    """Newest first, with what each is made of."""
    rows = Revision.objects.filter(deployment=deployment).select_related(*_PARTS, "by")
    return rows.defer("environment_variables").order_by("-number")[:most]


def instances_of(deployment: Deployment, *, most: int = 100) -> list[Instance]:
    """Those that run first, then the ended ones; newest first within each."""
    rows = Instance.objects.filter(deployment=deployment).order_by("-created_at", "-pk")[:most]
    return sorted(rows, key=lambda row: row.state in Instance.ENDED_STATES)


def get_instance(deployment: Deployment, name: str) -> Instance:
    """Also one that has ended. Raises NotFound."""
    found = Instance.objects.filter(deployment=deployment, name=name).first()
    if found is None:
        raise NotFound(f"Deployment '{deployment.name}' has no instance '{name}'.")
    return found


def activity_of(deployment: Deployment, *, most: int = 30) -> QuerySet[Activity]:
    """What happened to the deployment and to its instances. Newest first."""
    about = Q(target_kind=Target.DEPLOYMENT, target_id=deployment.pk)
    about |= Q(
        target_kind=Target.INSTANCE,
        target_name__startswith=f"{deployment.endpoint.name}/{deployment.name}/",
        at__gte=deployment.created_at,
    )
    rows = Activity.objects.filter(about, workspace_id=deployment.endpoint.workspace_id)
    return rows.select_related("by").order_by("-id")[:most]


@dataclass(frozen=True)
class Choices:
    """What a new revision may be made of: versions that are not archived, newest first within their name."""

    models: list[RegisteredModelVersion]
    codes: list[CodeVersion]
    environments: list[EnvironmentVersion]
    instance_types: list[InstanceType]


def choices_in(workspace: Workspace, *, besides: Revision | None = None) -> Choices:
    """`besides`: its parts can be chosen too, although they have been archived or are offered no more."""
    models = RegisteredModelVersion.objects.filter(model__workspace=workspace).select_related("model")
    codes = CodeVersion.objects.filter(code__workspace=workspace).select_related("code")
    environments = EnvironmentVersion.objects.filter(environment__workspace=workspace)
    return Choices(
        models=list(models.filter(_usable(besides, "model_version")).order_by("model__name", "-created_at", "-pk")),
        codes=list(codes.filter(_usable(besides, "code_version")).order_by("code__name", "-created_at", "-pk")),
        environments=list(
            environments.filter(_usable(besides, "environment_version"))
            .select_related("environment", "build")
            .defer("build__packages", "conda_file")
            .order_by("environment__is_curated", "environment__name", "-created_at", "-pk")
        ),
        instance_types=list(
            InstanceType.objects.filter(Q(is_offered=True) | Q(pk=besides.instance_type_id if besides else None))
        ),
    )


def _usable(besides: Revision | None, part: str) -> Q:
    return Q(archived_at__isnull=True) | Q(pk=getattr(besides, f"{part}_id") if besides else None)


@dataclass(frozen=True)
class Offer:
    """An instance type and how many of its instances the quota still has room for, the reserve included."""

    instance_type: InstanceType
    vcpu_each: Decimal
    fits: int


def offers(instance_types: list[InstanceType], *, leaving_out: Deployment | None = None) -> tuple[list[Offer], Quota]:
    """What can be had now. `leaving_out`: as if this deployment took nothing."""
    quota = current_quota(leaving_out=leaving_out)
    return [Offer(kind, kind.vcpu, _fits(kind, quota.free)) for kind in instance_types], quota


def _fits(kind: InstanceType, free: Decimal) -> int:
    """The largest count that, with its reserve, is not above `free` vCPU; at most 50."""
    counts = range(50, 0, -1)
    skips = kind.skips_reserve
    return next((count for count in counts if vcpu_with_reserve(count, kind.vcpu, skips_reserve=skips) <= free), 0)

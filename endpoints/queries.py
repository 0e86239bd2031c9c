"""Questions about this room. Fetching a thing is the permission check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery

from endpoints.models import Endpoint, TrafficVersion
from studio.lib.errors import NotFound
from workspaces.models import Workspace
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
    """Endpoints by name, each with `percents_now` and `mirror_now` of its newest traffic version."""
    newest = TrafficVersion.objects.filter(endpoint=OuterRef("pk")).order_by("-number")
    return Endpoint.objects.filter(workspace=workspace).annotate(
        percents_now=Subquery(newest.values("percents")[:1]), mirror_now=Subquery(newest.values("mirror")[:1])
    )


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
    for deployment in endpoint.deployments.order_by("created_at"):  # type: ignore[attr-defined]
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

"""A workspace's first page: what serves, what there is to serve with, what happened."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from studio.lib.errors import StudioError
from studio.lib.formats import tone_of
from studio.lib.forms import show_error
from studio.lib.parts import template_for
from workspaces import queries
from workspaces.forms import WorkspaceForm
from workspaces.models import Workspace
from workspaces.permissions import check_administrator
from workspaces.services import people

ENDPOINTS_SHOWN = 6
ASSETS_SHOWN = 5


@require_GET
def home(request: HttpRequest, ws: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    cards = endpoint_cards(workspace)
    context = {
        "workspace": workspace,
        "cards": cards,
        "endpoint_count": workspace.endpoints.count(),
        "models": queries.models_in(workspace).order_by("name")[:ASSETS_SHOWN],
        "environments": queries.environments_in(workspace).filter(is_curated=False)[:ASSETS_SHOWN],
        "activities": queries.activities_in(workspace, most=8),
        "is_settled": not any(tone_of(card["endpoint"].state) == "busy" or card["is_busy"] for card in cards),
    }
    return render(request, template_for(request, "workspaces/home.html", "endpoints"), context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """A new workspace, by an administrator, who becomes its owner."""
    check_administrator(request.user)
    form = WorkspaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            workspace = people.create_workspace(by=request.user, **form.cleaned_data)
        except StudioError as error:
            show_error(form, error)
        else:
            return redirect("workspaces:home", workspace.name)
    status = 422 if request.method == "POST" else 200
    return render(request, "workspaces/create.html", {"form": form}, status=status)


def endpoint_cards(workspace: Workspace) -> list[dict[str, Any]]:
    """The endpoints changed last: each with its deployments, traffic, and ready and wanted instances."""
    ready = dict(
        workspace.instances.filter(state="Ready").values_list("endpoint_name").annotate(count=Count("pk")).order_by()
    )
    cards = []
    for endpoint in workspace.endpoints.order_by("-updated_at").prefetch_related("deployments")[:ENDPOINTS_SHOWN]:
        deployments = list(endpoint.deployments.all())
        traffic = endpoint.traffic_versions.first()
        cards.append(
            {
                "endpoint": endpoint,
                "names": [deployment.name for deployment in deployments],
                "percents": traffic.percents if traffic else {},
                "ready": ready.get(endpoint.name, 0),
                "wanted": sum(deployment.wanted_instance_count for deployment in deployments),
                "failed": [deployment for deployment in deployments if deployment.state == "Failed"],
                "is_busy": any(tone_of(deployment.state) == "busy" for deployment in deployments),
            }
        )
    return cards

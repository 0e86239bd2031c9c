"""The endpoints of a workspace, and a new one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from endpoints import services
from endpoints.forms import EndpointForm
from endpoints.models import AuthMode, Endpoint
from endpoints.queries import behind, endpoints_in
from endpoints.views.door import page
from studio.lib.errors import StudioError
from studio.lib.forms import show_error
from workspaces.permissions import Need
from workspaces.queries import get_workspace_for

ENDPOINTS_PER_PAGE = 50


@require_safe
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """Endpoints by name. `?q=` searches names, descriptions and tags; `?state=`; `?after=` is the last name of the page before."""
    workspace = get_workspace_for(request.user, ws)
    text, state, after = (request.GET.get(name, "").strip() for name in ("q", "state", "after"))
    rows = endpoints_in(workspace)
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(description__icontains=text) | Q(tags__icontains=text))
    if state in Endpoint.State.values:
        rows = rows.filter(state=state)
    if after:
        rows = rows.filter(name__gt=after)
    found = list(rows.order_by("name")[: ENDPOINTS_PER_PAGE + 1])
    shown = found[:ENDPOINTS_PER_PAGE]
    context = {
        "workspace": workspace,
        "rows": _rows(shown),
        "q": text,
        "state": state,
        "states": Endpoint.State.values,
        "after": after,
        "next_after": shown[-1].name if len(found) > len(shown) else "",
        "is_narrowed": bool(text or state or after),
    }
    return page(request, "endpoints/list.html", context, part="rows")


def _rows(endpoints: list[Endpoint]) -> list[dict[str, Any]]:
    deployments = behind(endpoints)
    rows = []
    for endpoint in endpoints:
        parts = deployments[endpoint.pk]
        percents: Any = endpoint.percents_now or {}  # type: ignore[attr-defined]
        rows.append(
            {
                "endpoint": endpoint,
                "percents": percents,
                "has_traffic": any(percents.values()),
                "names": [part.name for part in parts],
                "takes_keys": endpoint.auth_mode == AuthMode.KEY,
                "deployments": len(parts),
                "ready": sum(part.ready for part in parts),
                "wanted": sum(part.wanted for part in parts),
                "is_short": any(part.is_serving and part.ready < part.wanted for part in parts),
            }
        )
    return rows


@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, ws: str) -> HttpResponse:
    """A new endpoint; goes on to its page."""
    workspace = get_workspace_for(request.user, ws, need=Need.WRITE)
    form = EndpointForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            endpoint = services.create_endpoint(workspace=workspace, by=request.user, **form.cleaned_data)
        except StudioError as error:
            show_error(form, error)
            status = error.http_status
        else:
            messages.success(request, f"Endpoint {endpoint.name} is being created. Put a first deployment behind it.")
            return redirect("endpoints:detail", workspace.name, endpoint.name)
    elif request.method == "POST":
        status = 422
    return page(request, "endpoints/create.html", {"workspace": workspace, "form": form}, status=status)

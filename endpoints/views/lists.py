"""The endpoints of a workspace, and a new one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from endpoints import services
from endpoints.forms import DeleteManyForm, EndpointForm
from endpoints.models import AuthMode, Endpoint
from endpoints.orders import ORDERS
from endpoints.queries import behind, endpoints_in, tags_in
from endpoints.views.door import page
from studio.lib.errors import StudioError
from studio.lib.forms import show_error
from workspaces.permissions import Need
from workspaces.queries import get_workspace_for

ENDPOINTS_PER_PAGE = 50
TAGS_SHOWN = 200

Tagged = list[tuple[int, dict[str, str]]]


@require_safe
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """Endpoints page by page. `?q=` searches names, descriptions and tags; `?state=`; `?tag=name=value`; `?sort=`.

    `?after=` is where the page before ended, as the link to this one said. `?seen=` is the mark of the rows that an open
    page has: the same rows are answered with 204.
    """
    workspace = get_workspace_for(request.user, ws)
    asked = {name: request.GET.get(name, "").strip() for name in ("q", "state", "tag", "after")}
    order = ORDERS.get(request.GET.get("sort", ""), ORDERS["name"])
    tagged = tags_in(workspace)
    found = list(
        order.page(_narrowed(endpoints_in(workspace), asked, tagged), asked["after"])[: ENDPOINTS_PER_PAGE + 1]
    )
    shown = found[:ENDPOINTS_PER_PAGE]
    rows = _rows(shown)
    mark = _mark(rows)
    if request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    context = asked | {
        "workspace": workspace,
        "rows": rows,
        "mark": mark,
        "sort": order.name,
        "states": Endpoint.State.values,
        "tags": sorted({f"{name}={value}" for _, tags in tagged for name, value in tags.items()})[:TAGS_SHOWN],
        "next_after": order.end_of(shown[-1]) if len(found) > len(shown) else "",
        "is_narrowed": any(asked.values()),
    }
    return page(request, "endpoints/list.html", context, part="rows")


def _narrowed(rows: QuerySet[Endpoint], asked: dict[str, str], tagged: Tagged) -> QuerySet[Endpoint]:
    text, (tag, equals, value) = asked["q"], asked["tag"].partition("=")
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(description__icontains=text) | Q(tags__icontains=text))
    if asked["state"] in Endpoint.State.values:
        rows = rows.filter(state=asked["state"])
    if tag and equals:
        rows = rows.filter(pk__in=[pk for pk, tags in tagged if tags.get(tag) == value])
    return rows


def _mark(rows: list[dict[str, Any]]) -> str:
    """Different whenever a row shows something different."""
    told = [
        [
            row["endpoint"].name,
            row["endpoint"].state,
            row["endpoint"].description,
            row["endpoint"].updated_at.isoformat(),
        ]
        + [row[name] for name in ("percents", "names", "ready", "wanted", "is_short")]
        for row in rows
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


@require_http_methods(["GET", "HEAD", "POST"])
def delete_many(request: HttpRequest, ws: str) -> HttpResponse:
    """`?name=` once for each endpoint; the POST has all their names typed again."""
    workspace = get_workspace_for(request.user, ws, need=Need.OPERATE)
    asked = (request.POST if request.method == "POST" else request.GET).getlist("name")[:ENDPOINTS_PER_PAGE]
    endpoints = list(endpoints_in(workspace).filter(name__in=asked).exclude(state="Deleting").order_by("name"))
    if not endpoints:
        messages.info(request, "Choose the endpoints to delete first.")
        return redirect("endpoints:list", workspace.name)
    form = DeleteManyForm(request.POST or None, names=[endpoint.name for endpoint in endpoints])
    if request.method == "POST" and form.is_valid():
        for endpoint in endpoints:
            try:
                services.delete_endpoint(endpoint=endpoint, by=request.user)
            except StudioError as error:
                messages.error(request, f"{endpoint.name}: {error.message} {error.hint}".strip())
        messages.success(request, f"Being deleted: {', '.join(form.names)}.")
        return redirect("endpoints:list", workspace.name)
    context = {"workspace": workspace, "rows": _rows(endpoints), "form": form}
    return page(request, "endpoints/delete_many.html", context, status=422 if request.method == "POST" else 200)


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

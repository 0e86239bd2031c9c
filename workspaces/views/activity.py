"""Everything that happened in a workspace, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from workspaces import queries
from workspaces.models import Target

ROWS_PER_PAGE = 50


@require_GET
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """`?kind=` keeps one kind of target; `?before=` is the id below which to go on."""
    workspace = queries.get_workspace_for(request.user, ws)
    kind, before = request.GET.get("kind", ""), request.GET.get("before", "")
    rows = workspace.activities.select_related("by")
    if kind in Target.values:
        rows = rows.filter(target_kind=kind)
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: ROWS_PER_PAGE + 1])
    context = {
        "workspace": workspace,
        "activities": found[:ROWS_PER_PAGE],
        "older": found[ROWS_PER_PAGE - 1].pk if len(found) > ROWS_PER_PAGE else None,
        "kind": kind,
        "kinds": Target.choices,
    }
    return render(request, "workspaces/activity.html", context)

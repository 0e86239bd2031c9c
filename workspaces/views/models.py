"""Registered models: list, register, look at, archive, delete."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.lib.errors import StudioError
from studio.lib.forms import show_error
from workspaces import queries
from workspaces.forms import RegisterModelForm
from workspaces.models import RegisteredModel, RegisteredModelVersion, Workspace
from workspaces.permissions import Need
from workspaces.services.assets import register_model
from workspaces.views import versions


@require_GET
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """`?q=` searches names; `?archived=1` adds models whose versions are all archived."""
    workspace = queries.get_workspace_for(request.user, ws)
    rows = queries.models_in(workspace).order_by("name")
    search, archived = request.GET.get("q", "").strip(), request.GET.get("archived") == "1"
    if search:
        rows = rows.filter(name__icontains=search)
    if not archived:
        current = RegisteredModelVersion.objects.filter(model=OuterRef("pk"), archived_at__isnull=True)
        rows = rows.filter(Exists(current))
    context = {"workspace": workspace, "page": versions.page_of(request, rows), "q": search, "archived": archived}
    return render(request, "workspaces/models.html", context)


@require_http_methods(["GET", "POST"])
def register(request: HttpRequest, ws: str) -> HttpResponse:
    """A background upload is answered 201 with the new page's address, or 200 with the messages."""
    workspace = queries.get_workspace_for(request.user, ws, need=Need.WRITE)
    in_background = request.headers.get("X-Requested-With") == "XMLHttpRequest"
    form = RegisterModelForm(request.POST or None, request.FILES or None, initial={"name": request.GET.get("name")})
    if request.method == "POST" and form.is_valid():
        made = _registered(form, workspace, request.user)
        if made is not None:
            messages.success(request, f"{made} is registered.")
            url = reverse("workspaces:model-version", args=[workspace.name, made.model.name, made.version])
            return HttpResponse(status=201, headers={"Location": url}) if in_background else redirect(url)
    return render(request, "workspaces/register_model.html", {"workspace": workspace, "form": form})


def _registered(form: RegisterModelForm, workspace: Workspace, by: Any) -> RegisteredModelVersion | None:
    try:
        return register_model(workspace=workspace, by=by, **form.for_service())
    except StudioError as error:
        show_error(form, error, names={"": "upload", "files": "upload"})
        return None


@require_GET
def detail(request: HttpRequest, ws: str, name: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    model = queries.get_model(workspace, name)
    shown = model.versions.filter(archived_at__isnull=True).first() or queries.get_model_version(
        workspace, name, "latest"
    )
    return _show(request, workspace, model, shown)


@require_GET
def version(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    shown = queries.get_model_version(workspace, name, version)
    return _show(request, workspace, shown.model, shown)


def _show(
    request: HttpRequest, workspace: Workspace, model: RegisteredModel, shown: RegisteredModelVersion
) -> HttpResponse:
    context = {
        "workspace": workspace,
        "model": model,
        "version": shown,
        "versions": model.versions.select_related("files", "created_by").defer("files__manifest"),
        "files": shown.files.manifest[:200],
        "revisions": versions.used_by(shown),
        "activities": queries.activities_of("model", model.pk, most=10),
    }
    return render(request, "workspaces/model.html", context)


@require_GET
def download(request: HttpRequest, ws: str, name: str, version: str, file: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    return versions.file_response(queries.get_model_version(workspace, name, version).files, file)  # type: ignore[return-value]


@require_POST
def archive(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.set_archived(request, found, archived=True, url=url)


@require_POST
def restore(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.set_archived(request, found, archived=False, url=url)


@require_POST
def delete(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.delete_confirmed(request, found, url=url, list_url=reverse("workspaces:models", args=[ws]))


def _to_change(request: HttpRequest, ws: str, name: str, version: str) -> tuple[RegisteredModelVersion, str]:
    workspace = queries.get_workspace_for(request.user, ws, need=Need.WRITE)
    found = queries.get_model_version(workspace, name, version)
    return found, reverse("workspaces:model-version", args=[workspace.name, found.model.name, found.version])

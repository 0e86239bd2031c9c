"""Code folders: list and look at. They are registered with the deployments that use them."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from workspaces import queries
from workspaces.models import CodeVersion, Workspace
from workspaces.views import versions


@require_GET
def index(request: HttpRequest, ws: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    newest = CodeVersion.objects.select_related("files", "created_by").defer("files__manifest")
    rows = workspace.codes.prefetch_related(Prefetch("versions", queryset=newest))
    return render(
        request, "workspaces/code_list.html", {"workspace": workspace, "page": versions.page_of(request, rows)}
    )


@require_GET
def detail(request: HttpRequest, ws: str, name: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    return _show(request, workspace, queries.get_code_version(workspace, name, "latest"))


@require_GET
def version(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    return _show(request, workspace, queries.get_code_version(workspace, name, version))


def _show(request: HttpRequest, workspace: Workspace, shown: CodeVersion) -> HttpResponse:
    context = {
        "workspace": workspace,
        "code": shown.code,
        "version": shown,
        "versions": shown.code.versions.select_related("files", "created_by").defer("files__manifest"),
        "files": shown.files.manifest[:200],
        "revisions": versions.used_by(shown),
    }
    return render(request, "workspaces/code.html", context)


@require_GET
def download(request: HttpRequest, ws: str, name: str, version: str, file: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    return versions.file_response(queries.get_code_version(workspace, name, version).files, file)  # type: ignore[return-value]
